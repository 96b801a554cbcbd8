"""Tasks, threads and one loop; no SQL."""
