"""The parts of `multi_agent.py` that are not its agents: source, graph, storm, screen."""
