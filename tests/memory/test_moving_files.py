"""What files of memories may be, and what they may not."""

from __future__ import annotations

import asyncio
import gzip
import io
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from aiomemdb import FormatError, Memory, NotFound
from tests.memory.moving_support import exported, filled

# -- bad files ---------------------------------------------------------------------------------------------------------


async def test_a_file_that_is_cut_anywhere_is_an_error_and_nothing_is_written(memory: Memory, other: Memory) -> None:
    text = await filled(memory)
    ends = [place for place, character in enumerate(text) if character == "\n"][:-1]
    for cut in [0, *ends, *(place + 1 for place in ends), len(text) // 2, len(text) - 2]:
        with pytest.raises(FormatError) as caught:
            await other.import_(io.StringIO(text[:cut]))
        assert caught.value.line is not None or cut == 0
        assert (await other.counts()).entities == 0


def changed(text: str, line: int, **fields: Any) -> str:
    """The text with fields of a line changed; None takes them away."""
    lines = text.splitlines()
    row = {**json.loads(lines[line - 1]), **fields}
    lines[line - 1] = json.dumps({name: value for name, value in row.items() if value is not None})
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("line", "fields", "why"),
    [
        (1, {"version": 2}, "version 2"),
        (1, {"version": None}, "version null"),
        (1, {"normalisers": 3}, "normalisers"),
        (2, {"entity": 2}, "count from 1"),
        (2, {"name": 7}, '"name" should be a text, not 7'),
        (2, {"name": "x" * 1001}, "1,001 characters"),
        (2, {"name": "a\0b"}, "NUL"),
        (2, {"created_at": "2020-01-01T00:00:00"}, "no time zone"),
        (2, {"created_at": "yesterday"}, "should be a time"),
        (2, {"namespace": "unheard of"}, "namespace"),
        (2, {"aliases": [[""]]}, "empty name"),
        (2, {"aliases": None}, "aliases"),
        (2, {"near": [[9, 0.5]]}, '"near"'),
        (2, {"vector": "AAAA"}, "vector"),
        ("episode", {"mentions": [99]}, '"mentions"'),
        ("episode", {"content": None}, '"content" is missing'),
        ("episode", {"metadata": []}, '"metadata" should be an object'),
        ("fact", {"subject": 0}, '"subject"'),
        ("fact", {"object": None}, "exactly one"),
        ("fact", {"evidence": [{"episode": 9, "created_at": "2020-01-01T00:00:00+00:00"}]}, '"episode"'),
        ("fact", {"valid_at": "2020-01-02T00:00:00+00:00", "invalid_at": "2020-01-01T00:00:00+00:00"}, "later"),
        ("event", {"kind": "thing"}, '"kind"'),
        ("event", {"ref": True}, '"ref"'),
        (-1, {"counts": {"entities": 1}}, "missing or too many"),
    ],
)
async def test_a_wrong_value_is_an_error_with_its_line(
    memory: Memory, other: Memory, line: int | str, fields: dict[str, Any], why: str
) -> None:
    text = await filled(memory)
    rows = [json.loads(each) for each in text.splitlines()]
    if isinstance(line, str):
        number = next(n for n, row in enumerate(rows, start=1) if line in row)
    else:
        number = line if line > 0 else len(rows)
    with pytest.raises(FormatError, match=re.escape(why)) as caught:
        await other.import_(io.StringIO(changed(text, number, **fields)))
    assert caught.value.line == number
    assert (await other.counts()).entities == 0


async def test_a_fact_about_an_entity_of_another_namespace_is_an_error_with_its_line(
    memory: Memory, other: Memory
) -> None:
    await memory.add_fact("Ada", "lives in", "London")
    await memory.scoped(namespace="two").add_fact("Bob", "is", value="there")
    sink = io.StringIO()
    await memory.export(sink, namespaces="all")
    rows = [json.loads(line) for line in sink.getvalue().splitlines()]
    number = next(n for n, row in enumerate(rows, start=1) if "fact" in row and row["namespace"] == "two")
    with pytest.raises(NotFound, match=f"line {number}: its entity is of another namespace"):
        await other.import_(io.StringIO(changed(sink.getvalue(), number, subject=1)))


@pytest.mark.parametrize("text", ["", "hello", "[]", '{"a":1}', '{"format":"aiomemdb"}', '{"type":"note"}'])
async def test_what_is_no_export_is_an_error(memory: Memory, text: str) -> None:
    with pytest.raises(FormatError):
        await memory.import_(io.StringIO(text))


async def test_what_is_behind_the_end_is_an_error(memory: Memory, other: Memory) -> None:
    text = await filled(memory)
    with pytest.raises(FormatError, match="has lines after its end"):
        await other.import_(io.StringIO(text + "{}\n"))


async def test_a_lone_surrogate_is_an_error(memory: Memory, other: Memory) -> None:
    text = (await filled(memory)).replace('"Ann"', '"\\ud800"')
    with pytest.raises(FormatError, match="lone surrogate"):
        await other.import_(io.StringIO(text))


# -- files -------------------------------------------------------------------------------------------------------------


async def test_a_file_appears_whole_or_not_at_all(memory: Memory, tmp_path: Path) -> None:
    text = await filled(memory)
    folder = tmp_path / "exports"
    folder.mkdir()
    path = folder / "memory.jsonl.gz"
    exported_rows = await memory.export(path)
    assert (exported_rows.entities, exported_rows.episodes, exported_rows.facts) == (5, 2, 4)
    assert gzip.decompress(path.read_bytes()).decode() == text
    with pytest.raises(FileExistsError, match="overwrite"):
        await memory.export(path)
    path.unlink()
    with pytest.raises(ZeroDivisionError):
        await memory.export(path, progress=lambda done, total: 1 // 0)
    assert os.listdir(folder) == []


async def test_an_export_is_one_state_whatever_is_written_meanwhile(db_path: Path, tmp_path: Path) -> None:
    async with Memory.open(db_path) as memory:
        text = await filled(memory)
        writes: list[asyncio.Task[Any]] = []

        def write(done: int, total: int | None) -> None:
            writes.append(asyncio.create_task(memory.remember(f"meanwhile {done}", [("Ann", "is", f"late {done}")])))

        await memory.export(tmp_path / "a.jsonl", progress=write)
        assert (tmp_path / "a.jsonl").read_text() == text
        await asyncio.gather(*writes)
        assert len(writes) > 1


async def test_progress_ends_with_all_rows(memory: Memory, other: Memory, tmp_path: Path) -> None:
    await filled(memory)
    for verb, view in ((memory.export, "a"), (other.import_, "b")):
        seen: list[tuple[int, int | None]] = []
        await verb(tmp_path / "a.jsonl", progress=lambda *now, seen=seen: seen.append(now))  # type: ignore[operator]
        assert seen and seen[-1][0] == seen[-1][1], view
        assert [done for done, _ in seen] == sorted(done for done, _ in seen)


async def test_namespaces_are_those_that_the_view_reads(memory: Memory) -> None:
    await memory.remember("own")
    await memory.scoped(namespace="team").remember("team")
    await memory.scoped(namespace="secret").remember("secret")

    async def texts(view: Memory, **chosen: Any) -> list[str]:
        target = io.StringIO()
        await view.export(target, **chosen)
        rows = [json.loads(line) for line in target.getvalue().splitlines()]
        return [row["content"] for row in rows if "episode" in row]

    assert await texts(memory) == ["own"]
    assert await texts(memory.scoped(also_read=["team"])) == ["own", "team"]
    assert await texts(memory, namespaces=["secret", "nowhere"]) == ["secret"]
    assert await texts(memory, namespaces="all") == ["own", "team", "secret"]
    with pytest.raises(TypeError, match="several"):
        await memory.export(io.StringIO(), namespaces="team")  # type: ignore[arg-type]


async def test_nothing_of_what_was_forgotten_is_exported(memory: Memory) -> None:
    said = await memory.remember("The password is swordfish.", [("Ann", "uses", "swordfish")])
    await memory.retract(said.facts[0], "it was swordfish")
    await memory.forget(said.episode)
    await memory.forget((await memory.entities())[1])
    assert "swordfish" not in await exported(memory)


# -- server-memory -----------------------------------------------------------------------------------------------------

SERVER = (
    '{"type":"entity","name":"Zoë","entityType":"person","observations":["sings","a\\nb"]}\n'
    '{"type":"entity","name":"Acme","entityType":"company","observations":[]}\n'
    '{"type":"relation","from":"Zoë","to":"Acme","relationType":"works_at"}\n'
    '{"type":"relation","from":"Zoë","to":"Nowhere","relationType":"lives_in"}'
)


async def test_the_file_of_a_server_memory_goes_in_and_comes_out(memory: Memory) -> None:
    for new in (7, 0):  # three names, one of them implied, and four facts
        imported = await memory.import_(io.StringIO(SERVER))
        assert (imported.rows, imported.new) == (4, new)
    assert [(each.name, each.type, each.implied) for each in await memory.entities()] == [
        ("Zoë", "person", False),
        ("Acme", "company", False),
        ("Nowhere", None, True),
    ]
    assert [fact.value for fact in await memory.facts("Zoë", "observation")] == ["sings", "a\nb"]
    target = io.StringIO()
    written = await memory.export(target, format="server-memory")
    assert target.getvalue() == SERVER
    assert (written.entities, written.facts) == (2, 4)


async def test_a_wrong_line_of_a_server_memory_is_an_error_and_nothing_is_written(memory: Memory) -> None:
    for wrong in ('{"type":"entity","name":" ","entityType":"x","observations":[]}', '{"type":"relation","from":1}'):
        with pytest.raises(FormatError) as caught:
            await memory.import_(io.StringIO(SERVER + "\n\n" + wrong))
        assert caught.value.line == 6
        assert (await memory.counts()).entities == 0


async def test_values_that_are_no_observations_go_out_as_sentences(memory: Memory) -> None:
    await memory.add_fact("Ann", "age", value=7)
    target = io.StringIO()
    await memory.export(target, format="server-memory")
    assert json.loads(target.getvalue())["observations"] == ["Ann age 7"]
