"""Models of the library sentence-transformers as embedders."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from .common import InThread, require
from .protocol import Embedder

__all__ = ["sentence_transformer"]


def sentence_transformer(model: Any, *, name: str | None = None, batch: int = 32) -> Embedder:
    """A model of the library sentence-transformers, run in a worker thread, one call at a time.

    Args:
        model: a loaded ``SentenceTransformer``; or a name or path, which is loaded here and now: that takes seconds and
            may download, so in a coroutine use ``await asyncio.to_thread(sentence_transformer, "all-MiniLM-L6-v2")``.
        name: what the vectors are stored under; needed with a loaded model, which does not know its own name.
        batch: texts in one call of ``encode``: cancelled, ``embed`` leaves at most so many to be encoded in vain.

    Raises:
        ModuleNotFoundError: a name was given and ``sentence-transformers`` is not installed.
        ValueError: the model's name is not known, or the model does not say how many numbers its vectors have.
    """
    if isinstance(model, str):
        require("sentence_transformer(name)", "sentence-transformers", "sentence_transformers")
        library = import_module("sentence_transformers")
        name, model = name or model, library.SentenceTransformer(model)
    if not name:
        raise ValueError("a loaded model does not know its name: give name=, under which its vectors are stored")
    return _SentenceTransformer(model, name, batch)


class _SentenceTransformer(InThread):
    def __init__(self, model: Any, name: str, batch: int) -> None:
        super().__init__()
        # Renamed in sentence-transformers 5.x; the old name warns there.
        dim = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
        self._transformer, self.model, self._most = model, name, batch
        self.dim = dim()
        if not self.dim:
            raise ValueError(f"the model {name!r} does not say how many numbers its vectors have")

    def _encode(self, texts: list[str]) -> list[list[float]]:
        # Its progress bar is on by default where the program logs at INFO.
        encoded = self._transformer.encode(texts, batch_size=self._most, show_progress_bar=False, convert_to_numpy=True)
        vectors: list[list[float]] = encoded.tolist()
        return vectors
