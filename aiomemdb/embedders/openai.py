"""Embeddings over HTTP, from an endpoint that answers as OpenAI's does."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import random
import struct
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from ..errors import EmbedderError
from ..later import Later
from .common import chunks, require, well_formed
from .protocol import Embedder

if TYPE_CHECKING:
    import ssl

    import httpx2
else:
    ssl, httpx2 = Later("ssl"), Later("httpx2")

__all__ = ["openai_compatible"]

_LONGEST_WAIT = 60.0
_FIRST_WAIT = 0.5
_CHARACTERS = 100_000  # OpenAI takes 300,000 tokens a request: three a character, which no script needs


def openai_compatible(
    model: str,
    dim: int,
    *,
    base_url: str,
    api_key: str | None = None,
    api_key_variable: str = "OPENAI_API_KEY",
    shorten: bool = False,
    batch: int = 128,
    timeout: float = 30.0,
    attempts: int = 5,
    client: httpx2.AsyncClient | None = None,
) -> Embedder:
    """An HTTP endpoint that answers ``POST {base_url}/embeddings`` as OpenAI's does: hosted ones, vLLM, Ollama, …

    Args:
        model: as the endpoint names it; the vectors are stored under this name.
        dim: how many numbers its vectors have.
        base_url: up to and without ``/embeddings``: ``"http://localhost:11434/v1"``, say.
        api_key: sent to ``base_url`` as a bearer token; by default the environment's ``api_key_variable``, if set.
        shorten: ask the endpoint for ``dim`` numbers (``dimensions``), for models that can cut their vectors short.
        batch: texts in one request. A request holds 100,000 characters at most, unless one text alone is longer.
        timeout: seconds that one request may take.
        attempts: how often a request is made at most: again if there was no connection, no answer, or HTTP 408, 429 or
            5xx, after about 0.5, 1, 2, … seconds, or as long as ``Retry-After`` asks for if that is a minute or less.
        client: yours, kept open and closed by you: then connections are reused between calls. Without one each call
            opens its own and closes it.

    An empty text is sent as a space, which endpoints accept. The requests of one call are made one after another.
    Cancelled, a call drops its connection.

    Its ``embed`` raises EmbedderError, which never holds the key: the endpoint could not be reached, refused, or gave
    what can't be vectors of these texts. The message says which, and what to do.

    Raises: ModuleNotFoundError: ``aiomemdb[embeddings-http]`` is not installed; ValueError: an argument can't be right.
    """
    require("openai_compatible()", "aiomemdb[embeddings-http]", "httpx2")
    key = (os.environ.get(api_key_variable, "") if api_key is None else api_key).strip()
    if not (key.isascii() and key.isprintable() and " " not in key):  # a header can't hold it; the text would show it
        raise ValueError(f"the key (api_key or {api_key_variable}) has characters that no key has")
    if min(dim, batch, attempts, timeout) <= 0:
        raise ValueError("dim, batch, attempts and timeout must be above 0")
    return _OpenAICompatible(
        model, dim, _endpoint(base_url), key, api_key_variable, shorten, batch, timeout, attempts, client
    )


def _endpoint(base_url: str) -> str:
    """Raises: ValueError, which does not show the URL: it may hold what is secret."""
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.query or url.fragment:
        raise ValueError('base_url must be like "https://example.com/v1"')
    if url.userinfo:
        raise ValueError("base_url must not hold a name or password, since errors show it: use api_key")
    return f"{str(url).rstrip('/')}/embeddings"


class _Refusal(NamedTuple):
    """Why a request returned no vectors."""

    why: str
    again: bool = False  # may the next one succeed?
    wait: float = 0.0  # seconds that the endpoint asks for


@dataclass(repr=False, eq=False)  # its repr never shows the key
class _OpenAICompatible:
    model: str
    dim: int
    url: str
    key: str
    key_variable: str
    shorten: bool
    batch: int
    timeout: float
    attempts: int
    client: httpx2.AsyncClient | None
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"<embedder {self.model!r}, {self.dim} numbers, at {self.url}>"

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        vectors: list[Sequence[float]] = []
        async with self._connected() as client:
            for chunk in chunks(well_formed(texts), self.batch, _CHARACTERS):
                vectors += await self._ask(client, chunk)
        return vectors

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[httpx2.AsyncClient]:
        if self.client is not None:
            yield self.client
            return
        if self.tls is None:  # 18 ms of reading certificates: once, and not on the loop
            self.tls = await asyncio.to_thread(httpx2.create_ssl_context)
        async with httpx2.AsyncClient(verify=self.tls) as client:
            yield client

    async def _ask(self, client: httpx2.AsyncClient, texts: list[str]) -> list[Sequence[float]]:
        attempt, pause = 1, _FIRST_WAIT
        # An error of the HTTP library knows its request, and so the key: it must not be the context of ours.
        while isinstance(answer := await self._post(client, texts), _Refusal):
            if not answer.again or attempt == self.attempts or answer.wait > _LONGEST_WAIT:
                why = answer.why.replace(self.key, "***") if self.key else answer.why
                times = f", asked {attempt} times" if attempt > 1 else ""
                raise EmbedderError(f"{self.url} returned no vectors{times}: {' '.join(why.split())[:500]}")
            await asyncio.sleep(max(answer.wait, pause * random.uniform(0.75, 1.25)))
            attempt, pause = attempt + 1, min(2 * pause, _LONGEST_WAIT)
        return answer

    async def _post(self, client: httpx2.AsyncClient, texts: list[str]) -> list[Sequence[float]] | _Refusal:
        # Base 64 is what OpenAI's own client asks for: 128 vectors of 1,536 numbers are read in 5 ms of the event loop,
        # as lists in 35. An endpoint that does not know it answers with the list.
        body: dict[str, object] = {"model": self.model, "input": texts, "encoding_format": "base64"}
        if self.shorten:
            body["dimensions"] = self.dim
        headers = {"Authorization": f"Bearer {self.key}"} if self.key else {}
        try:
            async with asyncio.timeout(self.timeout):  # of the whole; the library's is for each step
                response = await client.post(self.url, json=body, headers=headers, follow_redirects=False, timeout=None)
        except TimeoutError:
            return _Refusal(f"no answer within {self.timeout:g} s (timeout=)", again=True)
        except httpx2.TransportError as error:
            return _Refusal(f"not reached: {type(error).__name__} {error}", again=True)
        if response.status_code != 200:
            return self._refused(response)
        try:
            return _vectors(response.content, len(texts), self.dim)
        except (ValueError, KeyError, TypeError, struct.error) as error:
            return _Refusal(f"its answer can't be used: {type(error).__name__} {error}")

    def _refused(self, response: httpx2.Response) -> _Refusal:
        status = response.status_code
        todo = {
            401: f"check the key (api_key or {self.key_variable})",
            403: f"check the key (api_key or {self.key_variable}) and what it may do",
            404: "check base_url and the model's name",
            413: "make batch smaller",
            429: "too many requests, or nothing left to spend: ask less often, or raise attempts",
        }.get(status, "the endpoint fails: try later" if status >= 500 else "the endpoint refuses what it was sent")
        return _Refusal(
            f"HTTP {status}, {todo}; it says: {response.text}",
            again=status in (408, 429) or status >= 500,
            wait=_seconds(response.headers.get("Retry-After", "")),
        )


def _seconds(retry_after: str) -> float:
    """0 where it is none or a date, which endpoints of models don't send."""
    return float(retry_after) if retry_after.isdecimal() else 0.0


def _vectors(body: bytes, count: int, dim: int) -> list[Sequence[float]]:
    """The vectors of an answer in the order of the texts.

    Raises: ValueError, KeyError, TypeError, struct.error: it is no such answer.
    """
    items = json.loads(body)["data"]
    by_index = {item["index"]: item["embedding"] for item in items}
    if sorted(by_index) != list(range(count)) or len(items) != count:
        raise ValueError(f"{len(items)} vectors for {count} texts")
    vectors: list[Sequence[float]] = []
    for index in range(count):
        vector = by_index[index]
        if isinstance(vector, str):
            data = base64.b64decode(vector, validate=True)
            vector = struct.unpack(f"<{len(data) // 4}f", data)
        if len(vector) != dim:
            raise ValueError(f"vectors of {len(vector)} numbers: give dim={len(vector)}, or shorten=True if it can")
        vectors.append(vector)
    return vectors
