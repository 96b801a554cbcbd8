"""What runs on the writer's and the readers' threads for ADK's sessions, and their tables."""

from __future__ import annotations

import json
import math
import sqlite3
from typing import Any, NamedTuple

from google.adk.errors import StaleSessionError
from google.adk.errors.already_exists_error import AlreadyExistsError
from google.adk.errors.session_not_found_error import SessionNotFoundError
from google.adk.events import Event
from google.adk.sessions import Session, State
from google.adk.sessions.base_session_service import GetSessionConfig

from .._tables import Tables

__all__ = ["TABLES", "Parts", "Stored", "append", "create", "delete", "get", "listed", "user_state"]

# As ADK's SqliteSessionService makes them, and an index of ours.
TABLES = Tables(
    "ADK's sessions",
    """CREATE TABLE IF NOT EXISTS app_states (
        app_name TEXT PRIMARY KEY,
        state TEXT NOT NULL,
        update_time REAL NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS user_states (
        app_name TEXT NOT NULL,
        user_id TEXT NOT NULL,
        state TEXT NOT NULL,
        update_time REAL NOT NULL,
        PRIMARY KEY (app_name, user_id)
    )""",
    """CREATE TABLE IF NOT EXISTS sessions (
        app_name TEXT NOT NULL,
        user_id TEXT NOT NULL,
        id TEXT NOT NULL,
        state TEXT NOT NULL,
        create_time REAL NOT NULL,
        update_time REAL NOT NULL,
        PRIMARY KEY (app_name, user_id, id)
    )""",
    """CREATE TABLE IF NOT EXISTS events (
        id TEXT NOT NULL,
        app_name TEXT NOT NULL,
        user_id TEXT NOT NULL,
        session_id TEXT NOT NULL,
        invocation_id TEXT NOT NULL,
        timestamp REAL NOT NULL,
        event_data TEXT NOT NULL,
        PRIMARY KEY (app_name, user_id, session_id, id),
        FOREIGN KEY (app_name, user_id, session_id) REFERENCES sessions (app_name, user_id, id) ON DELETE CASCADE
    )""",
    # The events of a session stand in it in the order of their rowids: the latest few are found without sorting.
    "CREATE INDEX IF NOT EXISTS aiomemdb_events_of_session ON events (app_name, user_id, session_id)",
)

_SESSION = "app_name = ? AND user_id = ? AND id = ?"
_EVENTS = "app_name = ? AND user_id = ? AND session_id = ?"

#: app_name, user_id
_User = tuple[str, str]
#: app_name, user_id, session_id
_Key = tuple[str, str, str]
_State = dict[str, Any]


class Parts(NamedTuple):
    """What of a state is the app's, the user's, the session's own."""

    app: _State
    user: _State
    session: _State


class Stored(NamedTuple):
    """An event as it is stored."""

    id: str
    invocation_id: str
    timestamp: float
    data: str
    parts: Parts


def create(conn: sqlite3.Connection, user: _User, names: tuple[str, str], parts: Parts, now: float) -> Session:
    if (there := _found(conn, user, names)) is not None:
        raise AlreadyExistsError(f"Session with id {there} already exists.")
    key = (*user, names[1])
    _merge_shared(conn, user, parts, now)
    conn.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, ?)", (*key, json.dumps(parts.session), now, now))
    return _session(key, _merged(_app_state(conn, user), user_state(conn, user), parts.session), now)


def get(conn: sqlite3.Connection, user: _User, names: tuple[str, str], config: GetSessionConfig) -> Session | None:
    session_id = _found(conn, user, names)
    if session_id is None:
        return None
    key = (*user, session_id)
    state, updated = conn.execute(f"SELECT state, update_time FROM sessions WHERE {_SESSION}", key).fetchone()
    events: list[Event] = []
    limit, since = config.num_recent_events, config.after_timestamp
    sql = f"SELECT timestamp, event_data FROM events WHERE {_EVENTS} ORDER BY rowid DESC LIMIT ?"
    for timestamp, data in conn.execute(sql, (*key, -1 if limit is None else limit)):
        if since is not None and timestamp < since:
            break
        events.append(Event.model_validate_json(data))
    merged = _merged(_app_state(conn, user), user_state(conn, user), json.loads(state))
    return _session(key, merged, updated, events[::-1])


def listed(conn: sqlite3.Connection, app_name: str, user_id: str | None) -> list[Session]:
    sql = "SELECT user_id, id, state, update_time FROM sessions WHERE app_name = ?"
    values: tuple[str, ...] = (app_name,)
    if user_id is not None:
        sql, values = f"{sql} AND user_id = ?", (app_name, user_id)
    rows = conn.execute(f"{sql} ORDER BY update_time, user_id, id", values).fetchall()
    of_app = _app_state(conn, (app_name, ""))
    of_user = {name: user_state(conn, (app_name, name)) for name in {row[0] for row in rows}}
    return [
        _session((app_name, name, session_id), _merged(of_app, of_user[name], json.loads(state)), updated)
        for name, session_id, state, updated in rows
    ]


def delete(conn: sqlite3.Connection, user: _User, names: tuple[str, str]) -> None:
    session_id = _found(conn, user, names)
    if session_id is not None:
        conn.execute(f"DELETE FROM events WHERE {_EVENTS}", (*user, session_id))
        conn.execute(f"DELETE FROM sessions WHERE {_SESSION}", (*user, session_id))


def append(conn: sqlite3.Connection, key: _Key, seen: float, event: Stored) -> float | None:
    """Return the session's new time of update, or None where the event is there already."""
    row = conn.execute(f"SELECT state, update_time FROM sessions WHERE {_SESSION}", key).fetchone()
    if row is None:
        raise SessionNotFoundError(f"Session {key[2]} not found.")
    there = conn.execute(f"SELECT event_data FROM events WHERE {_EVENTS} AND id = ?", (*key, event.id)).fetchone()
    if there is not None:
        if there[0] == event.data:
            return None
        raise AlreadyExistsError(f"Session {key[2]} has another event with id {event.id}.")
    state, updated = row
    if updated > seen:
        raise StaleSessionError(f"Session {key[2]} was updated after it was read: read it again.")
    # It increases with each event, whatever the clocks of those that append: by it a stale session is seen.
    updated = event.timestamp if event.timestamp > updated else math.nextafter(updated, math.inf)
    _merge_shared(conn, key[:2], event.parts, updated)
    if event.parts.session:
        state = json.dumps(json.loads(state) | event.parts.session)
    conn.execute(f"UPDATE sessions SET state = ?, update_time = ? WHERE {_SESSION}", (state, updated, *key))
    values = (event.id, *key, event.invocation_id, event.timestamp, event.data)
    conn.execute("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    return updated


def user_state(conn: sqlite3.Connection, user: _User) -> _State:
    return _read(conn, "SELECT state FROM user_states WHERE app_name = ? AND user_id = ?", user)


def _app_state(conn: sqlite3.Connection, user: _User) -> _State:
    return _read(conn, "SELECT state FROM app_states WHERE app_name = ?", user[:1])


def _read(conn: sqlite3.Connection, sql: str, values: tuple[str, ...]) -> _State:
    row = conn.execute(sql, values).fetchone()
    state: _State = {} if row is None else json.loads(row[0])
    return state


def _merge_shared(conn: sqlite3.Connection, user: _User, parts: Parts, now: float) -> None:
    if parts.app:
        state = json.dumps(_app_state(conn, user) | parts.app)
        conn.execute("INSERT OR REPLACE INTO app_states VALUES (?, ?, ?)", (user[0], state, now))
    if parts.user:
        state = json.dumps(user_state(conn, user) | parts.user)
        conn.execute("INSERT OR REPLACE INTO user_states VALUES (?, ?, ?, ?)", (*user, state, now))


def _found(conn: sqlite3.Connection, user: _User, names: tuple[str, str]) -> str | None:
    sql = "SELECT id FROM sessions WHERE app_name = ? AND user_id = ? AND id IN (?, ?) ORDER BY id = ? DESC"
    row = conn.execute(sql, (*user, *names, names[0])).fetchone()
    return None if row is None else row[0]


def _merged(app: _State, user: _State, own: _State) -> _State:
    shared = {State.APP_PREFIX + name: value for name, value in app.items()}
    return own | shared | {State.USER_PREFIX + name: value for name, value in user.items()}


def _session(key: _Key, state: _State, updated: float, events: list[Event] | None = None) -> Session:
    app_name, user_id, session_id = key
    return Session(
        app_name=app_name,
        user_id=user_id,
        id=session_id,
        state=state,
        events=events or [],
        last_update_time=updated,
    )
