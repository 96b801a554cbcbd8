"""What one rule has been told, and what it writes at its end."""

from __future__ import annotations

from dataclasses import dataclass, field

from ....errors import AiomemdbError
from ...deciding.moment import Moment
from ...questions import Model
from ..knowing import Entities
from ..past import of_past
from .asking import Asking
from .ids import Range

__all__ = ["Restarted", "World"]


class Restarted(AiomemdbError):
    """Another job was first at what no lock keeps: the rule runs again from its start."""


@dataclass(slots=True)
class World:
    """One run of a rule.

    Attributes:
        ids: those of new rows; None: the rule only reads.
        spaces: the ids of namespaces by name, as far as a job asked for them: it has their rows for itself.
        made: those of them that the job itself has made.
        events: the ids of the job's lines of the audit, as far as they were given.
        model: the id of the file's model, and that, where it was asked for.
        entities: one object each, however often it is found.
        wrote: whether there is anything to be committed.
    """

    asking: Asking
    ids: Range | None = None
    spaces: dict[str, int] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    events: list[int] = field(default_factory=list)
    model: tuple[int, Model] | None = None
    entities: Entities = field(default_factory=Entities)
    wrote: bool = False

    async def give_events(self, count: int) -> None:
        """See to it that so many lines of the audit have their ids. The job has its namespaces for itself: so in each
        the ids are in the order of commits.
        """
        missing = count - len(self.events)
        if missing > 0:
            rows = await self.asking.rows(
                "SELECT nextval('aiomemdb.event_id') FROM generate_series(1, :n::int)", n=missing
            )
            self.events += sorted(row[0] for row in rows)

    def event(self, moment: Moment, place: int = 0, /) -> int:
        """A line that a call of the job leaves, its first one or one of those after it, or what stands for one in the
        past.
        """
        if moment.past is not None:
            return of_past(moment.past) + place
        return self.events[moment.before + place]
