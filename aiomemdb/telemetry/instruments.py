"""The metrics: one set of instruments for each provider, however many databases use it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias  # Any: databases of all engines
from weakref import WeakKeyDictionary, ref

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, MeterProvider, Observation

__all__ = ["Instruments", "Labels", "instruments_of"]

Labels: TypeAlias = Mapping[str, str]

# Those of the convention for the duration of database operations.
_SECONDS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10)
# And those for the duration of a request.
_REQUESTS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
_JOBS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)

_of: WeakKeyDictionary[MeterProvider, Instruments] = WeakKeyDictionary()


def instruments_of(provider: MeterProvider) -> Instruments:
    found = _of.get(provider)
    if found is None:
        found = _of[provider] = Instruments(provider.get_meter("aiomemdb"))
    return found


class Instruments:
    def __init__(self, meter: Meter) -> None:
        def seconds(name: str, description: str) -> Histogram:
            return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=_SECONDS)

        self.duration: Histogram = seconds("db.client.operation.duration", "Duration of database client operations.")
        self.queue_wait: Histogram = seconds(
            "aiomemdb.queue.wait", "What the first job of a batch waited for the writer."
        )
        self.lock_wait: Histogram = seconds(
            "aiomemdb.lock.wait", "What a batch or a transaction waited for other processes."
        )
        self.requests: Histogram = meter.create_histogram(
            "mcp.server.operation.duration",
            "s",
            "Duration of requests that the server answers.",
            explicit_bucket_boundaries_advisory=_REQUESTS,
        )
        self.batch_size: Histogram = meter.create_histogram(
            "aiomemdb.batch.size",
            "{job}",
            "Jobs that the writer took at once.",
            explicit_bucket_boundaries_advisory=_JOBS,
        )
        # By id: a list of a dict's values is made in one step, whatever thread asks.
        self._watched: dict[int, tuple[ref[Any], Labels]] = {}
        meter.create_observable_gauge(
            "aiomemdb.wal.size", [self._log_sizes], "By", "Size of the write-ahead log, about when it was last written."
        )

    def watch(self, database: Any, labels: Labels) -> None:
        self._watched[id(database)] = (ref(database), labels)

    def leave(self, key: int) -> None:
        self._watched.pop(key, None)

    def _log_sizes(self, options: CallbackOptions) -> Iterable[Observation]:
        """On the exporter's thread."""
        for watched, labels in list(self._watched.values()):
            if (database := watched()) is not None:
                size = getattr(database.statistics(), "wal_bytes", None)  # a server's log is not ours to see
                if size is not None:
                    yield Observation(size, labels)
