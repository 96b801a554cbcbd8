"""The readers and what runs on them."""
