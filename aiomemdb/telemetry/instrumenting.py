"""``instrument``: which databases are observed, and by which providers."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any  # Any: databases of all engines
from weakref import WeakKeyDictionary

from ..database import Database
from ..later import Later
from ..observing import around_requests, around_verbs, joining, on_open

if TYPE_CHECKING:
    from opentelemetry import metrics, trace

    from . import instruments, joined, observer, requests, verbs
else:
    metrics, trace = Later("opentelemetry.metrics"), Later("opentelemetry.trace")
    instruments, joined, observer, requests, verbs = (
        Later(f".{name}", __package__) for name in ("instruments", "joined", "observer", "requests", "verbs")
    )

__all__ = ["instrument"]

#: What ends the observing of each database that is observed.
_observed: WeakKeyDictionary[Any, Callable[[], None]] = WeakKeyDictionary()


def instrument(
    *databases: Database,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
    query_text: bool = False,
) -> Callable[[], None]:
    """Have databases emit spans and metrics of OpenTelemetry.

    Set your providers first. A database is observed only where a provider records; otherwise it costs nothing.

    Spans:

    - One for each write and each query, named after its SQL without values, as ``INSERT note``. It is a child of the
      span in which you call the verb.
    - One for each commit, ``COMMIT``. It has links to the spans of its jobs, and they to it.
    - One for each verb of a memory, ``search_memory``, ``upsert_memory``, ``update_memory`` or ``delete_memory``, with
      those of its queries below it. Calls that the memory answers together have links to the spans that they share, and
      those to them. These conventions may still change, so the environment variable
      ``OTEL_SEMCONV_STABILITY_OPT_IN`` must have the word ``gen_ai_latest_experimental`` when a database is opened.
    - One for each request of a client of the MCP server, as ``tools/call recall``, with those of its verbs and queries
      below it. Its parent is the span that the client names in ``_meta``. These conventions may change, too.

    Metrics: ``db.client.operation.duration``, ``mcp.server.operation.duration``, ``aiomemdb.queue.wait`` and
    ``aiomemdb.lock.wait`` in seconds, ``aiomemdb.batch.size`` in jobs, ``aiomemdb.wal.size`` in bytes.

    No parameter, no row and no text of an error is recorded. An exporter that fails harms no call.

    Args:
        databases: open databases; none: every database that this process opens from now on.
        tracer_provider, meter_provider: default: the global ones, as they are when a database is opened.
        query_text: record each SQL text too, as ``db.query.text``, with the values that are written into it.

    Returns: what ends it; to call it again changes nothing.
    Raises:
        ModuleNotFoundError: ``aiomemdb[otel]`` is not installed.
        TypeError: an argument of the wrong type.
        DatabaseClosed, WrongLoop: a database that is not open, or of another loop.
    """
    if find_spec("opentelemetry") is None:
        raise ModuleNotFoundError(
            "telemetry needs opentelemetry-api: pip install 'aiomemdb[otel]'", name="opentelemetry"
        )
    if not isinstance(query_text, bool):
        raise TypeError(f"query_text={query_text!r}: True or False")
    for name, provider, kind in (
        ("tracer_provider", tracer_provider, trace.TracerProvider),
        ("meter_provider", meter_provider, metrics.MeterProvider),
    ):
        if provider is not None and not isinstance(provider, kind):
            raise TypeError(f"{name}={provider!r}: a {kind.__name__} of OpenTelemetry")
    for database in databases:
        if not hasattr(database, "_observe"):
            raise TypeError(f"{database!r}: a database by aiomemdb.connect(); of a memory, memory.db")
    instrumenting = _Instrumenting(tracer_provider, meter_provider, query_text)
    try:
        for database in databases:
            instrumenting.observe(database)
    except BaseException:
        instrumenting.end()
        raise
    if not databases:
        on_open.append(instrumenting.observe)
    return instrumenting.end


class _Instrumenting:
    """What one call of ``instrument`` began."""

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None,
        meter_provider: metrics.MeterProvider | None,
        query_text: bool,
    ) -> None:
        self._tracer_provider = tracer_provider
        self._meter_provider = meter_provider
        self._query_text = query_text
        self._ends: WeakKeyDictionary[Any, Callable[[], None]] = WeakKeyDictionary()

    def observe(self, database: Any) -> None:
        """On the database's loop. One that is observed already stays as it is."""
        traces = self._tracer_provider or trace.get_tracer_provider()
        measures = self._meter_provider or metrics.get_meter_provider()
        tracer = traces.get_tracer("aiomemdb") if _records(traces) else None
        meters = instruments.instruments_of(measures) if _records(measures) else None
        if database in _observed or (tracer is None and meters is None) or not hasattr(database, "_observe"):
            return
        of = observer.DatabaseObserver(database, tracer, meters, query_text=self._query_text)
        end_observing = database._observe(of.told)
        if tracer is not None and verbs.has_opted_in():
            around_verbs[database] = verbs.Verbs(tracer)
        if tracer is not None and not joining:
            joining.append(joined.Joined())
        around_requests[database] = requests.Requests(tracer, meters)

        def end() -> None:
            end_observing()
            of.end()

        _observed[database] = self._ends[database] = end

    def end(self) -> None:
        if self.observe in on_open:
            on_open.remove(self.observe)
        for database, end in list(self._ends.items()):
            end()
            around_verbs.pop(database, None)
            around_requests.pop(database, None)
            _observed.pop(database, None)
        self._ends.clear()
        if not _observed:
            joining.clear()


def _records(provider: object) -> bool:
    """Not where it is the API's own, which stands for one that is not set."""
    return not type(provider).__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))
