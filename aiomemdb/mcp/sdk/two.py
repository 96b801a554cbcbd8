"""The SDK 2.x."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable
from typing import Any

import mcp_types as types
from mcp.server.lowlevel import Server
from mcp.server.models import InitializationOptions
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.server.subscriptions import ListenHandler, ResourceUpdated
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage

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
        return None if params is None else str(params.client_info.name)

    @property
    def connection(self) -> Hashable:
        # A session is made for each request; what stays is what it is made of.
        return id(self._session._connection)

    async def ask(self, question: str) -> bool | None:
        capabilities = self._session.client_capabilities
        if capabilities is None or capabilities.elicitation is None or not self._session.can_send_request:
            return None
        schema: Any = {"type": "object", "properties": {}}
        answer = await self._session.elicit_form(question, schema, self._request)
        return bool(answer.action == "accept")

    async def updated(self, uri: str) -> None:
        await self._session.send_resource_updated(uri)


class _Bus:
    """Where the subscriptions of the protocol of 2026 listen."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def publish(self, event: Any) -> None:
        raise NotImplementedError("the service notifies its subscribers itself")

    def subscribe(self, listener: Callable[[Any], None]) -> Callable[[], None]:
        key = object()
        uris = [str(resource["uri"]) for resource in self._service.resources]

        def teller(uri: str) -> Callable[[], Awaitable[None]]:
            async def tell() -> None:
                listener(ResourceUpdated(uri=uri))

            return tell

        for uri in uris:
            self._service.subscribe(uri, key, teller(uri))

        def unsubscribe() -> None:
            for uri in uris:
                self._service.unsubscribe(uri, key)

        return unsubscribe


class _Server(Server[Any]):
    options: InitializationOptions

    def create_initialization_options(self, *_: Any, **__: Any) -> InitializationOptions:
        return self.options


def server(service: Service) -> Any:
    tools = types.ListToolsResult.model_validate({"tools": list(service.tools)}, by_name=False)
    resources = types.ListResourcesResult.model_validate({"resources": list(service.resources)}, by_name=False)

    async def list_tools(context: Any, params: Any) -> Any:
        return tools

    async def list_resources(context: Any, params: Any) -> Any:
        return resources

    async def list_templates(context: Any, params: Any) -> Any:
        return types.ListResourceTemplatesResult(resource_templates=[])

    async def call_tool(context: Any, params: Any) -> Any:
        answer = await service.call(params.name, params.arguments or {}, _Client(context))
        fields: dict[str, Any] = {} if answer.meta is None else {"_meta": dict(answer.meta)}
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=answer.text)],
            structured_content=None if answer.structured is None else dict(answer.structured),
            is_error=answer.failed,
            **fields,
        )

    async def read_resource(context: Any, params: Any) -> Any:
        try:
            contents = await service.read(params.uri)
        except NoSuchResource as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from None
        return types.ReadResourceResult.model_validate({"contents": [contents]}, by_name=False)

    async def subscribe(context: Any, params: Any) -> Any:
        client = _Client(context)
        await service.watching()
        service.subscribe(params.uri, client.connection, lambda: client.updated(params.uri))
        return types.EmptyResult()

    async def unsubscribe(context: Any, params: Any) -> Any:
        service.unsubscribe(params.uri, _Client(context).connection)
        return types.EmptyResult()

    def handler(serve: Callable[[Any, Any], Awaitable[Any]]) -> Any:
        return _handler(service, serve)

    listening = ListenHandler(_Bus(service))

    async def listen(context: Any, params: Any) -> Any:
        await service.watching()
        return await listening(context, params)

    made = _Server(
        service.name,
        version=service.version,
        instructions=service.instructions,
        on_list_tools=handler(list_tools),
        on_call_tool=handler(call_tool),
        on_list_resources=handler(list_resources),
        on_list_resource_templates=handler(list_templates),
        on_read_resource=handler(read_resource),
        on_subscribe_resource=handler(subscribe),
        on_unsubscribe_resource=handler(unsubscribe),
        on_subscriptions_listen=listen,
    )
    if service.is_observed:  # one span a request; and the SDK's have the texts of errors
        made.middleware = [each for each in made.middleware if type(each).__name__ != "OpenTelemetryMiddleware"]
    made.options = InitializationOptions(
        server_name=service.name,
        server_version=service.version,
        instructions=service.instructions,
        capabilities=types.ServerCapabilities(
            tools=types.ToolsCapability(list_changed=True),
            resources=types.ResourcesCapability(subscribe=True, list_changed=True),
        ),
    )
    return made


def _handler(service: Service, serve: Callable[[Any, Any], Awaitable[Any]]) -> Callable[[Any, Any], Awaitable[Any]]:
    async def handle(context: Any, params: Any) -> Any:
        with service.observed(request_of(context.method, params, context, context.protocol_version)) as failed:
            try:
                answer = await serve(context, params)
            except MCPError as error:
                failed(str(error.error.code))
                raise
            if isinstance(answer, types.CallToolResult) and answer.is_error:
                failed("tool_error")
            return answer

    return handle


async def run(server: Any, received: Any, sent: Any) -> None:
    await server.run(received, sent, server.create_initialization_options())


def parse(line: bytes) -> Any:
    return SessionMessage(types.jsonrpc_message_adapter.validate_json(line, by_name=False))


def dump(message: Any) -> bytes:
    text: str = message.message.model_dump_json(by_alias=True, exclude_unset=True)
    return text.encode()


def request(message: Any) -> str | int | None:
    inner = message.message
    if not isinstance(inner, types.JSONRPCRequest) or inner.method == "subscriptions/listen":  # its answer is the end
        return None
    asked: str | int | None = inner.id
    return asked


def response(message: Any) -> str | int | None:
    inner = message.message
    return inner.id if isinstance(inner, types.JSONRPCResponse | types.JSONRPCError) else None


def http(server: Any) -> Any:
    return StreamableHTTPSessionManager(server)
