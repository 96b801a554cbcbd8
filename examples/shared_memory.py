"""Three assistants, one memory: one reads mail, one keeps the calendar, one answers; they agree on who is who.

They write at the same time and each spells a name its own way. What a later note corrects is superseded, not lost.

    python examples/shared_memory.py [memory.db]
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile

from aiomemdb import Entity, Memory, Statement, run

# What each reads, and the facts that a model would draw from it.
NOTES = {
    "mail": ("Ada Lovelace", "Ada Lovelace writes from London: the engine is ready!", "lives in", "London"),
    "calendar": ("ADA  LOVELACE", "Tuesday, tea with ADA  LOVELACE and Charles", "drinks tea with", "Charles Babbage"),
    "questions": ("ada lovelace", "Remind me: ada lovelace likes white roses.", "likes", "white roses"),
}


async def assistant(memory: Memory, agent: str) -> Entity:
    """Remembers its note, the text and the fact in one job; returns the entity that it is about."""
    own = memory.scoped(agent=agent)
    who, text, predicate, object = NOTES[agent]
    await own.remember(text, [(who, predicate, object)], key=f"first of {agent}")
    return await own.find_or_create_entity(who)


async def main(path: str) -> None:
    async with Memory.open(path) as memory:
        people = await asyncio.gather(*[assistant(memory, agent) for agent in NOTES])
        print(f"{len(people)} assistants, {len({entity.id for entity in people})} Ada Lovelace")
        ada = people[0]
        await memory.add_alias(ada, "A. A. L.")  # as she signs

        mail = memory.scoped(agent="mail")
        moved = Statement(subject="A. A. L.", predicate="lives in", object="Ockham", replace=True)
        await mail.remember("I have moved to Ockham. A. A. L.", [moved], key="second of mail")

        for fact in sorted(await memory.facts(ada), key=lambda fact: fact.text):
            [why] = await memory.evidence(fact)
            note = await memory.episode(why.episode)
            print(f"{fact.text}, says {why.agent}: {note.content if note else ''!r}")
        print("near her:", ", ".join(sorted(e.name for e in (await memory.neighbors(ada)).entities[1:])))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        run(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "memory.db")))
