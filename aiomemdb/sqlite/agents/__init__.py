"""The rooms of the SQLite engine in which SQL of untrusted agents is asked and answered."""
