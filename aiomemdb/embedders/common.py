"""What embedders share: texts that every model can take, in chunks, off the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from weakref import WeakKeyDictionary

__all__ = ["InThread", "chunks", "require", "well_formed"]


def require(what: str, install: str, *modules: str) -> None:
    if missing := [module for module in modules if find_spec(module) is None]:
        raise ModuleNotFoundError(f"{what} needs {', '.join(missing)}: pip install '{install}'", name=missing[0])


def well_formed(texts: Sequence[str]) -> list[str]:
    """Texts that every tokenizer and JSON can take: a lone surrogate becomes U+FFFD, an empty text a space.

    A space, for a model has no vector of nothing: the mean of no token is 0/0, and endpoints refuse the text.
    """
    if isinstance(texts, str):
        raise TypeError("embed() takes a sequence of texts, not one text: its letters would be embedded")
    return [text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") or " " for text in texts]


def chunks(texts: list[str], most: int, characters: int) -> Iterator[list[str]]:
    """Runs of at most so many texts and of so many characters; a longer text is alone."""
    chunk: list[str] = []
    room = characters
    for text in texts:
        if chunk and (len(chunk) == most or len(text) > room):
            yield chunk
            chunk, room = [], characters
        chunk.append(text)
        room -= len(text)
    if chunk:
        yield chunk


class InThread:
    """Encodes in a worker thread, chunk after chunk, one at a time.

    Calls take turns by chunk: a short one never waits for the whole of a long one. A cancelled call leaves the
    chunk that runs to its thread; ``_busy`` holds the next one back until it is done.
    """

    model: str
    dim: int
    _most: int  # texts in a chunk,
    _characters = 64 * 1024  # and characters: some 20 ms of tokenizing

    def __init__(self) -> None:
        self._busy = threading.Lock()
        # A lock for each event loop: one waits there for the turn, holding no thread meanwhile.
        self._turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        turn = self._turns.setdefault(asyncio.get_running_loop(), asyncio.Lock())
        vectors: list[list[float]] = []
        for chunk in chunks(well_formed(texts), self._most, self._characters):
            async with turn:
                vectors += await asyncio.to_thread(self._encode_alone, chunk)
        return vectors

    def _encode_alone(self, texts: list[str]) -> list[list[float]]:
        with self._busy:
            return self._encode(texts)

    def _encode(self, texts: list[str]) -> list[list[float]]:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<embedder {self.model!r}, {self.dim} numbers>"
