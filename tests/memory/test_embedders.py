"""Embedders that run in a worker thread: the packaged one, and models of sentence-transformers."""

from __future__ import annotations

import asyncio
import math
import sys
import threading
from collections.abc import Callable, Sequence
from types import ModuleType, TracebackType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiomemdb import embedders
from aiomemdb.embedders import Embedder, packaged, sentence_transformer
from tests.support.gates import Gate
from tests.support.scripts import run_script_aside

Floats = np.ndarray[Any, np.dtype[np.float32]]


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True)) / math.hypot(*one) / math.hypot(*other)


# -- the packaged one ----------------------------------------------------------------------------------------


async def test_the_packaged_one_returns_a_vector_for_each_text_in_their_order() -> None:
    embedder = packaged()
    assert isinstance(embedder, Embedder)
    texts = [f"text number {n}" for n in range(600)]  # some chunks
    vectors = await embedder.embed(texts)
    assert {len(vector) for vector in vectors} == {embedder.dim} == {256}
    for n in (0, 1, 300, 599):
        assert (await embedder.embed([texts[n]]))[0] == vectors[n]  # whatever stands beside it


async def test_texts_about_one_thing_are_nearer_than_others() -> None:
    cat, kitten, tax = await packaged().embed(
        ["the cat sleeps on the sofa", "a kitten is sleeping on the couch", "quarterly tax report of the company"]
    )
    assert cosine(cat, kitten) > 0.5 > cosine(cat, tax)


_AS_WORDLLAMA_DOES = """
    import asyncio, logging, pathlib, sys
    import numpy, wordllama
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer
    from wordllama.inference import WordLlamaInference
    from aiomemdb.embedders import packaged

    files = pathlib.Path(wordllama.__file__).parent
    theirs = WordLlamaInference(
        load_file(files / "weights/l2_supercat_256.safetensors")["embedding.weight"],
        Tokenizer.from_file(str(files / "tokenizers/l2_supercat_tokenizer_config.json")),
    )
    texts = ["Ada Lovelace", "x", "Zürich 北京 😀", "a longer sentence, with commas. " * 3, "word after word " * 3000]
    ours = asyncio.run(packaged().embed(texts))
    for text, vector in zip(texts, ours):
        # Its sums in float32 err by 6e-5 at 9,000 tokens, ours by 2e-7.
        assert numpy.allclose(theirs.embed(text)[0], vector, atol=1e-4), text[:20]
    print("alike")
"""


async def test_vectors_are_those_of_wordllama_itself() -> None:
    ended = await run_script_aside(_AS_WORDLLAMA_DOES)
    assert ended.stdout == "alike\n", ended.stderr


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return packaged()


@settings(max_examples=50)
@given(text=st.text(st.characters(exclude_categories=())))  # surrogates too
async def test_any_text_has_a_direction(embedder: Embedder, text: str) -> None:
    [vector] = await embedder.embed([text])
    assert 0.0 < math.hypot(*vector) < math.inf


@pytest.mark.parametrize("text", ["", " ", "\0", "\ud800", "\u200b", "\U0010ffff", "x" * 100_000])
async def test_odd_texts_have_a_direction_too(embedder: Embedder, text: str) -> None:
    [vector] = await embedder.embed([text])
    assert 0.0 < math.hypot(*vector) < math.inf


async def test_a_half_of_a_surrogate_pair_counts_as_an_unknown_sign(embedder: Embedder) -> None:
    broken, unknown, whole, pair = await embedder.embed(["a\ud83d", "a\ufffd", "😀", "\ud83d\ude00"])
    assert broken == unknown
    assert whole == pair


async def test_no_text_has_no_vector(embedder: Embedder) -> None:
    assert await embedder.embed([]) == []


async def test_one_text_in_the_place_of_several_is_an_error(embedder: Embedder) -> None:
    with pytest.raises(TypeError, match="sequence of texts"):
        await embedder.embed("Ada")


_OFFLINE = """
    import asyncio, sys

    def refuse(event, arguments):
        if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
            raise AssertionError(f"{event} {arguments}")

    import aiomemdb.embedders
    heavy = {"numpy", "safetensors", "tokenizers", "wordllama", "huggingface_hub", "httpx2", "requests"}
    print(sorted(heavy & set(sys.modules)))
    embedder = aiomemdb.embedders.packaged()
    print(sorted(heavy & set(sys.modules)))
    sys.addaudithook(refuse)
    print(len(asyncio.run(embedder.embed(["Ada"]))[0]))
    print(sorted(heavy & set(sys.modules)))
"""


async def test_nothing_is_downloaded_and_nothing_heavy_is_imported_before_it_is_needed() -> None:
    ended = await run_script_aside(_OFFLINE)
    ended.assert_ok()
    assert ended.stdout.splitlines() == ["[]", "[]", "256", "['numpy', 'safetensors', 'tokenizers']"]


@pytest.mark.parametrize("missing", ["numpy", "safetensors", "tokenizers", "wordllama"])
def test_without_the_extra_the_error_names_it(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(ModuleNotFoundError, match=rf"{missing}.*aiomemdb\[embeddings\]"):
        packaged()


# -- models of sentence-transformers -------------------------------------------------------------------------


class Model:
    """Has what we use of SentenceTransformer 6; the vector of a text is [its length, 1]."""

    def __init__(self, model_name_or_path: str | None = None, *, before: Callable[[], None] | None = None) -> None:
        self.loaded, self.before = model_name_or_path, before
        self.calls: list[list[str]] = []

    def encode(
        self,
        inputs: list[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        convert_to_numpy: bool = True,
    ) -> Floats:
        assert show_progress_bar is False and convert_to_numpy and len(inputs) <= batch_size
        self.calls.append(inputs)
        if self.before:
            self.before()
        return np.array([[len(text), 1.0] for text in inputs], dtype=np.float32)

    def get_embedding_dimension(self) -> int | None:
        return 2


class OldModel:
    """Before get_sentence_embedding_dimension was renamed."""

    encode = Model.encode
    get_sentence_embedding_dimension = Model.get_embedding_dimension


class LockThatTells:
    """A lock that passes a gate before it is waited for."""

    def __init__(self, gate: Gate) -> None:
        self.gate, self.lock = gate, threading.Lock()

    def __enter__(self) -> None:
        self.gate.block()
        self.lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lock.release()


def start(embedder: Embedder, *texts: str) -> asyncio.Task[Sequence[Sequence[float]]]:
    async def embed() -> Sequence[Sequence[float]]:
        return await embedder.embed(texts)

    return asyncio.create_task(embed())


async def test_a_loaded_model_encodes_in_batches() -> None:
    model = Model()
    embedder = sentence_transformer(model, name="tiny", batch=2)
    assert (embedder.model, embedder.dim) == ("tiny", 2)
    assert await embedder.embed(["one", "three", "\ud800"]) == [[3.0, 1.0], [5.0, 1.0], [1.0, 1.0]]
    assert model.calls == [["one", "three"], ["\ufffd"]]


async def test_a_batch_is_one_call_of_the_model_however_large() -> None:
    model = Model()
    await sentence_transformer(model, name="tiny", batch=100).embed(["text"] * 150)
    assert [len(call) for call in model.calls] == [100, 50]


async def test_a_model_is_loaded_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    library = ModuleType("sentence_transformers")
    library.__spec__ = sys.__spec__
    library.SentenceTransformer = Model  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    embedder = sentence_transformer("all-MiniLM-L6-v2")
    assert embedder.model == "all-MiniLM-L6-v2"
    assert await embedder.embed(["one"]) == [[3.0, 1.0]]


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ModuleNotFoundError, match="pip install 'sentence-transformers'"):
        sentence_transformer("all-MiniLM-L6-v2")


def test_a_model_of_an_older_library_serves_too() -> None:
    assert sentence_transformer(OldModel(), name="tiny").dim == 2


def test_a_loaded_model_needs_a_name() -> None:
    with pytest.raises(ValueError, match="name="):
        sentence_transformer(Model())


def test_a_model_without_a_known_length_of_vectors_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Model, "get_embedding_dimension", lambda self: None)
    with pytest.raises(ValueError, match="tiny"):
        sentence_transformer(Model(), name="tiny")


async def test_the_loop_goes_on_while_a_model_encodes() -> None:
    with Gate() as gate:
        call = start(sentence_transformer(Model(before=gate.block), name="tiny"), "one")
        await gate.wait_entered()  # here is the loop, and the model stands in the gate
        gate.open()
        assert await call == [[3.0, 1.0]]


async def test_a_cancelled_call_encodes_no_further_chunk() -> None:
    with Gate() as gate:
        model = Model(before=gate.block)
        embedder = sentence_transformer(model, name="tiny", batch=1)
        call = start(embedder, "one", "two", "three")
        await gate.wait_entered()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call  # at once: the gate is still shut
        gate.open()
    await embedder.embed(["next"])
    assert model.calls == [["one"], ["next"]]


async def test_a_model_never_encodes_twice_at_once_even_after_a_cancelled_call() -> None:
    with Gate() as gate, Gate() as door:
        door.open()
        model = Model(before=gate.block)
        embedder = sentence_transformer(model, name="tiny")
        embedder._busy = LockThatTells(door)  # type: ignore[attr-defined]
        first = start(embedder, "one")
        await gate.wait_entered()
        first.cancel()
        await asyncio.wait([first])
        second = start(embedder, "two")
        await door.wait_entered(2)  # its thread is at the lock
        assert gate.entered == 1
        gate.open()
        assert await second == [[3.0, 1.0]]


async def test_a_short_call_does_not_wait_for_the_whole_of_a_long_one() -> None:
    with Gate() as gate:
        model = Model(before=gate.block)
        embedder = sentence_transformer(model, name="tiny", batch=1)
        long = start(embedder, "long 1", "long 2", "long 3")
        await gate.wait_entered()
        short = start(embedder, "short")
        await asyncio.sleep(0)  # it has asked for its turn
        gate.open()
        await asyncio.gather(long, short)
    assert model.calls == [["long 1"], ["short"], ["long 2"], ["long 3"]]


async def test_waiting_calls_hold_no_thread() -> None:
    with Gate() as gate:
        embedder = sentence_transformer(Model(before=gate.block), name="tiny")
        first = start(embedder, "first")
        await gate.wait_entered()
        threads = threading.active_count()
        others = [start(embedder, "x" * n) for n in range(1, 50)]
        await asyncio.sleep(0)
        assert threading.active_count() == threads
        gate.open()
        assert await asyncio.gather(first, *others) == [[[5.0, 1.0]], *([[float(n), 1.0]] for n in range(1, 50))]


def test_one_embedder_serves_several_event_loops_in_turn() -> None:
    embedder = sentence_transformer(Model(), name="tiny")

    async def crowd() -> int:
        return len(await asyncio.gather(*[embedder.embed(["text"]) for _ in range(5)]))

    assert [asyncio.run(crowd()), asyncio.run(crowd())] == [5, 5]


async def test_what_a_model_raises_reaches_its_caller_alone() -> None:
    errors = [RuntimeError("out of memory")]

    def fail_once() -> None:
        if errors:
            raise errors.pop()

    embedder = sentence_transformer(Model(before=fail_once), name="tiny")
    with pytest.raises(RuntimeError, match="out of memory"):
        await embedder.embed(["one"])
    assert await embedder.embed(["one"]) == [[3.0, 1.0]]


def test_the_public_names() -> None:
    assert embedders.__all__ == ["Embedder", "openai_compatible", "packaged", "sentence_transformer"]
