"""What telemetry costs: CPU time of a write and of a read, without it, unconfigured, with metrics and with spans.

    python bench/telemetry.py [--quick]

All in turn, round after round. CPU time of the whole process, all threads, so that other programs disturb it least.
What is exported is dropped: it is the cost of telling, not of an exporter.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

from _harness import (
    BODY,
    INSERT,
    alternate,
    check_count,
    fresh_database,
    on_loop,
    option_parser,
    print_context,
    write_json,
)
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExporter, SpanExportResult

import aiomemdb
from aiomemdb import telemetry

CALLERS = 1000


class _Dropped(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


def _cost(calls: int, instrument: Callable[[], Callable[[], None]]) -> tuple[float, float]:
    """Microseconds of CPU time a write and a read."""
    end = instrument()
    try:
        with fresh_database(rows=1000) as path:

            async def main() -> tuple[float, float]:
                async with aiomemdb.connect(path) as db:

                    async def write(caller: int) -> None:
                        for _ in range(calls // CALLERS):
                            await db.write(INSERT, (caller, BODY))

                    async def read(caller: int) -> None:
                        for _ in range(calls // CALLERS):
                            await db.read("SELECT body FROM note WHERE id = ?", (caller + 1,))

                    costs = []
                    for work in (write, read):
                        began = time.process_time()
                        async with asyncio.TaskGroup() as group:
                            for caller in range(CALLERS):
                                group.create_task(work(caller))
                        costs.append((time.process_time() - began) / calls * 1e6)
                    return costs[0], costs[1]

            costs = on_loop(main)
            check_count(path, 1000 + calls)
            return costs
    finally:
        end()


def main() -> None:
    options = option_parser(__doc__, quick="fewer calls, three rounds").parse_args()
    calls, rounds = (5_000, 3) if options.quick else (50_000, options.rounds)
    tracer_provider = TracerProvider(shutdown_on_exit=False)
    tracer_provider.add_span_processor(SimpleSpanProcessor(_Dropped()))
    meter_provider = MeterProvider([InMemoryMetricReader()], shutdown_on_exit=False)
    ways: dict[str, Callable[[], Callable[[], None]]] = {
        "without": lambda: lambda: None,
        "no provider": telemetry.instrument,
        "metrics": lambda: telemetry.instrument(meter_provider=meter_provider),
        "spans": lambda: telemetry.instrument(tracer_provider=tracer_provider),
    }
    measured = alternate({name: partial(_cost, calls, way) for name, way in ways.items()}, rounds)
    medians = {
        name: {verb: statistics.median(cost[at] for cost in costs) for at, verb in enumerate(("write", "read"))}
        for name, costs in measured.items()
    }
    print_context(str(rounds))
    print(f"{CALLERS:,} callers, {calls:,} calls, median of {rounds} rounds, us of CPU time a call (x without)")
    for name, cost in medians.items():
        shown = (f"{verb} {us:6.2f} ({us / medians['without'][verb]:.3f})" for verb, us in cost.items())
        print(f"  {name:12} {'   '.join(shown)}")
    if options.json:
        write_json(options.json, medians)


if __name__ == "__main__":
    main()
