"""Where a memory is kept: a store for each engine loads and applies rows; no rule of the memory stands here."""
