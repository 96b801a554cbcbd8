"""The JSON Lines of server-memory: what it writes is read, and what is written is what it writes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiomemdb import FormatError
from aiomemdb.formats.server_memory import Node, Relation, read, write

# As the server has written it.
WRITTEN = (
    '{"type":"entity","name":"Zoë","entityType":"person","observations":["sings \\"low\\"","a\\nb\u2028c"]}\n'
    '{"type":"entity","name":"Acme","entityType":"","observations":[]}\n'
    '{"type":"relation","from":"Zoë","to":"Nowhere","relationType":"works_at"}'
)
READ = [Node("Zoë", "person", ('sings "low"', "a\nb\u2028c")), Node("Acme", ""), Relation("Zoë", "Nowhere", "works_at")]


def test_what_the_server_writes_is_read() -> None:
    assert list(read(WRITTEN.split("\n"))) == READ
    assert list(read(WRITTEN.encode().split(b"\n"))) == READ


def test_what_is_written_is_byte_for_byte_what_the_server_writes() -> None:
    assert "".join(write(READ[:2], READ[2:])) == WRITTEN  # type: ignore[arg-type]
    assert "".join(write([], [])) == ""


def test_blank_lines_other_objects_and_further_fields_are_skipped_as_the_server_does() -> None:
    lines = [
        "",
        '{"type":"note","name":1}',
        '{"type":"entity","name":"A","entityType":"t","observations":[],"x":1}',
        " ",
    ]
    assert list(read(lines)) == [Node("A", "t")]


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[1]", "not a JSON object"),
        ('{"type":"entity","entityType":"t","observations":[]}', '"name"'),
        ('{"type":"entity","name":"A","entityType":7,"observations":[]}', '"entityType" must be a text, not 7'),
        ('{"type":"entity","name":"A","entityType":"t"}', '"observations"'),
        ('{"type":"entity","name":"A","entityType":"t","observations":["x",null]}', '"observations"'),
        ('{"type":"relation","from":"A","to":null,"relationType":"r"}', '"to"'),
    ],
)
def test_a_wrong_line_is_an_error_with_its_number(line: str, why: str) -> None:
    with pytest.raises(FormatError, match=why) as caught:
        list(read(["", '{"type":"other"}', line]))
    assert caught.value.line == 3
    assert str(caught.value).startswith("line 3: ")
    assert caught.value.applied is False


texts = st.text(st.characters(exclude_categories=["Cs"]))
nodes = st.lists(st.builds(Node, texts, texts, st.lists(texts).map(tuple)))
relations = st.lists(st.builds(Relation, texts, texts, texts))


@given(nodes, relations)
def test_any_text_comes_back(some: list[Node], others: list[Relation]) -> None:
    text = "".join(write(some, others))
    assert list(read(text.split("\n"))) == [*some, *others]
    assert all("\n" not in line and json.loads(line) for line in text.split("\n") if line)
