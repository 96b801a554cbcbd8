"""The store of the memory graph on SQLite: all of its SQL, cut by subject."""
