"""The page of a memory, live: a server on this machine alone."""
