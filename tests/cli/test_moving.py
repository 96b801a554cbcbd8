"""``aiomemdb export`` and ``import``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.cli.test_command import call, ok

SERVER = '{"type":"entity","name":"Zoë","entityType":"person","observations":["sings"]}'


def document(*arguments: object) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ok(*arguments, "--json"))
    return found


def filled(path: Path) -> Path:
    ok("remember", path, "Ann knows Bob.", "--fact", "Ann | knows | Bob", "--key", "k")
    ok("remember", path, "Ann is at home.", "--namespace", "mail")
    return path


def test_what_is_exported_is_imported_by_a_file_or_a_pipe(tmp_path: Path) -> None:
    source = filled(tmp_path / "a.db")
    assert document("export", source, tmp_path / "a.jsonl") == {"entities": 2, "episodes": 2, "facts": 1}
    text = ok("export", source)
    assert text == (tmp_path / "a.jsonl").read_text()
    assert document("import", tmp_path / "b.db", tmp_path / "a.jsonl")["new"] == 5
    assert document("import", tmp_path / "b.db", tmp_path / "a.jsonl")["new"] == 0
    ok("import", tmp_path / "c.db", "-", input=text.encode())
    for copy in ("b.db", "c.db"):
        assert ok("export", tmp_path / copy) == text


def test_some_namespaces_alone_are_exported(tmp_path: Path) -> None:
    source = filled(tmp_path / "a.db")
    assert document("export", source, tmp_path / "a.jsonl", "--namespace", "mail") == {
        "entities": 0,
        "episodes": 1,
        "facts": 0,
    }


def test_a_file_that_is_there_is_kept_unless_it_may_be_overwritten(tmp_path: Path) -> None:
    source = filled(tmp_path / "a.db")
    (tmp_path / "a.jsonl").write_text("mine")
    result = call("export", source, tmp_path / "a.jsonl")
    assert result.exit_code != 0 and "overwrite" in result.output
    assert (tmp_path / "a.jsonl").read_text() == "mine"
    ok("export", source, tmp_path / "a.jsonl", "--overwrite")


def test_the_formats_of_others_go_in_and_out(tmp_path: Path) -> None:
    (tmp_path / "m.jsonl").write_text(SERVER)
    ok("import", tmp_path / "a.db", tmp_path / "m.jsonl")
    assert ok("export", tmp_path / "a.db", "--format", "server-memory") == SERVER
    assert document("export", tmp_path / "a.db", tmp_path / "notes", "--format", "markdown") == {
        "pages": 1,
        "written": 1,
        "removed": 0,
    }
    assert document("import", tmp_path / "b.db", tmp_path / "notes") == {"rows": 1, "new": 1}
    assert call("export", tmp_path / "a.db", "--format", "markdown").exit_code == 2


def test_a_bad_source_is_wrong_usage_and_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text(SERVER + "\n{")
    result = call("import", tmp_path / "a.db", tmp_path / "bad.jsonl")
    assert result.exit_code == 2
    assert "line 2" in result.output
    result = call("import", tmp_path / "new.db", tmp_path / "nowhere.jsonl")
    assert result.exit_code == 3
    assert not (tmp_path / "new.db").exists()


def test_a_new_file_compares_names_as_the_one_that_was_exported(tmp_path: Path) -> None:
    import asyncio

    from aiomemdb import Memory

    async def fill() -> None:
        async with Memory.open(tmp_path / "a.db", normaliser="exact") as memory:
            for name in ("Ann", "ann"):
                await memory.find_or_create_entity(name)

    asyncio.run(fill())
    ok("export", tmp_path / "a.db", tmp_path / "a.jsonl")
    assert document("import", tmp_path / "b.db", tmp_path / "a.jsonl")["new"] == 2
    assert ok("export", tmp_path / "b.db") == (tmp_path / "a.jsonl").read_text()
