"""ADK's ``BaseSessionService``."""

from __future__ import annotations

import logging
from typing import Any

from google.adk.errors import StaleSessionError
from google.adk.events import Event
from google.adk.platform import time as platform_time
from google.adk.platform import uuid as platform_uuid
from google.adk.sessions import BaseSessionService, Session, State
from google.adk.sessions.base_session_service import GetSessionConfig, ListSessionsResponse
from pydantic_core import PydanticSerializationError, to_jsonable_python

from .._checks import checked_key
from . import session_jobs as jobs
from .opening import Service, checked_user

__all__ = ["AiomemdbSessionService"]

_log = logging.getLogger("aiomemdb.integrations.google_adk")


class AiomemdbSessionService(Service, BaseSessionService):
    """Keeps sessions of ADK: ``Runner(session_service=AiomemdbSessionService(db), ...)``.

    The tables are those of ADK's ``SqliteSessionService``: either opens a file of the other. Any number of agents and
    processes share a file. Events of a session come back in the order in which they were appended. Tasks may append to
    one ``Session`` object at once.

    Args:
        db: an open database, as ``aiomemdb.connect`` returns it.
    """

    _tables = jobs.TABLES

    async def create_session(
        self,
        *,
        app_name: str,
        user_id: str,
        state: dict[str, Any] | None = None,
        session_id: str | None = None,
    ) -> Session:
        """Create a session, and merge what its state says of the app and the user into theirs: one job.

        Args:
            app_name: the application.
            user_id: the user.
            state: keys with "app:" are the app's, with "user:" the user's, with "temp:" not stored.
            session_id: without white space around it; a new one where it is empty.

        Raises:
            AlreadyExistsError: there is a session of this id.
            TypeError, ValueError: an argument can't be stored; the message names it.
        """
        user = checked_user(app_name, user_id)
        names = _names(session_id or "")
        if not names[1]:
            names = ("", platform_uuid.new_uuid())
        parts = _parts(state or {})
        return await (await self._database()).write_fn(jobs.create, user, names, parts, platform_time.get_time())

    async def get_session(
        self, *, app_name: str, user_id: str, session_id: str, config: GetSessionConfig | None = None
    ) -> Session | None:
        """Return a session with its events, or None where there is none.

        Args:
            app_name: the application.
            user_id: the user.
            session_id: the session.
            config: which events: the latest few, those since a time. Without it all.
        """
        user, names = checked_user(app_name, user_id), _names(session_id)
        return await (await self._database()).read_fn(jobs.get, user, names, config or GetSessionConfig())

    async def list_sessions(self, *, app_name: str, user_id: str | None = None) -> ListSessionsResponse:
        """Return the sessions of a user, or of all users, without their events; the one updated last comes last."""
        app_name, _ = checked_user(app_name, user_id or "")
        return ListSessionsResponse(sessions=await (await self._database()).read_fn(jobs.listed, app_name, user_id))

    async def delete_session(self, *, app_name: str, user_id: str, session_id: str) -> None:
        """Delete a session with its events."""
        user, names = checked_user(app_name, user_id), _names(session_id)
        await (await self._database()).write_fn(jobs.delete, user, names)

    async def get_user_state(self, *, app_name: str, user_id: str) -> dict[str, Any]:
        """Return the state of a user, its keys without "user:"."""
        user = checked_user(app_name, user_id)
        return await (await self._database()).read_fn(jobs.user_state, user)

    async def append_event(self, session: Session, event: Event) -> Event:
        """Append an event, and merge what it says of the states: one job, which looks whether ``session`` is stale.

        An event that is there already, of the same content, is not appended again.

        Raises:
            StaleSessionError: the stored session has changed since ``session`` was read: get it anew.
            SessionNotFoundError: it was deleted.
            AlreadyExistsError: it has another event of this id.
            ValueError: a number, such as infinity, could not be read again; the message names its field.
            sqlite3.DataError: the event is larger than ``max_value_bytes``.

        Cancellation: the event is stored whole or not at all. If it is, ``session`` is stale.
        """
        if event.partial:
            return event
        key = (*checked_user(session.app_name, session.user_id), checked_key("session_id", session.id))
        if delta := event.actions.state_delta:
            # The invocation's other agents read it in the session; it is not stored.
            temporary = {name for name in delta if name.startswith(State.TEMP_PREFIX)}
            session.state.update({name: delta[name] for name in temporary})
            event.actions.state_delta = {name: value for name, value in delta.items() if name not in temporary}
        data = event.model_dump_json(exclude_none=True)
        if "null" in data:
            # NaN and infinity become null, which few fields may be: the session could never be read again.
            Event.model_validate_json(data)
        stored = jobs.Stored(
            checked_key("the event's id", event.id, may_be_empty=True),
            event.invocation_id,
            event.timestamp,
            data,
            _parts(event.actions.state_delta),
        )
        db = await self._database()
        while True:
            seen = session.last_update_time
            try:
                updated = await db.write_fn(jobs.append, key, seen, stored)
            except StaleSessionError:
                if session.last_update_time == seen:
                    raise
                continue  # another task has appended to this same object meanwhile, so it is not stale
            if updated is None:
                return event
            session.last_update_time = updated
            return await super().append_event(session, event)


def _names(session_id: str) -> tuple[str, str]:
    """Return the id as it is, which migrated files may have, and without white space around it, as ADK makes it."""
    session_id = checked_key("session_id", session_id, may_be_empty=True)
    return session_id, session_id.strip()


def _parts(state: dict[str, Any]) -> jobs.Parts:
    """Return what of a state is the app's, the user's and the session's own, as objects of JSON."""
    try:
        plain: dict[str, Any] = to_jsonable_python(state)
    except PydanticSerializationError:
        _log.warning("a state has a value that is not JSON, and its repr() is stored instead: %s", sorted(state))
        plain = to_jsonable_python(state, serialize_unknown=True)
    parts = jobs.Parts({}, {}, {})
    for name, value in plain.items():
        if name.startswith(State.APP_PREFIX):
            parts.app[name.removeprefix(State.APP_PREFIX)] = value
        elif name.startswith(State.USER_PREFIX):
            parts.user[name.removeprefix(State.USER_PREFIX)] = value
        elif not name.startswith(State.TEMP_PREFIX):
            parts.session[name] = value
    return parts
