"""A request in words of our own, for who observes: both SDKs have its parts under the same names."""

from __future__ import annotations

from typing import Any  # Any: the SDK's

from ...observing import Request

__all__ = ["request_of"]


def request_of(method: str, params: Any, context: Any, version: str | None) -> Request:
    meta, http = context.meta, context.request
    if meta is not None and not isinstance(meta, dict):  # a model, with what it does not know beside
        meta = meta.model_extra
    uri = getattr(params, "uri", None)
    return Request(
        method=method,
        tool=getattr(params, "name", None),
        resource=None if uri is None else str(uri),
        id=context.request_id,
        version=version,
        session=None if http is None else http.headers.get("mcp-session-id"),
        is_http=http is not None,
        meta=meta,
    )
