"""Embeddings over HTTP, against an endpoint on 127.0.0.1."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from aiomemdb.embedders import Embedder, openai_compatible
from aiomemdb.errors import EmbedderError
from tests.support.endpoint import Answer, Endpoint, lengths, serve_endpoint, vectors

KEY = "sk-very-secret"


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy stands between us and 127.0.0.1, and no real key is about."""
    for name in os.environ:
        if name.lower().endswith("_proxy") or name == "OPENAI_API_KEY":
            monkeypatch.delenv(name)


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with serve_endpoint() as serving:
        yield serving


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between attempts; none is really made."""
    made: list[float] = []
    sleep = asyncio.sleep

    async def short(delay: float, result: object = None) -> object:
        if delay:
            made.append(delay)
        return await sleep(0, result)

    monkeypatch.setattr(asyncio, "sleep", short)
    return made


def at(endpoint: Endpoint, dim: int = 2, **options: Any) -> Embedder:
    return openai_compatible("model-x", dim, base_url=endpoint.url, **options)


async def refusal(embedder: Embedder) -> str:
    with pytest.raises(EmbedderError) as caught:
        await embedder.embed(["text"])
    assert caught.value.applied is False
    assert caught.value.__cause__ is None and caught.value.__context__ is None  # which would hold the request
    return str(caught.value)


async def test_vectors_come_in_the_order_of_the_texts(endpoint: Endpoint) -> None:
    embedder = at(endpoint)
    assert isinstance(embedder, Embedder)
    assert await embedder.embed(["one", "three", "eleven"]) == [[3.0, 1.0], [5.0, 1.0], [6.0, 1.0]]
    [request] = endpoint.requests
    assert request.path == "/v1/embeddings"
    assert request.body == {"model": "model-x", "input": ["one", "three", "eleven"], "encoding_format": "base64"}


async def test_vectors_in_base_64_are_little_endian_floats(endpoint: Endpoint) -> None:
    data = base64.b64encode(struct.pack("<2f", 0.5, -2.0)).decode()
    endpoint.answer = lambda request: Answer({"data": [{"index": 0, "embedding": data}]})
    [vector] = await at(endpoint).embed(["text"])
    assert list(vector) == [0.5, -2.0]


async def test_no_text_asks_for_nothing(endpoint: Endpoint) -> None:
    assert await at(endpoint).embed([]) == []
    assert endpoint.connections == 0


async def test_odd_texts_are_sent_as_json_can_hold_them(endpoint: Endpoint) -> None:
    await at(endpoint).embed(["", "a\ud800b", "\ud83d\ude00", "nul \0"])
    assert endpoint.requests[0].body["input"] == [" ", "a\ufffdb", "😀", "nul \0"]


async def test_many_texts_go_in_batches_over_one_connection(endpoint: Endpoint) -> None:
    texts = ["x" * n for n in range(1, 8)]
    assert await at(endpoint, batch=3).embed(texts) == [[float(n), 1.0] for n in range(1, 8)]
    assert [len(request.body["input"]) for request in endpoint.requests] == [3, 3, 1]
    assert endpoint.connections == 1


async def test_long_texts_go_in_smaller_batches(endpoint: Endpoint) -> None:
    await at(endpoint).embed(["x" * 60_000, "y" * 40_000, "z", "w" * 200_000, "v"])
    assert [[text[0] for text in request.body["input"]] for request in endpoint.requests] == [
        ["x", "y"],
        ["z"],
        ["w"],
        ["v"],
    ]


async def test_vectors_are_asked_for_shortened_only_on_demand(endpoint: Endpoint) -> None:
    await at(endpoint, shorten=True).embed(["text"])
    assert endpoint.requests[0].body["dimensions"] == 2


# -- the key -------------------------------------------------------------------------------------------------


async def test_the_key_comes_from_the_argument_else_from_the_environment(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    await at(endpoint).embed(["text"])
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment\n")
    monkeypatch.setenv("OTHER_KEY", "other")
    await at(endpoint).embed(["text"])
    await at(endpoint, api_key_variable="OTHER_KEY").embed(["text"])
    await at(endpoint, api_key="given").embed(["text"])
    await at(endpoint, api_key="").embed(["text"])
    assert [request.headers.get("authorization") for request in endpoint.requests] == [
        None,
        "Bearer from-environment",
        "Bearer other",
        "Bearer given",
        None,
    ]


async def test_no_error_holds_the_key_even_if_the_endpoint_repeats_it(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: Answer({"error": f"incorrect key {KEY}"}, status=401)
    embedder = at(endpoint, api_key=KEY)
    message = await refusal(embedder)
    assert "HTTP 401" in message and "OPENAI_API_KEY" in message and "incorrect key ***" in message
    assert KEY not in message
    assert KEY not in repr(embedder)


async def test_a_redirect_is_not_followed_with_the_key(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: Answer(status=307, headers={"location": "/elsewhere"})
    async with httpx2.AsyncClient(follow_redirects=True) as client:
        assert "HTTP 307" in await refusal(at(endpoint, api_key=KEY, client=client))
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": f"{KEY}\nX-Other: header"},
        {"api_key": f"{KEY}é"},
        {"base_url": f"https://user:{KEY}@example.com/v1"},
        {"base_url": f"example.com/{KEY}"},
        {"base_url": f"https://example.com:{KEY}/"},
        {"base_url": f"https://example.com/v1?key={KEY}"},
        {"base_url": "file:///etc/hosts"},
        {"base_url": "ftp://example.com/v1"},
        {"dim": 0},
        {"batch": 0},
        {"attempts": 0},
        {"timeout": 0},
    ],
)
def test_wrong_arguments_are_refused_without_a_word_of_what_is_secret(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError) as caught:
        openai_compatible(**{"model": "model-x", "dim": 2, "base_url": "https://example.com/v1", **wrong})
    assert KEY not in str(caught.value)


# -- failures ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [408, 429, 500, 503])
async def test_a_passing_failure_is_asked_again_after_growing_pauses(
    endpoint: Endpoint, pauses: list[float], status: int
) -> None:
    endpoint.answer = lambda request: lengths(request) if len(endpoint.requests) > 3 else Answer(status=status)
    assert await at(endpoint).embed(["text"]) == [[4.0, 1.0]]
    for pause, expected in zip(pauses, [0.5, 1.0, 2.0], strict=True):
        assert 0.75 * expected <= pause <= 1.25 * expected


async def test_the_endpoint_says_how_long_to_wait(endpoint: Endpoint, pauses: list[float]) -> None:
    endpoint.answer = lambda request: (
        lengths(request) if len(endpoint.requests) > 1 else Answer(status=429, headers={"retry-after": "7"})
    )
    assert await at(endpoint).embed(["text"]) == [[4.0, 1.0]]
    assert pauses == [7.0]


async def test_an_endpoint_that_wants_hours_is_not_waited_for(endpoint: Endpoint, pauses: list[float]) -> None:
    endpoint.answer = lambda request: Answer({"error": "come back"}, status=429, headers={"retry-after": "7200"})
    assert "come back" in await refusal(at(endpoint))
    assert pauses == []


async def test_after_so_many_attempts_the_last_failure_is_told(endpoint: Endpoint, pauses: list[float]) -> None:
    endpoint.answer = lambda request: Answer({"error": f"overload {len(endpoint.requests)}"}, status=503)
    message = await refusal(at(endpoint, attempts=3))
    assert "asked 3 times" in message and "HTTP 503" in message and "overload 3" in message
    assert len(pauses) == 2


@pytest.mark.parametrize(
    ("status", "todo"), [(400, "refuses"), (403, "api_key"), (404, "base_url"), (413, "batch"), (422, "refuses")]
)
async def test_what_would_fail_again_is_asked_once(endpoint: Endpoint, status: int, todo: str) -> None:
    endpoint.answer = lambda request: Answer({"error": {"message": "because"}}, status=status)
    message = await refusal(at(endpoint))
    assert f"HTTP {status}" in message and todo in message and "because" in message
    assert len(endpoint.requests) == 1


async def test_a_refused_connection_is_tried_again_and_then_an_error(pauses: list[float]) -> None:
    with socket.socket() as bound:  # bound, but it does not listen: connections are refused
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}/v1"
        message = await refusal(openai_compatible("model-x", 2, base_url=url, attempts=2))
    assert url in message and "not reached" in message
    assert len(pauses) == 1


async def test_an_endpoint_that_never_answers_is_given_up(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: Answer(silent=True)
    assert "timeout=" in await refusal(at(endpoint, attempts=1, timeout=0.1))


async def test_a_cancelled_call_hangs_up(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: Answer(silent=True)
    call = asyncio.create_task(at(endpoint).embed(["text"]))  # type: ignore[arg-type]
    await endpoint.asked.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await endpoint.hung_up.wait()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Answer(b"<html>"), "JSON"),
        (Answer({"object": "list"}), "data"),
        (Answer([1]), "TypeError"),
        (Answer({"data": [{"embedding": [1.0, 2.0]}]}), "index"),
        (vectors([]), "0 vectors for 1 texts"),
        (vectors([[1.0, 2.0], [1.0, 2.0]]), "2 vectors for 1 texts"),
        (Answer({"data": [{"index": 0, "embedding": [1.0, 2.0]}] * 2}), "2 vectors for 1 texts"),
        (Answer({"data": [{"index": 1, "embedding": [1.0, 2.0]}]}), "1 vectors for 1 texts"),
        (vectors([[1.0, 2.0, 3.0]]), "dim=3"),
        (Answer({"data": [{"index": 0, "embedding": "A" * 5}]}), "base64"),
        (Answer({"data": [{"index": 0, "embedding": "AAAA*AAAAAAA="}]}), "base64"),
        (Answer({"data": [{"index": 0, "embedding": "AAAA"}]}), "unpack"),
        (Answer({"data": [{"index": 0, "embedding": None}]}), "NoneType"),
    ],
)
async def test_an_answer_that_is_no_vectors_of_the_texts_is_an_error(
    endpoint: Endpoint, answer: Answer, told: str
) -> None:
    endpoint.answer = lambda request: answer
    message = await refusal(at(endpoint))
    assert "its answer can't be used" in message and told.lower() in message.lower()
    assert len(endpoint.requests) == 1


# -- clients -------------------------------------------------------------------------------------------------


async def test_a_client_of_the_callers_keeps_its_connection(endpoint: Endpoint) -> None:
    async with httpx2.AsyncClient() as client:
        embedder = at(endpoint, client=client)
        for _ in range(3):
            await embedder.embed(["text"])
        assert not client.is_closed
    assert endpoint.connections == 1


async def test_calls_at_once_get_their_own_vectors(endpoint: Endpoint) -> None:
    embedder = at(endpoint)
    found = await asyncio.gather(*[embedder.embed(["x" * n]) for n in range(1, 6)])
    assert found == [[[float(n), 1.0]] for n in range(1, 6)]


def test_without_the_extra_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx2", None)
    with pytest.raises(ModuleNotFoundError, match=r"httpx2.*aiomemdb\[embeddings-http\]"):
        openai_compatible("model-x", 2, base_url="https://example.com/v1")
