"""The verb that writes a memory as notes, and how notes are brought in."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Literal

from ..errors import FormatError
from ..formats.markdown import Note, find_notes, read_note
from ..formats.pages import Folder
from .bulk import Document, ExportedPages, Imported, Progress
from .drafts import Scope
from .loading import draft_into, load
from .names import checked_key, is_blank
from .notes import documents_of, named, pages
from .threads import in_thread
from .values import Name
from .view import View

__all__ = ["NoteVerbs"]


class NoteVerbs(View):
    """The verbs of notes."""

    async def export_markdown(
        self,
        folder: str | os.PathLike[str],
        *,
        namespaces: Iterable[str] | Literal["all"] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> ExportedPages:
        """Write a folder of Markdown: a page an entity, with its facts, what evidences them, their times and
        ``[[links]]``, so that note programs open it.

        The same memory is the same bytes, so that the folder can be kept in git. A second run rewrites the pages that
        are other ones now, and removes those of entities that are no more. It leaves alone what it did not write.

        Args:
            folder: made where there is none. A list of what was written is in it: ``.aiomemdb.json``.
            namespaces: as for ``export``.
            overwrite: replace pages that are in the way, or that were changed since they were written.
            progress: called on the loop as ``progress(done, total)`` with pages.

        Raises:
            FileExistsError: a page is in the way, or was changed; nothing was written.
            OSError: what the system says about the folder.
        Cancellation: pages that are written stay; the next run goes on.
        """
        chosen = self._chosen(namespaces)
        async with self._core.store.snapshot() as reads:
            spaces = (await reads.export_contents(chosen)).namespaces
            names = await named(reads, spaces)
            kept = await in_thread(partial(Folder, folder, overwrite=overwrite))
            await in_thread(kept.check, [f"{name}.md" for name in names.values()])
            await in_thread(kept.begin)
            done = 0
            async with aclosing(pages(reads, spaces, names)) as coming:
                async for name, text in coming:
                    await in_thread(kept.write, f"{name}.md", text)
                    done += 1
                    if progress is not None:
                        progress(done, len(names))
        return ExportedPages(pages=done, written=kept.written, removed=await in_thread(kept.finish))

    def _chosen(self, namespaces: Iterable[str] | Literal["all"] | None) -> list[str] | None:
        """None: all. Raises: TypeError, ValueError: no namespaces."""
        if namespaces is None:
            return list(self._scope.readable)
        if isinstance(namespaces, str):
            if namespaces != "all":
                raise TypeError('namespaces must be several: namespaces=[...], or "all"')
            return None
        return [checked_key("namespace", name) for name in namespaces]

    def _into(self, namespace: str | None) -> Scope:
        return self._scope if namespace is None else replace(self._scope, namespace=namespace)

    async def _import_notes(self, folder: Path, scope: Scope, progress: Progress | None) -> Imported:
        paths, known = await in_thread(self._check_notes, folder)

        async def documents() -> AsyncGenerator[Document, None]:
            for path in paths:
                yield documents_of(await in_thread(read_note, folder, path), known)

        def report(done: int, _: int | None) -> None:
            if progress is not None:
                progress(done, len(paths))

        loaded = await load(self._core, scope, documents(), report)
        for path in paths:
            note = await in_thread(read_note, folder, path)
            await self._name(scope, note)
        return Imported(rows=len(paths), new=loaded.stored)

    async def _name(self, scope: Scope, note: Note) -> None:
        """Let the aliases of a note, and the name of its file, mean its entity, where they mean no other one."""
        drafter, store = self._core.drafter(), self._core.writable_store
        wanted = drafter.name("name", Name(note.name, note.type))
        keys = {
            drafter.key("alias", alias): None for alias in (*note.aliases, Path(note.path).stem) if not is_blank(alias)
        }
        keys.pop(wanted.key, None)
        if not keys:
            return
        entity = await self._core.find(scope, wanted)
        taken = {key for key, _ in await store.named([scope.namespace], list(keys))}
        for key in keys:
            if entity is not None and key not in taken:
                await store.add_alias(scope, entity.id, key)

    def _check_notes(self, folder: Path) -> tuple[list[Path], dict[str, Name]]:
        """Read all notes of a folder; what they are of, by the names of their files. Raises: FormatError."""
        paths, known = find_notes(folder), dict[str, Name]()
        for path in paths:
            note = read_note(folder, path)
            try:
                draft_into(self._core.drafter(), documents_of(note, known))
            except ValueError as error:
                raise FormatError(f"{note.path}: {error}") from None
            known.setdefault(path.stem, Name(note.name, note.type))
        if not paths:
            raise FormatError(f"{folder} holds no Markdown: no file there ends in .md")
        return paths, known
