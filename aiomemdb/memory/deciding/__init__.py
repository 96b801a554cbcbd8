"""What the memory's rules decide: pure functions from rows read to rows to write. No connection in sight."""
