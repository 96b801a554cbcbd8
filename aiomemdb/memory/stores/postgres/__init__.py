"""The store on PostgreSQL. ``store.py`` composes it."""
