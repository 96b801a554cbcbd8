"""What SQL of an agent may do, as a policy of the guard: what is listed here, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection

from ..common.names import folded
from ..connection.policies import ALL, FUNCTION, PRAGMA, READ, RECURSIVE, SELECT, Policy, Rule

__all__ = ["FUNCTIONS", "TABLE_FUNCTIONS", "agent_policy", "no_table"]

#: Of SQLite's own functions: those that only compute by their arguments or read the clock, in a time that a deadline
#: can bound. None of those that say something of the process, the connection or the file.
FUNCTIONS: frozenset[str] = frozenset(
    [
        "->",
        "->>",
        "abs",
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "avg",
        "ceil",
        "ceiling",
        "char",
        "coalesce",
        "concat",
        "concat_ws",
        "cos",
        "cosh",
        "count",
        "cume_dist",
        "current_date",
        "current_time",
        "current_timestamp",
        "date",
        "datetime",
        "degrees",
        "dense_rank",
        "exp",
        "first_value",
        "floor",
        "format",
        "glob",
        "group_concat",
        "hex",
        "if",
        "ifnull",
        "iif",
        "instr",
        "json",
        "json_array",
        "json_array_length",
        "json_extract",
        "json_group_array",
        "json_group_object",
        "json_object",
        "json_quote",
        "json_type",
        "json_valid",
        "julianday",
        "lag",
        "last_value",
        "lead",
        "length",
        "like",
        "likelihood",
        "likely",
        "ln",
        "log",
        "log10",
        "log2",
        "lower",
        "ltrim",
        "max",
        "min",
        "mod",
        "nth_value",
        "ntile",
        "nullif",
        "octet_length",
        "percent_rank",
        "pi",
        "pow",
        "power",
        "printf",
        "quote",
        "radians",
        "random",
        "rank",
        "replace",
        "round",
        "row_number",
        "rtrim",
        "sign",
        "sin",
        "sinh",
        "sqrt",
        "strftime",
        "string_agg",
        "substr",
        "substring",
        "sum",
        "tan",
        "tanh",
        "time",
        "timediff",
        "total",
        "trim",
        "trunc",
        "typeof",
        "unicode",
        "unixepoch",
        "unlikely",
        "upper",
    ]
)
#: Of FTS5.
SEARCHING: frozenset[str] = frozenset(["bm25", "highlight", "match", "snippet"])
TABLE_FUNCTIONS: frozenset[str] = frozenset(["json_each", "json_tree"])

_ONE_SELECT = "agent_read() takes one SELECT (or WITH ... SELECT), which only reads"


def no_table(name: str | None) -> str:
    """The same for a table that is not there and one that may not be read."""
    return f"there is no table {name} here"


def agent_policy(
    may_read: Callable[[str, str | None, str | None, str | None], bool],
    functions: Collection[str],
    *,
    inner_tables: Collection[str] | None,
    table_functions: Collection[str] = TABLE_FUNCTIONS,
) -> Policy:
    """
    Args:
        may_read: whether of this table this column, in this schema, may be read from inside this view; folded.
        functions: those that may be called.
        inner_tables: while the query runs: the tables in which FTS5 keeps its rows, which it reads by statements of its
            own. None: while it is compiled.
        table_functions: those of SQLite's that no table of the file hides.
    """

    def reads(first: str | None, second: str | None, schema: str | None, within: str | None) -> bool:
        table = folded(first or "")
        if table in table_functions or may_read(table, second, schema, None if within is None else folded(within)):
            return True
        return schema == "main" and table in (inner_tables or ())

    return Policy(
        where="in agent_read()",
        rules={
            READ: Rule("reading {first}", "", reads),
            SELECT: ALL,
            RECURSIVE: ALL,
            FUNCTION: Rule(
                "{second}()",
                "the functions that may be used are " + ", ".join(sorted(functions)),
                lambda first, second, schema, within: second in functions,
            ),
            PRAGMA: Rule(
                "PRAGMA {first}",
                _ONE_SELECT,
                lambda first, second, schema, within: (
                    inner_tables is not None and first == "data_version" and second is None
                ),
            ),
        },
        calls={},
        others=Rule("a statement that does more than read", _ONE_SELECT),
    )
