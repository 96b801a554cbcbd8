"""Questions with known evidence: MuSiQue, LoCoMo and CMRC, as their authors publish them, read from a folder.

==================================================  ================================================================
``musique*.json``, ``musique*_corpus.json``,        a question, its supporting paragraphs; all passages; the triples
``openie_musique*.json``                            that a language model drew from each (HippoRAG's files)
``locomo*.json``                                    conversations, and questions that name the turns which answer them
``cmrc*.json``                                      Chinese paragraphs, and a question for each
==================================================  ================================================================

MuSiQue makes two sets: one with the triples, and one without, where each passage mentions the titles that it holds.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

__all__ = ["Collection", "Document", "Question", "read_collections"]

Triple: TypeAlias = tuple[str, str, str]
_TURN = re.compile(r"D\d+:\d+")
_WORD = re.compile(r"\w+")
# Categories 1 to 4 of LoCoMo; 5 are questions that nothing answers.
_ANSWERABLE = range(1, 5)


@dataclass(frozen=True)
class Document:
    key: str
    text: str
    session: str | None = None
    source: str | None = None
    triples: list[Triple] = field(default_factory=list)
    mentions: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Question:
    text: str
    evidence: frozenset[str]
    """Keys of the documents that answer it."""


@dataclass(frozen=True)
class Collection:
    """What goes into one file, and what is asked of it."""

    name: str
    part: str
    documents: list[Document]
    questions: list[Question]


def read_collections(folder: Path) -> list[Collection]:
    """All that the folder has; sorted by name."""
    found: list[Collection] = []
    for path in sorted(folder.glob("musique*.json")):
        corpus = path.with_name(f"{path.stem}_corpus.json")
        triples = sorted(folder.glob(f"openie_{path.stem}*.json"))
        if corpus.exists() and triples:
            found += _musique(path, corpus, triples[0])
    for path in sorted(folder.glob("locomo*.json")):
        found += [_locomo(path.stem, number, entry) for number, entry in enumerate(json.loads(path.read_text()))]
    return found + [_cmrc(path) for path in sorted(folder.glob("cmrc*.json"))]


def _musique(questions: Path, corpus: Path, triples: Path) -> list[Collection]:
    passages = [(passage["title"], passage["text"]) for passage in json.loads(corpus.read_text())]
    drawn = {entry["passage"]: entry["extracted_triples"] for entry in json.loads(triples.read_text())["docs"]}
    documents = []
    for number, (title, text) in enumerate(passages):
        document = f"{title}\n{text}"
        # What a model writes is not always a triple of names.
        whole = [
            (triple[0], triple[1], triple[2])
            for triple in drawn.get(document, [])
            if len(triple) == 3 and all(isinstance(part, str) and part.strip() for part in triple)
        ]
        documents.append(Document(str(number), document, triples=whole))
    places = {passage: str(number) for number, passage in enumerate(passages)}
    asked = [
        Question(
            entry["question"],
            frozenset(
                places[part["title"], part["paragraph_text"]] for part in entry["paragraphs"] if part["is_supporting"]
            ),
        )
        for entry in json.loads(questions.read_text())
    ]
    titles = _titles([title for title, _ in passages])
    linked = [Document(each.key, each.text, mentions=_mentioned(each.text, titles)) for each in documents]
    return [
        Collection(questions.stem, "all", documents, asked),
        Collection(f"{questions.stem}_mentions", "all", linked, asked),
    ]


def _titles(titles: list[str]) -> dict[tuple[str, ...], str]:
    """By their words, without what stands in brackets behind a name."""
    found: dict[tuple[str, ...], str] = {}
    for title in titles:
        words = tuple(_WORD.findall(re.sub(r"\s*\([^)]*\)$", "", title).lower()))
        if words:
            found.setdefault(words, title)
    return found


def _mentioned(text: str, titles: dict[tuple[str, ...], str]) -> list[str]:
    """The longest titles that a text holds."""
    words, found, place = _WORD.findall(text.lower()), dict[str, None](), 0
    longest = max(map(len, titles))
    while place < len(words):
        for length in range(min(longest, len(words) - place), 0, -1):
            title = titles.get(tuple(words[place : place + length]))
            if title is not None:
                found[title] = None
                place += length - 1
                break
        place += 1
    return list(found)


def _cmrc(path: Path) -> Collection:
    data = json.loads(path.read_text())
    documents = [Document(each["id"], each["text"]) for each in data["texts"]]
    asked = [Question(each["question"], frozenset(each["evidence"])) for each in data["questions"]]
    return Collection(path.stem, "all", documents, asked)


def _locomo(name: str, number: int, entry: dict[str, Any]) -> Collection:
    documents: list[Document] = []
    spoken = entry["conversation"]
    sessions = sorted((key for key in spoken if re.fullmatch(r"session_\d+", key)), key=lambda key: int(key[8:]))
    for session in sessions:
        for turn in spoken[session]:
            parts = [spoken[f"{session}_date_time"], f"{turn['speaker']}:", turn["text"], turn.get("blip_caption", "")]
            documents.append(
                Document(turn["dia_id"], " ".join(part for part in parts if part), session, turn["speaker"])
            )
    known = {document.key for document in documents}
    asked = []
    for question in entry["qa"]:
        evidence = frozenset(_TURN.findall(" ".join(question["evidence"]))) & known
        if question["category"] in _ANSWERABLE and evidence:
            asked.append(Question(question["question"], evidence))
    return Collection(name, str(number), documents, asked)
