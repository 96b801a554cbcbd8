"""The PostgreSQL engine. ``aiomemdb.connect("postgresql://...")`` makes its database."""
