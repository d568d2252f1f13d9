"""The protocol of the programs that keep docker's logins.

``docker-credential-NAME get`` reads a server's key from its standard input, and answers in JSON::

    {"ServerURL": "https://index.docker.io/v1/", "Username": "alice", "Secret": "..."}

or exits with another status than zero and a line on its standard output; one such line means that it has
no login for the key (P25; docker/docker-credential-helpers: ``client/client.go``, ``credentials/error.go``).
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from imgfetch.auth.login import Login
from imgfetch.errors import AuthenticationError
from imgfetch.text import quoted

TIMEOUT = 30.0
"""Seconds that a helper may take (P25)."""
MAX_OUTPUT = 1024 * 1024
"""Bytes of a helper's answer that are read (S26)."""
NOT_FOUND = "credentials not found in native keychain"

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_CHUNK = 64 * 1024
_MAX_SHOWN = 200


class Helpers:
    """Asks the helpers on a ``$PATH``, each once for a key (P27), and gives it some seconds."""

    def __init__(self, path: str, *, timeout: float = TIMEOUT) -> None:
        """Ask nobody yet."""
        self._path = path
        self._timeout = timeout
        self._answers: dict[tuple[str, str], Login | AuthenticationError | None] = {}

    def get(self, name: str, key: str) -> Login | None:
        """Return the login that ``docker-credential-NAME`` has for a key, if it has one.

        Raises:
            AuthenticationError: it is missing, fails, hangs, or answers something else; no secret is in the message.
        """
        if (name, key) not in self._answers:
            try:
                self._answers[name, key] = self._ask(name, key)
            except AuthenticationError as error:
                self._answers[name, key] = error
        answer = self._answers[name, key]
        if isinstance(answer, AuthenticationError):
            raise answer
        return answer

    def _ask(self, name: str, key: str) -> Login | None:
        if not _NAME.fullmatch(name):
            raise AuthenticationError(f"{quoted(name, _MAX_SHOWN)} is no name of a credential helper")
        helper = f"docker-credential-{name}"
        status, output = _converse(helper, _program(helper, self._path), key, self._timeout)
        if status == 0:
            return _answer(helper, output)
        text = output.decode("utf-8", "replace").strip()
        if text == NOT_FOUND:
            return None
        raise AuthenticationError(f"{helper} failed (exit status {status}) and printed {_shown(text)}")


def members(raw: bytes, label: str) -> dict[str, object]:
    """Return the members of a JSON object by their names in lower case.

    Docker's files and its helpers' answers are read as Go reads them: names in any case, the last of several.

    Args:
        raw: the document.
        label: its name in messages.

    Raises:
        AuthenticationError: it is no JSON object; neither the message nor a cause holds any of it (S14).
    """
    value: object = None
    problem = "not a JSON object"
    try:
        value = json.loads(raw.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        problem = f"not JSON: {error.msg} (line {error.lineno}, column {error.colno})"
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 (byte {error.start + 1})"
    except RecursionError:
        problem = "nested too deeply"  # S29
    except ValueError:  # a number of thousands of digits
        problem = "not JSON of any use"
    if not isinstance(value, dict):  # raised here, because the errors above keep the document
        raise AuthenticationError(f"{label} is {problem}")
    return {name.lower(): member for name, member in value.items()}


def _program(helper: str, path: str) -> Path:
    """Find a helper on ``path``, whose relative entries would lead into any directory somebody stands in."""
    for entry in path.split(os.pathsep):
        program = Path(entry) / helper
        if program.is_absolute() and os.access(program, os.X_OK) and program.is_file():
            return program
    raise AuthenticationError(f"{helper} is not on the PATH")


def _converse(helper: str, program: Path, key: str, timeout: float) -> tuple[int, bytes]:
    """Run a helper; return its exit status with what it printed."""
    end = time.monotonic() + timeout
    try:
        with _running(program) as (process, stdin, printed):
            printed.start()
            with suppress(OSError), stdin:  # a helper need not read
                stdin.write(key.encode())
            printed.join(timeout)
            if len(printed.content) > MAX_OUTPUT:
                raise AuthenticationError(f"{helper} printed more than {MAX_OUTPUT} bytes")
            if printed.is_alive():
                raise AuthenticationError(f"{helper} did not answer within {timeout:g} s")
            return process.wait(end - time.monotonic()), bytes(printed.content)
    except subprocess.TimeoutExpired:
        raise AuthenticationError(f"{helper} did not end within {timeout:g} s") from None
    except OSError as error:
        raise AuthenticationError(f"{helper} cannot be run: {error.strerror}") from error


@contextmanager
def _running(program: Path) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], _Printed]]:
    """Start a helper, and end it with all that it started unless it was waited for.

    Its standard error is ours: what a helper says there (which key to touch, which page to open) is for the
    person in front of it and of use only at once.  The session of its own is what can be killed as a whole; without
    our terminal in it, a prompt on the terminal fails instead of stopping the helper until its time is up.
    """
    process = subprocess.Popen(  # noqa: S603  # the user's own configuration names it
        [program, "get"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
    )
    try:
        yield process, cast("IO[bytes]", process.stdin), _Printed(cast("IO[bytes]", process.stdout))
    finally:
        if process.returncode is None:  # not reaped yet, so its number and its group's cannot have been reused
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()


class _Printed(threading.Thread):
    """Reads what a helper prints, up to a bound.

    The thread owns the pipe: something that left the helper's session may hold its other end for longer than we wait.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        super().__init__(name="credential helper", daemon=True)
        self._pipe = pipe
        self.content = bytearray()

    def run(self) -> None:
        """Read to the end, or one chunk beyond the bound."""
        with self._pipe:
            while len(self.content) <= MAX_OUTPUT and (chunk := self._pipe.read(_CHUNK)):
                self.content += chunk


def _answer(helper: str, output: bytes) -> Login | None:
    """Read an answer; two empty strings are how some helpers say that there is no login."""
    found = members(output, f"what {helper} printed")
    username, secret = found.get("username"), found.get("secret")
    if not isinstance(username, str) or not isinstance(secret, str):
        raise AuthenticationError(f"what {helper} printed has no Username and Secret")
    if not username and not secret:
        return None
    try:
        return Login.stored(username, secret, helper)
    except AuthenticationError as error:
        raise AuthenticationError(f"what {helper} printed is unusable: {error}") from None


def _shown(text: str) -> str:
    """Return a failing helper's words, unless they look like the answer that they should not be (S14)."""
    if not text:
        return "nothing"
    return "what may hold a secret" if "{" in text else quoted(text, _MAX_SHOWN)
