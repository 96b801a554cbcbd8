"""The packaged embedder: the mean of a text's token vectors, from the weights inside the package ``wordllama``."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .common import InThread, require
from .protocol import Embedder

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer

__all__ = ["packaged"]


def packaged() -> Embedder:
    """WordLlama's 256-number vectors: some 30,000 short texts a second, and nothing is downloaded.

    The mean of a text's token vectors, so the order of words says nothing: good for names and for which texts are about
    the same things. English. The weights (16 MB) come with the package ``wordllama`` and are read at the first
    ``embed``, in a worker thread.

    Raises: ModuleNotFoundError: ``aiomemdb[embeddings]`` is not installed.
    """
    return _Packaged()


# Of longer texts the table's rows are not gathered (1 KiB a token) but weighed by how often each occurs: for 360,000
# tokens 10 ms instead of 850, and no 370 MB.
_LONG = 4096


class _Packaged(InThread):
    model = "wordllama/l2_supercat_256"
    dim = 256
    _most = 256

    def __init__(self) -> None:
        require("packaged()", "aiomemdb[embeddings]", "numpy", "safetensors", "tokenizers", "wordllama")
        super().__init__()
        self._loaded: tuple[Tokenizer, np.ndarray[Any, np.dtype[np.float32]]] | None = None

    def _load(self) -> tuple[Tokenizer, np.ndarray[Any, np.dtype[np.float32]]]:
        # Only wordllama's files are used, by path: its own load() may look on the network, and importing it
        # reconfigures the root logger.
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        spec = find_spec("wordllama")
        assert spec is not None and spec.origin is not None
        files = Path(spec.origin).parent
        tokenizer = Tokenizer.from_file(str(files / "tokenizers" / "l2_supercat_tokenizer_config.json"))
        table = load_file(files / "weights" / "l2_supercat_256.safetensors")["embedding.weight"]
        return tokenizer, table.astype("float32")

    def _encode(self, texts: list[str]) -> list[list[float]]:
        import numpy as np

        self._loaded = tokenizer, table = self._loaded or self._load()
        vectors = []
        # encode() of one text holds the GIL (0.5 s for 1 MB); a batch, even of one, does not.
        for encoding in tokenizer.encode_batch_fast(texts, add_special_tokens=False):
            ids = encoding.ids
            if len(ids) > _LONG:
                vector = np.bincount(ids, minlength=len(table)).astype(np.float32) @ table / len(ids)
            else:
                vector = table.take(ids, axis=0).mean(axis=0)
            vectors.append(vector.tolist())
        return vectors
