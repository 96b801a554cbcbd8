"""How answers are written: JSON as JavaScript writes it, and how many tokens a text may be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..memory.prompt import estimate_tokens
from .service import Answer

__all__ = ["SIZE", "json_text", "noted"]

#: Under this name an answer's ``_meta`` says how many tokens it is by estimate, where it is above the bound.
SIZE = "aiomemdb/estimatedTokens"


def json_text(value: Any) -> str:
    """The text of ``JSON.stringify(value, null, 2)``."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def noted(text: str, structured: Mapping[str, Any], most: int) -> Answer:
    """An answer that is not cut, whatever its size."""
    size = estimate_tokens(text)
    return Answer(text, structured, meta={SIZE: size} if size > most else None)
