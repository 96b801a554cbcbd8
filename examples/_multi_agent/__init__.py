"""The parts of `multi_agent.py` that are not its agents: source, graph, today's ways, screen, report."""

try:
    import rich  # noqa: F401
except ModuleNotFoundError:
    raise SystemExit("This demo draws its screen with rich: pip install 'aiomemdb[demo]'") from None
