"""The verbs that move memories: to a file and from one."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from contextlib import ExitStack, aclosing
from itertools import islice
from pathlib import Path
from typing import IO, Literal

from ..errors import FormatError, NormaliserChanged
from ..formats import lines, server_memory
from ..formats.files import Source, Target, opened_twice, writing
from ..formats.rows import Row
from .bringing_in import BringingIn, Packer
from .bulk import Exported, Imported, Progress
from .deciding.restoring import Restored, restore, restored_already
from .drafts import Scope
from .interchange import drafted, nodes_of, relations_of
from .loading import Pace, ahead, others_first
from .moving_notes import NoteVerbs
from .names import checked_key
from .questions import Model
from .reads import Reads
from .threads import in_thread
from .writing_out import WritingOut

__all__ = ["MovingVerbs"]

#: "aiomemdb": all that there is; "server-memory": the JSON Lines of npm's @modelcontextprotocol/server-memory.
Format = Literal["aiomemdb", "server-memory"]


class MovingVerbs(NoteVerbs):
    """The verbs that move memories."""

    async def export(
        self,
        target: Target,
        *,
        format: Format = "aiomemdb",
        vectors: bool = False,
        namespaces: Iterable[str] | Literal["all"] | None = None,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> Exported:
        """Write all that namespaces hold to a file: JSON Lines, which ``import_`` brings back.

        It has entities with all their names, texts of all versions, facts with both times and their evidence, near
        names, what was merged into what, and the audit; nothing of what was forgotten. It is one committed state,
        whatever others write meanwhile, and holds one reader. The same memory is the same bytes, whatever its ids are.

        Args:
            target: a path, "-" for standard output, or an open file. The suffix ``.gz`` compresses it, and so does
                ``.zst`` from Python 3.14 on. A file appears when it is whole, and does not where this fails.
            format: "aiomemdb", all that there is; or "server-memory", the JSON Lines of npm's
                @modelcontextprotocol/server-memory: entities and what is believed of them now, without times, texts
                and evidence.
            vectors: write the vectors too. They are most of the file then.
            namespaces: "all", or which; default: those that this view reads.
            overwrite: replace a file that is there.
            progress: called on the loop as ``progress(done, total)`` with entities, texts and facts.

        Raises:
            FileExistsError: there is a file, and ``overwrite`` is not set.
            OSError: what the system says about the target.
            ValueError: ``.zst`` on an older Python; a namespace that can't be.
        Cancellation: no file is left.
        """
        if format not in ("aiomemdb", "server-memory"):
            raise ValueError(f'format={format!r}: "aiomemdb" or "server-memory"')
        chosen = self._chosen(namespaces)
        with ExitStack() as stack:
            write = await in_thread(stack.enter_context, writing(target, overwrite=overwrite))
            async with self._core.store.snapshot() as reads:
                if format == "server-memory":
                    exported = await self._export_server_memory(reads, write, chosen, progress)
                else:
                    exported = await self._export(reads, write, chosen, vectors, progress)
            await in_thread(stack.close)
        return exported

    async def _export(
        self,
        reads: Reads,
        write: Callable[[str], object],
        namespaces: list[str] | None,
        vectors: bool,
        progress: Progress | None,
    ) -> Exported:
        contents = await reads.export_contents(namespaces)
        model = contents.model if vectors else None
        header = lines.Header(
            contents.normalisers,
            tuple(contents.namespaces),
            None if model is None else (model.name, model.dim),
            dict(contents.counts),
        )
        await in_thread(write, lines.encode(header))
        out, total = WritingOut(reads, contents, model), sum(contents.counts.values())

        def put(rows: list[Row]) -> None:
            write("".join(map(lines.encode, rows)))

        async with aclosing(out.slices()) as slices:
            async for rows in slices:
                await in_thread(put, rows)
                out.counts.update(map(lines.kind_of, rows))
                if progress is not None and rows:
                    progress(sum(out.counts[kind] for kind in contents.counts), total)
        await in_thread(write, lines.trailer(out.counts))
        counts = out.counts
        return Exported(entities=counts["entities"], episodes=counts["episodes"], facts=counts["facts"])

    async def _export_server_memory(
        self,
        reads: Reads,
        write: Callable[[str], object],
        namespaces: list[str] | None,
        progress: Progress | None,
    ) -> Exported:
        contents = await reads.export_contents(namespaces)
        entities, facts, total = 0, 0, contents.counts["entities"] + contents.counts["facts"]
        between = ""
        async with aclosing(nodes_of(reads, contents.namespaces)) as slices:
            async for nodes in slices:
                between = await in_thread(_put, write, between, server_memory.write(nodes, ()))
                entities += len(nodes)
                facts += sum(len(node.observations) for node in nodes)
                if progress is not None:
                    progress(entities + facts, total)
        async with aclosing(relations_of(reads, contents.namespaces)) as more:
            async for relations in more:
                between = await in_thread(_put, write, between, server_memory.write((), relations))
                facts += len(relations)
                if progress is not None:
                    progress(entities + facts, total)
        return Exported(entities=entities, episodes=0, facts=facts)

    async def import_(
        self, source: Source, *, namespace: str | None = None, progress: Progress | None = None
    ) -> Imported:
        """Bring in a file that ``export`` wrote, the JSON Lines of server-memory, or a folder of Markdown.

        All of it is checked first. A file that was cut short, an unknown version or a wrong value is an error
        with the number of its line, and nothing was written. Then it is brought in by many jobs, between which others
        write. A text and the facts drawn from it are one job. Cut short, it goes on when it is run again.

        Into a memory that holds something, names are found as they always are. Texts and facts that are here already
        are not made again: the same file once more changes nothing. What is made keeps its times. So ``as_of`` and
        ``known_at`` of the past answer as they did where it comes from. In its history the line "import" is added.

        Of a folder, each note is a text, under its path as its key: it mentions what it links to by ``[[links]]``. What
        its front matter says, and lines such as ``- works at:: [[Acme]]``, are facts of the entity that the note is of.
        A note that was changed is the next version of its text.

        Vectors are brought in if the file has them. For all that has none, call ``reembed()``.

        Args:
            source: a path, of a folder too, "-" for standard input, or an open file. Suffixes: as for ``export``.
            namespace: where all of it goes; default: to the namespaces of the file; of server-memory to this view's.
            progress: called on the loop as ``progress(done, total)`` with rows, after each job.

        Raises:
            FormatError: see above; its ``line`` is the number.
            EpisodeExists: there is another text under the key of one of the file. Its documents before it are here.
            NormaliserChanged: the file's names were normalised in another way than this memory's.
            ModelChanged: the file's vectors are of another model than this memory's: export it without them.
            OSError: the file can't be read.
        Cancellation: a job that has begun is finished, and no other begins.
        """
        if namespace is not None:
            checked_key("namespace", namespace)
        store = self._core.writable_store
        if isinstance(source, str | os.PathLike) and source != "-" and await in_thread(os.path.isdir, source):
            return await self._import_notes(Path(source), self._into(namespace), progress)
        with ExitStack() as stack:
            file = await in_thread(stack.enter_context, opened_twice(source))
            first = await in_thread(_first_line, file)
            if not lines.is_header(first):
                if not _is_server_memory(first):
                    raise FormatError(
                        "this is no file that can be imported: its first line is neither the header of an export nor "
                        "an entity or a relation of server-memory",
                        line=1,
                    )
                return await self._import_server_memory(file, self._into(namespace), progress)
            header, total = await in_thread(_check, file)
            there = (await store.export_contents([])).normalisers
            for use, name in header.normalisers.items():
                if there.get(use, name) != name:
                    raise NormaliserChanged(
                        f"the file's {use} is {name!r}, and this memory's is {there[use]!r}: import it into a memory "
                        "that was opened with the same one"
                    )
            here = {space: namespace or space for space in header.namespaces}
            return await self._bring_in(file, here, header, total, progress)

    async def _bring_in(
        self, file: IO[bytes], here: dict[str, str], header: lines.Header, total: int, progress: Progress | None
    ) -> Imported:
        store, pace = self._core.writable_store, Pace()
        model = None if header.model is None else Model(*header.model)
        state = BringingIn(here, model)
        file.seek(0)
        file.readline()
        packer = await in_thread(Packer, lines.read(iter(file)))

        async def packs() -> AsyncGenerator[list[Row], None]:
            while rows := await in_thread(packer.pack, pace.size):
                yield rows

        done, made, all_known = 0, 0, True
        async with aclosing(ahead(packs()) if self._core.works_ahead else packs()) as coming:
            async for rows in coming:
                parcel = state.parcel(rows)
                # What was brought in before is at the beginning, if there is any: a read is enough to know that.
                restored: Restored | None
                restored = await store.follow(restored_already, parcel, self._scope.agent) if all_known else None
                if restored is None:
                    all_known = False
                    restored = await store.job(None, restore, parcel, self._scope.agent, pace)
                    pace.end(len(rows))
                    await others_first()
                ids, new = restored
                state.became(parcel, ids)
                made += new
                done += len(rows)
                if progress is not None:
                    progress(done, total)
        await store.loaded(made)
        return Imported(rows=done, new=made)

    async def _import_server_memory(self, file: IO[bytes], scope: Scope, progress: Progress | None) -> Imported:
        total = await in_thread(self._check_server_memory, file)
        file.seek(0)
        items = server_memory.read(iter(file))
        before = await self._core.store.counts(scope.namespace)
        done, pace = 0, Pace()
        while some := await in_thread(list, islice(items, max(1, int(pace.size / 2)))):
            drafts = [drafted(self._core.drafter(), item) for item in some]
            await self._core.embed_all(scope, drafts)
            answers = await self._core.writable_store.write([(scope, draft) for draft in drafts], timed=pace)
            for answer in answers:
                if isinstance(answer, Exception):
                    raise answer
            pace.end(sum(1 + len(draft.facts) for draft in drafts))
            await others_first()
            done += len(some)
            if progress is not None:
                progress(done, total)
        after = await self._core.store.counts(scope.namespace)
        made = after.entities + after.facts - before.entities - before.facts
        await self._core.writable_store.loaded(made)
        return Imported(rows=done, new=made)

    def _check_server_memory(self, file: IO[bytes]) -> int:
        """Read all of a file. Raises: FormatError."""
        file.seek(0)
        total, line = 0, 0

        def counted() -> Iterator[bytes]:
            nonlocal line
            for text in file:
                line += 1
                yield text

        for item in server_memory.read(counted()):
            total += 1
            try:
                drafted(self._core.drafter(), item)
            except ValueError as error:
                raise FormatError(str(error), line=line) from None
        return total


def _put(write: Callable[[str], object], between: str, pieces: Iterable[str]) -> str:
    """Write some lines behind others; return what comes before the next ones."""
    text = "".join(pieces)
    if text:
        write(between + text)
    return "\n" if text else between


def _first_line(file: IO[bytes]) -> bytes:
    """The first line that is not blank."""
    file.seek(0)
    for line in file:
        if line.strip():
            return line
    return b""


def _is_server_memory(line: bytes) -> bool:
    try:
        row = json.loads(line)
    except ValueError:
        return False
    return isinstance(row, dict) and row.get("type") in ("entity", "relation")


def _check(file: IO[bytes]) -> tuple[lines.Header, int]:
    """Read all of a file. Raises: FormatError."""
    file.seek(0)
    header = lines.read_header(file.readline())
    spaces, total = set(header.namespaces), 0
    dim = None if header.model is None else 4 * header.model[1]
    for row in lines.read(iter(file)):
        total += 1
        if getattr(row, "namespace", None) not in (None, *spaces):
            raise FormatError("its namespace is none of those that the header names", line=row.line)
        vector = getattr(row, "vector", None)
        if vector is not None and len(vector) != dim:
            raise FormatError("its vector has not as many numbers as the header says", line=row.line)
    return header, total
