"""The page that shows a memory: a document around data, and the server that keeps it live. Knows nothing of memory."""
