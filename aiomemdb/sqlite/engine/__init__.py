"""What composes the rooms below into a database: its verbs, its transactions, how it opens and closes."""
