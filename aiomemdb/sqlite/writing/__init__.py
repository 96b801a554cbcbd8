"""The writer and what runs on its connection."""
