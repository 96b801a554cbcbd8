"""What all rooms of the engine know: SQLite's codes, our errors that are SQLite's too, options and rows."""
