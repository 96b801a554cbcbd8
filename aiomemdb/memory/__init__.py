"""The memory graph: entities, facts with two times, and the texts they were drawn from."""
