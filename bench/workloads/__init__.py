"""The workloads, by the parts that ``run.py --only`` names; each returns the cells that it measures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from _cells import Cell, Options

from . import beside, growth, reading, storm

__all__ = ["PARTS"]

PARTS: dict[str, Callable[[Options], Iterator[Cell]]] = {
    "floor": storm.floors,
    "storm": storm.storms,
    "full": storm.full,
    "values": storm.values,
    "reads": reading.points,
    "ranges": reading.ranges,
    "streams": reading.streams,
    "bulk": reading.bulk,
    "hot": beside.hot,
    "mixed": beside.mixed,
    "act": beside.acts,
    "reports": beside.reports,
    "writers": beside.writers,
    "busy": beside.busy,
    "rows": growth.rows,
    "queue": growth.queues,
    "processes": growth.processes,
}
