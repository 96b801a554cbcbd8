"""The SDK 1.x, from 1.24 on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any

from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.models import InitializationOptions
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import McpError
from mcp.shared.message import SessionMessage
from mcp.shared.version import SUPPORTED_PROTOCOL_VERSIONS
from pydantic import AnyUrl

from ..service import NoSuchResource, Service
from .observed import request_of

__all__ = ["dump", "http", "parse", "request", "response", "run", "server"]


class _Client:
    def __init__(self, context: Any) -> None:
        self._session = context.session
        self._request = context.request_id

    @property
    def name(self) -> str | None:
        params = self._session.client_params
        return None if params is None else str(params.clientInfo.name)

    @property
    def connection(self) -> Hashable:
        return id(self._session)

    async def ask(self, question: str) -> bool | None:
        params = self._session.client_params
        if params is None or params.capabilities.elicitation is None:
            return None
        schema = {"type": "object", "properties": {}}
        answer = await self._session.elicit(question, schema, self._request)
        return bool(answer.action == "accept")

    async def updated(self, uri: str) -> None:
        await self._session.send_resource_updated(AnyUrl(uri))


class _Server(Server[Any, Any]):
    options: InitializationOptions

    def create_initialization_options(self, *_: Any, **__: Any) -> InitializationOptions:
        return self.options


def server(service: Service) -> Any:
    made = _Server(service.name, service.version, service.instructions)
    made.options = InitializationOptions(
        server_name=service.name,
        server_version=service.version,
        instructions=service.instructions,
        capabilities=types.ServerCapabilities(
            tools=types.ToolsCapability(listChanged=True),
            resources=types.ResourcesCapability(subscribe=True, listChanged=True),
        ),
    )
    tools = types.ListToolsResult.model_validate({"tools": list(service.tools)})
    resources = types.ListResourcesResult.model_validate({"resources": list(service.resources)})

    async def list_tools(context: Any, params: Any) -> Any:
        return tools

    async def list_resources(context: Any, params: Any) -> Any:
        return resources

    async def list_templates(context: Any, params: Any) -> Any:
        return types.ListResourceTemplatesResult(resourceTemplates=[])

    async def call_tool(context: Any, params: Any) -> Any:
        answer = await service.call(params.name, params.arguments or {}, _Client(context))
        fields: dict[str, Any] = {} if answer.meta is None else {"_meta": dict(answer.meta)}
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=answer.text)],
            structuredContent=None if answer.structured is None else dict(answer.structured),
            isError=answer.failed,
            **fields,
        )

    async def read_resource(context: Any, params: Any) -> Any:
        try:
            contents = await service.read(str(params.uri))
        except NoSuchResource as error:
            raise McpError(types.ErrorData(code=types.INVALID_PARAMS, message=str(error))) from None
        return types.ReadResourceResult.model_validate({"contents": [contents]})

    async def subscribe(context: Any, params: Any) -> Any:
        client, uri = _Client(context), str(params.uri)
        await service.watching()
        service.subscribe(uri, client.connection, lambda: client.updated(uri))
        return types.EmptyResult()

    async def unsubscribe(context: Any, params: Any) -> Any:
        service.unsubscribe(str(params.uri), _Client(context).connection)
        return types.EmptyResult()

    for kind, serve in (
        (types.ListToolsRequest, list_tools),
        (types.CallToolRequest, call_tool),
        (types.ListResourcesRequest, list_resources),
        (types.ListResourceTemplatesRequest, list_templates),
        (types.ReadResourceRequest, read_resource),
        (types.SubscribeRequest, subscribe),
        (types.UnsubscribeRequest, unsubscribe),
    ):
        made.request_handlers[kind] = _handler(service, made, serve)
    return made


def _handler(
    service: Service, made: _Server, serve: Callable[[Any, Any], Awaitable[Any]]
) -> Callable[[Any], Awaitable[Any]]:
    async def handle(asked: Any) -> Any:
        context = made.request_context
        client = context.session.client_params
        version = None if client is None else str(client.protocolVersion)
        if version not in SUPPORTED_PROTOCOL_VERSIONS and version is not None:
            version = types.LATEST_PROTOCOL_VERSION
        with service.observed(request_of(asked.method, asked.params, context, version)) as failed:
            try:
                answer = await serve(context, asked.params)
            except McpError as error:
                failed(str(error.error.code))
                raise
            if isinstance(answer, types.CallToolResult) and answer.isError:
                failed("tool_error")
            return types.ServerResult(answer)

    return handle


async def run(server: Any, received: Any, sent: Any) -> None:
    await server.run(received, sent, server.create_initialization_options())


def parse(line: bytes) -> Any:
    return SessionMessage(types.JSONRPCMessage.model_validate_json(line))


def dump(message: Any) -> bytes:
    text: str = message.message.model_dump_json(by_alias=True, exclude_none=True)
    return text.encode()


def request(message: Any) -> str | int | None:
    inner = message.message.root
    return inner.id if isinstance(inner, types.JSONRPCRequest) else None


def response(message: Any) -> str | int | None:
    inner = message.message.root
    return inner.id if isinstance(inner, types.JSONRPCResponse | types.JSONRPCError) else None


def http(server: Any) -> Any:
    return StreamableHTTPSessionManager(server)
