"""The text formats that memories move in: pure functions that know no memory and no engine."""
