"""One connection: its thread, how it is set up, what SQL may do on it."""
