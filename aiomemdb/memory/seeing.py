"""The verb that makes a page of a memory, to be looked at."""

from __future__ import annotations

import asyncio
import difflib
import os

from ..errors import NotFound
from ..view.document import check_target, page_of, write_page
from .pictures import Picture, PictureQuery
from .times import now_micros
from .values import Entity
from .view import View, checked_count, one_more

__all__ = ["SeeingVerbs", "picture_around"]

# A name that no entity has is compared with so many that are there.
_NAMES = 20_000
#: A browser draws this many; more is for ``aiomemdb serve``, which sends parts.
MOST_ENTITIES = 50_000


class SeeingVerbs(View):
    async def export_html(
        self,
        path: str | os.PathLike[str],
        *,
        around: str | Entity | None = None,
        hops: int = 2,
        limit: int = 2000,
        overwrite: bool = False,
    ) -> None:
        """Write a page that shows this memory in a browser: one file, which needs no network and no server.

        It shows entities as a graph, the facts between them with both times, evidence with its quotes, and which agent
        said what. Its two sliders show what was true, and what was believed, at any time. What it shows of a time is
        what the verbs answer with that ``as_of`` and ``known_at``. All of it is read in one snapshot.

        The page holds texts of the memory, of long ones the part around the quote. Anyone with the file can read them.

        Args:
            path: where to write it, such as ``"memory.html"``.
            around: a name or an entity: the page is of what is within ``hops`` facts of it. None: the best connected
                entities and the newest.
            hops: how far from ``around``, from 1 on.
            limit: how many entities at most, up to 50,000. A line of the page says of how many they are.
            overwrite: replace a file that is there.

        Raises:
            NotFound: no entity is called ``around``; the message has near names.
            FileExistsError: the file is there, and ``overwrite`` is not set.
            FileNotFoundError, NotADirectoryError, PermissionError: its folder is not there, or can't be written.
            ValueError, TypeError: ``hops`` or ``limit`` is no count from 1.
            AiomemdbError: in a transaction.
        Cancellation: the file is there whole or not at all.
        """
        target = check_target(path, overwrite=overwrite)
        picture = await picture_around(self, around, hops, limit)
        name = None if around is None else around.name if isinstance(around, Entity) else around
        title = os.path.basename(target).rpartition(".")[0]
        made_at = now_micros() // 1000

        def write() -> None:
            data = picture.to_json(
                title=title, around=name, hops=hops, made_at=made_at, namespaces=list(self._scope.readable)
            )
            write_page(target, page_of(data), overwrite=overwrite)

        await asyncio.to_thread(write)


async def picture_around(view: View, around: str | Entity | None, hops: int, limit: int) -> Picture:
    """Raises: as ``SeeingVerbs.export_html``, of its arguments."""
    if checked_count("hops", hops) < 1:
        raise ValueError(f"hops={hops}: at least 1")
    if one_more(limit) > MOST_ENTITIES + 1:
        raise ValueError(f"limit={limit}: at most {MOST_ENTITIES:,}")
    start = None
    if around is not None:
        start = await view._ids(around)
        if not start:
            raise NotFound(f"no entity {around!r}{await _near(view, str(around))}")
    store, spaces = view._core.store, view._scope.readable
    picture = await store.picture(spaces, PictureQuery(start, hops, limit))
    if start is not None and not picture.entities:  # forgotten, or of another namespace
        raise NotFound(f"no entity {around!r} in {', '.join(map(repr, spaces))}")
    return picture


async def _near(view: View, name: str) -> str:
    """What to say of names that are like one that no entity has."""
    known = await view._core.store.entities(view._scope.readable, ids=None, type_key=None, after=0, limit=_NAMES)
    names = {entity.name.casefold(): entity.name for entity in known}
    near = difflib.get_close_matches(name.casefold(), names, n=3, cutoff=0.5)
    near += [each for each in names if name.casefold() in each and each not in near][: 3 - len(near)]
    return f": did you mean {' or '.join(repr(names[each]) for each in near)}?" if near else ""
