"""Spans and metrics by OpenTelemetry: ``telemetry.instrument()``. It needs ``aiomemdb[otel]``."""

from .instrumenting import instrument

__all__ = ["instrument"]
