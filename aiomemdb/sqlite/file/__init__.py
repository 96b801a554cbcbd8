"""The file, and who may write it."""
