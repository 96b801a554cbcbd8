"""PostgresRow: the rows of this engine."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn  # Any: a column may hold anything

__all__ = ["PostgresRow", "row_class"]


class PostgresRow(tuple[Any, ...]):
    """See ``aiomemdb.Row``. Names are looked up as the server spells them: ``SELECT Id`` has the column ``id``.

    Each list of columns has a class of its own, made once: a row then is no larger than a tuple.
    """

    __slots__ = ()

    _names: ClassVar[tuple[str, ...]] = ()
    _places: ClassVar[dict[str, int]] = {}

    def __getitem__(self, key: Any) -> Any:
        if key.__class__ is str:
            try:
                return tuple.__getitem__(self, self._places[key])
            except KeyError:
                columns = ", ".join(self._names)
                raise KeyError(f"no column {key!r}: the row has {len(self)}: {columns}") from None
        return tuple.__getitem__(self, key)

    def keys(self) -> list[str]:
        return list(self._names)

    def get(self, name: str, default: Any = None) -> Any:
        if not isinstance(name, str):
            raise TypeError(f"row.get({name!r}): the name of a column")
        place = self._places.get(name)
        return default if place is None else tuple.__getitem__(self, place)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PostgresRow) and self._names == other._names and tuple.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((self._names, tuple(self)))

    def __repr__(self) -> str:
        return f"Row({', '.join(f'{name}={value!r}' for name, value in zip(self._names, self, strict=True))})"

    def __copy__(self) -> PostgresRow:
        return self

    def __reduce__(self) -> tuple[object, ...]:
        return _made_again, (self._names, tuple(self))

    if not TYPE_CHECKING:  # to type checkers what is missing is missing

        def __getattr__(self, name: str) -> NoReturn:
            advice = f'use row["{name}"]' if name in self._places else f"its columns are {', '.join(self._names)}"
            raise AttributeError(f"a Row has no attribute {name!r}: {advice}")


def _made_again(names: tuple[str, ...], values: tuple[object, ...]) -> PostgresRow:
    return row_class(names)(values)


@lru_cache(maxsize=1024)
def row_class(names: tuple[str, ...]) -> type[PostgresRow]:
    """The class of the rows that have these columns. Of two columns of one name the first is found by it."""
    places = {name: len(names) - 1 - back for back, name in enumerate(reversed(names))}
    return type("PostgresRow", (PostgresRow,), {"__slots__": (), "_names": names, "_places": places})


def names_of(result: Any) -> tuple[str, ...]:
    """The names of the columns of a result of the server's."""
    names: Sequence[bytes] = [result.fname(column) for column in range(result.nfields)]
    return tuple(name.decode() for name in names)
