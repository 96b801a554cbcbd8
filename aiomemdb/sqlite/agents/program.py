"""What a compiled query may hold in memory at once, told from its bytecode before it runs.

SQLite bounds the size of a value, not how many of them a query holds. So the more of them its program makes, the
smaller each may be. And some functions take the time of two values' product, and can't be interrupted.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..writing.bytecode import Op, Program

__all__ = ["MOST_MEMORY", "OneTooMany", "gathered", "largest_value"]

MOST_MEMORY = 48_000_000
_SORTED = 2_000_000  # what one sorter, or one table that is made on the way, keeps in memory at most: its cache
_LEAST = 20_000

# Values that each makes.
_WEIGHTS = {
    "AggFinal": 1,
    "AggStep": 2,
    "AggStep1": 2,
    "AggValue": 1,
    "Cast": 1,
    "Column": 1,
    "Concat": 2,
    "Function": 2,
    "Function0": 2,
    "MakeRecord": 1,
    "PureFunc": 2,
    "PureFunc0": 2,
    "RowData": 1,
    "SorterData": 1,
    "VColumn": 1,
    "VFilter": 20,  # json_each keeps what it has read
    "Variable": 1,
}
_OF_JSON = 20
_MADE_ON_THE_WAY = frozenset(["OpenAutoindex", "OpenDup", "OpenEphemeral", "SorterOpen"])

# The most bytes of a value beside these: by two such values, 0.1 s and 0.2 s each.
_BY_PRODUCT = {"instr": 65_536, "replace": 65_536, "like": 262_144, "glob": 262_144}
_TOO_SLOW = frozenset(["trim(2)", "ltrim(2)", "rtrim(2)"])

# What writes a register (https://www.sqlite.org/opcode.html), by the operand that says which.
_GIVEN = frozenset(["Integer", "Int64", "Null", "Real", "String", "String8", "Variable"])
_COPIES = frozenset(["Copy", "IntCopy", "SCopy"])
_INTO_P2 = frozenset(["Blob", "NewRowid", "RowData", "Rowid", "Sequence", "SorterData"])
_INTO_P3 = frozenset(
    [
        *("Add", "AggValue", "And", "BitAnd", "BitOr", "Column", "Concat", "Divide", "Function", "Function0"),
        *("MakeRecord", "Multiply", "Or", "PureFunc", "PureFunc0", "Remainder", "ShiftLeft", "ShiftRight", "Subtract"),
        "VColumn",
    ]
)
_INTO_P1 = frozenset(["AggFinal", "AggStep", "Cast", "Gosub", "Yield"])

_TO_WHERE_A_REGISTER_SAYS = frozenset(["EndCoroutine", "Return", "Yield"])
_ONLY_WRITES = (_GIVEN | _COPIES | _INTO_P2 | _INTO_P3 | _INTO_P1) - {"Gosub", "Yield"}

_GATHERS = "json_group_"
_ESCAPED = 6  # bytes in JSON of a byte of a text: \u0001
_NEVER_AGAIN = 1_000


class OneTooMany(Exception):
    """What is refused, and what to do, for a model."""


def largest_value(program: Program, *, searches: bool) -> int:
    """How large each value may be while this runs; ``program`` is what EXPLAIN returns.

    Args:
        searches: whether it asks FTS5. Then what it searches for is to stand in the text or the parameters.

    Raises: OneTooMany.
    """
    weight, made, most = 1, 0, MOST_MEMORY
    for _, opcode, _, p2, p3, p4, *_ in program:
        weight += _WEIGHTS.get(opcode, 0)
        if opcode in ("Function", "PureFunc", "AggStep", "AggStep1", "Function0", "PureFunc0"):
            name = (p4 or "").partition("(")[0]
            if p4 in _TOO_SLOW:
                raise OneTooMany(f"{name}() with two arguments is not allowed: use {name}() with one")
            if name.startswith("json") or name.startswith("->"):
                weight += _OF_JSON
            most = min(most, _BY_PRODUCT.get(name, most))
        elif opcode == "ResultRow":
            weight += 2 * p2  # Python's of it, too
        elif opcode == "Copy":
            weight += p3 + 1
        elif opcode in _MADE_ON_THE_WAY:
            made += 1
    left = MOST_MEMORY - made * _SORTED
    most = min(most, left // weight)
    if most < _LEAST:
        raise OneTooMany(
            "this query would hold too much at once: use fewer expressions, or fewer of ORDER BY, GROUP BY, DISTINCT, "
            "UNION and WITH tables"
        )
    if searches:
        _check_searches(program)
    return most


def gathered(program: Program) -> float:
    """How many bytes of JSON one instruction adds to what is gathered of many rows, at most and over many instructions,
    for each byte that a value may have; 0: none. See heap.py.
    """
    gathering = [op for op in program if op.opcode in ("AggStep", "AggStep1") and (op.p4 or "").startswith(_GATHERS)]
    return sum(_ESCAPED * op.p5 / _round(program, op.addr) for op in gathering)


def _round(program: Program, start: int) -> int:
    """The fewest instructions until this one may run again. What follows an instruction is never missed; but a register
    may pass for an address, and the round be longer in truth.
    """
    seen, latest = {start}, [start]
    for length in range(1, len(program) + 1):
        following = {then for address in latest for then in _following(program, address)}
        if start in following:
            return length
        latest = [address for address in following - seen if address < len(program)]
        seen.update(latest)
    return _NEVER_AGAIN


def _following(program: Program, address: int) -> Iterable[int]:
    _, opcode, p1, p2, p3, *_ = program[address]
    if opcode in _TO_WHERE_A_REGISTER_SAYS:
        return range(len(program))
    if opcode in _ONLY_WRITES:
        return (address + 1,)
    return (address + 1, p1, p2, p3) if opcode == "Jump" else (address + 1, p2)


def _check_searches(program: Program) -> None:
    """FTS5 makes a plan of what it is to search for, and can't be interrupted: so that is not to be computed."""
    for address, (_, opcode, _, _, p3, *_) in enumerate(program):
        if opcode != "VFilter":
            continue
        [count] = [p1 for _, maker, p1, p2, *_ in program[:address] if maker == "Integer" and p2 == p3 + 1][-1:]
        if not all(_is_given(program, address, p3 + 2 + place) for place in range(count)):
            raise OneTooMany(
                "the search text of a full-text table must be in quotes or a parameter; and json_each() "
                "can't stand beside it: ask in two queries"
            )


def _is_given(program: Program, before: int, register: int) -> bool:
    """Whether what is in this register is of the text or a parameter."""
    for address in range(before - 1, -1, -1):
        if _writes(program[address], register):
            return _is_given_by(program, address)
    # What is the same for each row is made at the end of the program, where it begins.
    makers = [address for address in range(before, len(program)) if _writes(program[address], register)]
    return bool(makers) and all(_is_given_by(program, address) for address in makers)


def _writes(instruction: Op, register: int) -> bool:
    _, opcode, p1, p2, p3, *_ = instruction
    if opcode in _GIVEN or opcode in _COPIES or opcode in _INTO_P2:
        return bool(p2 == register)
    return bool((opcode in _INTO_P3 and p3 == register) or (opcode in _INTO_P1 and p1 == register))


def _is_given_by(program: Program, address: int) -> bool:
    _, opcode, p1, *_ = program[address]
    return opcode in _GIVEN or (opcode in _COPIES and _is_given(program, address, p1))
