"""What the tests of LangGraph's adapters put: checkpoints, their configs, an embedder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.embeddings import Embeddings
from langgraph.checkpoint.base import Checkpoint, CheckpointTuple, empty_checkpoint

__all__ = ["Letters", "at", "checkpoint", "known"]


def at(thread: object, namespace: str = "", checkpoint_id: str | None = None, **metadata: Any) -> dict[str, Any]:
    """A config; ``metadata`` is the caller's."""
    configurable = {"thread_id": thread, "checkpoint_ns": namespace}
    if checkpoint_id is not None:
        configurable["checkpoint_id"] = checkpoint_id
    return {"configurable": configurable, "metadata": metadata}


def checkpoint(name: str, values: Mapping[str, Any] | None = None) -> Checkpoint:
    """A checkpoint of this id; each of its values is of a version of its own."""
    made = empty_checkpoint()
    made["id"] = name
    made["ts"] = "2026-01-02T03:04:05+00:00"
    made["channel_values"] = dict(values or {})
    made["channel_versions"] = {channel: f"{name}/{channel}" for channel in values or {}}
    return made


def known(found: CheckpointTuple | None) -> Any:
    """All that a checkpoint is, to compare."""
    if found is None:
        return None
    place = found.config["configurable"]
    return (
        (str(place["thread_id"]), place["checkpoint_ns"], place["checkpoint_id"]),
        found.checkpoint,
        found.metadata,
        found.parent_config and found.parent_config["configurable"]["checkpoint_id"],
        found.pending_writes or [],
    )


class Letters(Embeddings):
    """A text's vector: how often it has each of the letters a to h."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[float(text.lower().count(letter)) for letter in "abcdefgh"] for text in texts]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]
