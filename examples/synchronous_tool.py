"""A synchronous tool: plain functions, as agent frameworks call them in threads of their own, share one file.

No function is a coroutine, and none knows an event loop: the verbs of ``aiomemdb.blocking`` wait. Writes of all threads
share commits. Two threads that look for the same city at once make one row, since the look and the insert are one job.

    python examples/synchronous_tool.py [trips.db]
"""

from __future__ import annotations

import os
import sqlite3
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import aiomemdb.blocking

SCHEMA = """
CREATE TABLE IF NOT EXISTS city (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS trip (id INTEGER PRIMARY KEY, city INTEGER REFERENCES city, traveller TEXT NOT NULL);
"""


def find_or_create(conn: sqlite3.Connection, name: str) -> int:
    found = conn.execute("SELECT id FROM city WHERE name = ?", (name,)).fetchone()
    return (
        int(found["id"]) if found else int(conn.execute("INSERT INTO city (name) VALUES (?)", (name,)).lastrowid or 0)
    )


def book(db: aiomemdb.blocking.Database, traveller: str, name: str) -> str:
    """What a framework would call as a tool."""
    city = db.write_fn(find_or_create, name)
    trip = db.write("INSERT INTO trip (city, traveller) VALUES (?, ?)", (city, traveller))
    return f"trip {trip}: {traveller} to {name}"


def main(path: str) -> None:
    wishes = [(f"agent {n}", ("Lisbon", "Oslo", "Kyoto")[n % 3]) for n in range(30)]
    with aiomemdb.blocking.connect(path) as db:
        db.write_script(SCHEMA)
        with ThreadPoolExecutor(8) as pool:
            booked = list(pool.map(lambda wish: book(db, *wish), wishes))
        print(booked[0].partition(": ")[2])
        for row in db.read("SELECT name, count(*) AS n FROM city JOIN trip ON city = city.id GROUP BY name"):
            print(f"{row['name']}: {row['n']} trips")
        print(db.read_value("SELECT count(*) FROM city"), "cities,", len(set(booked)), "trips")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(folder, "trips.db"))
