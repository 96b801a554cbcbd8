"""Clients for the tests: one in the process, one that talks to a server over its standard input and output."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Hashable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["URI", "FakeClient", "Server"]

CHECKOUT = Path(__file__).parents[2]
URI = "memory://knowledge-graph"
# To end a hang, not to judge speed.
LIMIT = 60.0


class FakeClient:
    """A client in the process; ``says`` is the answer of the person at it."""

    def __init__(self, name: str | None = "tests", says: bool | None = None) -> None:
        self.name = name
        self.says = says
        self.asked: list[str] = []
        self.told: list[str] = []

    @property
    def connection(self) -> Hashable:
        return id(self)

    async def ask(self, question: str) -> bool | None:
        self.asked.append(question)
        return self.says

    async def updated(self, uri: str) -> None:
        self.told.append(uri)


class Server:
    """``aiomemdb mcp`` as a process of its own, and a connection to it."""

    def __init__(
        self,
        *arguments: object,
        environ: Mapping[str, str] | None = None,
        client: str = "tests",
        capabilities: Mapping[str, Any] | None = None,
        handshake: bool = True,
        command: tuple[str, ...] = (),
    ) -> None:
        ours = {**os.environ, "PYTHONPATH": str(CHECKOUT), **(environ or {})}
        whole = command or (sys.executable, "-m", "aiomemdb", "mcp", *map(str, arguments))
        self.process = subprocess.Popen(
            whole, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ours, cwd=os.getcwd()
        )
        self.notifications: list[dict[str, Any]] = []
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        self.not_messages: list[str] = []
        self.errors: list[str] = []
        self._answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._asked = 0
        self._threads = [threading.Thread(target=target) for target in (self._read, self._read_errors)]
        for thread in self._threads:
            thread.start()
        self.info: dict[str, Any] = {}
        if handshake:
            self.info = self.request(
                "initialize",
                {
                    "protocolVersion": "2025-06-18",
                    "capabilities": dict(capabilities or {}),
                    "clientInfo": {"name": client, "version": "1"},
                },
            )
            self.notify("notifications/initialized")

    # Asking

    def request(self, method: str, params: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the request results in. Raises: AssertionError: an error."""
        answer = self.answer(self.ask(method, params))
        assert "result" in answer, answer
        result: dict[str, Any] = answer["result"]
        return result

    def ask(self, method: str, params: Mapping[str, Any] | None = None) -> int:
        """Sends a request, and returns its id."""
        self._asked += 1
        message: dict[str, Any] = {"jsonrpc": "2.0", "id": self._asked, "method": method}
        self.send(message if params is None else {**message, "params": params})
        return self._asked

    def answer(self, to: int | None = None) -> dict[str, Any]:
        """The next answer. Raises: EOFError: there is none any more."""
        while True:
            answer = self._answers.get(timeout=LIMIT)
            if answer is None:
                self._answers.put(None)
                raise EOFError("\n".join(self.errors))
            if to is None or answer.get("id") == to:
                return answer

    def notify(self, method: str) -> None:
        self.send({"jsonrpc": "2.0", "method": method})

    def send(self, message: Mapping[str, Any]) -> None:
        self.write(json.dumps(message).encode() + b"\n")

    def write(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def call(self, tool: str, **arguments: Any) -> dict[str, Any]:
        return self.request("tools/call", {"name": tool, "arguments": arguments})

    def data(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """What a tool answers a program. Raises: AssertionError: it failed."""
        answer = self.call(tool, **arguments)
        assert not answer.get("isError"), answer
        found: dict[str, Any] = answer["structuredContent"]
        return found

    def text(self, tool: str, **arguments: Any) -> str:
        [content] = self.call(tool, **arguments)["content"]
        text: str = content["text"]
        return text

    def notification(self) -> dict[str, Any]:
        """The next one that comes, or has come."""
        return self._told.get(timeout=LIMIT)

    # Ending

    def close(self) -> int:
        """Ends its input, and returns its exit status."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.wait()

    def end(self, by: signal.Signals) -> int:
        self.process.send_signal(by)
        return self.wait()

    def wait(self) -> int:
        status = self.process.wait(LIMIT)
        for thread in self._threads:
            thread.join(LIMIT)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                pass
        return status

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self.process.returncode is None:
            try:
                self.close()
            finally:
                if self.process.poll() is None:
                    self.process.kill()
                    self.wait()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            try:
                message = json.loads(line)
            except ValueError:
                self.not_messages.append(line.decode(errors="replace"))
                continue
            if "method" in message and "id" not in message:
                self.notifications.append(message)
                self._told.put(message)
            else:
                self._answers.put(message)
        self._answers.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.errors.append(line.decode(errors="replace").rstrip())
