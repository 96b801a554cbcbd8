"""Random jobs: a call of any verb, with a text of the program or several."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .programs import Job
from .texts import Text, Texts

__all__ = ["READS", "WRITES", "Jobs"]

WRITES = ("write", "write", "write", "submit", "submit", "write_count", "write_returning", "write_many", "write_script")
READS = ("read", "read", "read_one", "read_value", "read_fn", "read_stream", "snapshot")


class Jobs(Texts):
    calls = 0

    def job(self) -> Job:
        rng = self.rng
        kind = rng.random()
        if kind < 0.75:
            return self.simple(rng.choice(WRITES), durable=rng.random() < 0.04)
        if kind < 0.9:
            return self.function()
        return self.transaction("transaction", 3)

    def simple(self, verb: str, *, durable: bool = False) -> Job:
        return self.simple_of(verb, self.text(), durable=durable)

    def simple_of(self, verb: str, text: Text, *, durable: bool = False) -> Job:
        """Mostly of this text: some verbs take others. Each fifth call of one statement is one of ``write_any``."""
        job = self._simple_of(verb, text, durable)
        if verb not in ("write", "write_count", "write_returning"):
            return job
        self.calls += 1
        return replace(job, verb="write_any") if self.calls % 5 == 0 else job

    def _simple_of(self, verb: str, text: Text, durable: bool) -> Job:
        rng = self.rng
        if verb == "executemany" and text.kind not in ("insert", "change"):
            text = rng.choice(self.inserts)
        if verb == "write_returning" and not text.has_rows and rng.random() < 0.9:
            with_rows = [each for each in (*self.inserts, *self.changes) if each.has_rows]
            text = rng.choice(with_rows) if with_rows else text
        if verb == "write_script":
            return Job(verb, self.script(), durable=durable)
        if verb == "write_many" and rng.random() < 0.4:
            return self._clean_rows(durable)
        if verb in ("write_many", "executemany"):
            rows = [self.params(text) for _ in range(rng.choice((verb == "executemany", 1, 2, 3, 5, 20, 40)))]
            return Job(verb, text.sql, rows, durable=durable)
        if text.values and rng.random() < 0.05:
            return self._named(verb, text, durable)
        return Job(verb, text.sql, self.params(text), durable=durable and verb != "submit")

    def _clean_rows(self, durable: bool) -> Job:
        """Many rows that are mostly taken."""
        rng = self.rng
        text = rng.choice(self.inserts[:2])
        rows: list[Any] = [self.numbers(text) for _ in range(rng.choice((17, 30, 70, 150)))]
        if rng.random() < 0.3:
            rows[rng.randrange(len(rows))] = self.params(text)
        return Job("write_many", text.sql, rows, durable=durable)

    def _named(self, verb: str, text: Text, durable: bool) -> Job:
        parts = text.sql.split("?")
        sql = "".join(f"{part}:p{n}" for n, part in enumerate(parts[:-1])) + parts[-1]
        params = {f"p{n}": self.value() for n in range(len(parts) - 1 - (self.rng.random() < 0.05))}
        return Job(verb, sql, params, durable=durable and verb != "submit")

    def script(self) -> str:
        rng = self.rng
        statements = []
        for _ in range(rng.randint(0, 4)):
            text = self.text()
            if text.kind in ("wrong", "query") and rng.random() < 0.8:
                continue
            statements.append(self.literal(text))
        return ";\n".join(statements) + rng.choice(("", ";", "; -- the end"))

    def function(self) -> Job:
        rng = self.rng
        verbs = ("execute", "execute", "execute", "execute", "executemany")
        steps = tuple(self.simple(rng.choice(verbs)) for _ in range(rng.randint(1, 4)))
        verb = "write_fn once" if rng.random() < 0.1 else "write_fn"
        return Job(verb, steps=steps, end=rng.choice(("", "", "stop", "stop", "raise")), durable=rng.random() < 0.04)

    def transaction(self, verb: str, depth: int) -> Job:
        rng = self.rng
        steps: list[Job] = []
        for _ in range(rng.randint(0, 5)):
            kind = rng.random()
            if kind < 0.15 and depth:
                steps.append(self.transaction("nested", depth - 1))
            elif kind < 0.3:
                steps.append(self.reading(("read", "read_one", "read_value", "read_fn")))
            elif kind < 0.4:
                steps.append(self.function())
            elif kind < 0.5:
                steps.append(Job("write", self.schema_change().sql))
            else:
                steps.append(self.simple(rng.choice([each for each in WRITES if each != "submit"])))
        return Job(verb, steps=tuple(steps), end=rng.choice(("", "", "", "stop", "raise")), durable=rng.random() < 0.04)

    def reading(self, verbs: tuple[str, ...] = READS) -> Job:
        rng = self.rng
        verb = rng.choice(verbs)
        text = rng.choice(self.queries)
        if verb == "snapshot":
            return Job(
                verb,
                steps=tuple(
                    self.reading(("read", "read_one", "read_value", "read_fn")) for _ in range(rng.randint(1, 3))
                ),
            )
        if verb == "read_fn":
            steps = tuple(
                Job("execute", each.sql, self.params(each)) for each in rng.choices(self.queries, k=rng.randint(1, 3))
            )
            return Job(verb, steps=steps, end=rng.choice(("", "stop")))
        return Job(verb, text.sql, self.params(text))

    def reading_of(self, sql: str) -> Job:
        """One query, in a random way."""
        rng = self.rng
        verb = rng.choice(READS)
        if verb == "snapshot":
            return Job(verb, steps=tuple(Job(rng.choice(("read", "read_one")), sql) for _ in range(rng.randint(1, 2))))
        if verb == "read_fn":
            return Job(verb, steps=(Job("execute", sql),))
        return Job(verb, sql)

    def run(self) -> tuple[Job, ...]:
        """Many agents that do the same at once: mostly one plain insert, with others in between."""
        rng = self.rng
        text = rng.choice(self.inserts)
        if rng.random() < 0.6:
            text = self.inserts[0]
        if self.schema.has_deferred_keys and rng.random() < 0.7:
            pair = rng.sample(self.inserts[:2], 2)
            number = rng.randint(0, 100)
            return tuple(Job("write", text.sql, (number,) * text.values) for text in pair)
        is_pure = rng.random() < 0.4
        jobs: list[Job] = []
        for _ in range(rng.choice((10, 20, 40, 80))):
            if not is_pure and rng.random() < 0.05:
                jobs.append(self.job())
            else:
                params = self.params(text)
                if is_pure and rng.random() < 0.7:
                    params = self.numbers(text)
                jobs.append(Job("write", text.sql, params))
        return tuple(jobs)
