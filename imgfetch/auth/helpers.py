"""Client of docker's credential helpers (docs/registries.md#credential-helpers).

``docker-credential-NAME get`` reads a server's key from standard input and prints JSON::

    {"ServerURL": "https://index.docker.io/v1/", "Username": "alice", "Secret": "..."}

or prints an error and exits with a status other than zero.  `NOT_FOUND` means that it has no credentials for the key
(docker/docker-credential-helpers: ``client/client.go``, ``credentials/error.go``).
"""

from __future__ import annotations

import errno
import json
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from imgfetch import shortage
from imgfetch.auth.login import Login
from imgfetch.errors import AuthenticationError, ResourceError
from imgfetch.text import quoted

TIMEOUT = 30.0
"""Seconds that a helper may take."""
MAX_OUTPUT = 1024 * 1024
"""Bytes that are read of a helper's output."""
NOT_FOUND = "credentials not found in native keychain"

_NAME = re.compile(r"[A-Za-z0-9._-]+")
_CHUNK = 64 * 1024
_MAX_SHOWN = 200


class Helpers:
    """Runner of the helpers on a ``$PATH``, once for each key."""

    def __init__(self, path: str, *, timeout: float = TIMEOUT) -> None:
        self._path = path
        self._timeout = timeout
        self._answers: dict[tuple[str, str], Login | AuthenticationError | None] = {}

    def get(self, name: str, key: str) -> Login | None:
        """Return the credentials that ``docker-credential-NAME`` has for a key, if any.

        If the helper is missing, fails, hangs, or prints something else, an `AuthenticationError` is raised, without
        any secret in its message.
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
            raise AuthenticationError(f"{quoted(name, _MAX_SHOWN)} is not a valid name of a credential helper")
        helper = f"docker-credential-{name}"
        status, output = _converse(helper, _program(helper, self._path), key, self._timeout)
        if status == 0:
            return _answer(helper, output)
        text = output.decode("utf-8", "replace").strip()
        if text == NOT_FOUND:
            return None
        raise AuthenticationError(f"{helper} failed (exit status {status}) and printed {_shown(text)}")


def members(raw: bytes, label: str) -> dict[str, object]:
    """Return the members of a JSON object by lower-case name.

    As in Go, which reads docker's files and helpers, names match in any case and the last of several wins.

    Raises:
        AuthenticationError: not a JSON object; neither the message nor a cause quotes it
            (docs/registries.md#secrets-in-messages).
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
        problem = "nested too deeply"
    except ValueError:  # a number of thousands of digits
        problem = "not usable JSON"
    if not isinstance(value, dict):  # raised here because the errors above contain the document
        raise AuthenticationError(f"{label} is {problem}")
    return {name.lower(): member for name, member in value.items()}


def _program(helper: str, path: str) -> Path:
    """Find a helper on ``path``, ignoring relative entries, which would depend on the current directory."""
    for entry in path.split(os.pathsep):
        program = Path(entry) / helper
        if program.is_absolute() and os.access(program, os.X_OK) and program.is_file():
            return program
    raise AuthenticationError(f"{helper} is not on the PATH")


def _converse(helper: str, program: Path, key: str, timeout: float) -> tuple[int, bytes]:
    """Run a helper; return its exit status and output."""
    end = time.monotonic() + timeout
    try:
        with _running(program) as (process, stdin, stdout):
            with suppress(OSError), stdin:  # a helper need not read
                stdin.write(key.encode())
            content = _printed(stdout, end)
            if len(content) > MAX_OUTPUT:
                raise AuthenticationError(f"{helper} printed more than {MAX_OUTPUT} bytes")
            return process.wait(end - time.monotonic()), content
    except TimeoutError:
        raise AuthenticationError(f"{helper} did not answer within {timeout:g} s") from None
    except subprocess.TimeoutExpired:
        raise AuthenticationError(f"{helper} did not exit within {timeout:g} s") from None
    except OSError as error:
        lack = shortage.PROCESSES if error.errno == errno.EAGAIN else shortage.of(error)
        if lack:
            raise ResourceError(f"cannot run {helper}: {error.strerror}", hint=lack.hint) from error
        raise AuthenticationError(f"cannot run {helper}: {error.strerror}") from error


@contextmanager
def _running(program: Path) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes]]]:
    """Start a helper; on exit, kill it and its children unless it has been reaped.

    It inherits standard error so that the user sees prompts such as the key to touch at once.  Its own session allows
    killing the whole group, and makes a prompt on the terminal fail instead of hang until the timeout.
    """
    process = subprocess.Popen(  # noqa: S603  # the user's own configuration names it
        [program, "get"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0, start_new_session=True
    )
    try:
        with cast("IO[bytes]", process.stdout) as stdout:
            yield process, cast("IO[bytes]", process.stdin), stdout
    finally:
        if process.returncode is None:  # not reaped yet, so the PID and its group cannot have been reused
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()


def _printed(pipe: IO[bytes], end: float) -> bytes:
    """Return a helper's output, up to one chunk beyond the bound.

    A process that left the helper's session may hold the other end open indefinitely, so a `TimeoutError` ends it.
    """
    content = bytearray()
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while len(content) <= MAX_OUTPUT:
        if not poll.poll(1000 * max(0.0, end - time.monotonic())):
            raise TimeoutError
        chunk = pipe.read(_CHUNK)
        if not chunk:
            break
        content += chunk
    return bytes(content)


def _answer(helper: str, output: bytes) -> Login | None:
    """Parse a helper's output; some helpers print two empty strings if they have no credentials."""
    found = members(output, f"the output of {helper}")
    username, secret = found.get("username"), found.get("secret")
    if not isinstance(username, str) or not isinstance(secret, str):
        raise AuthenticationError(f"the output of {helper} has no Username and Secret")
    if not username and not secret:
        return None
    try:
        return Login.stored(username, secret, helper)
    except AuthenticationError as error:
        raise AuthenticationError(f"cannot use the output of {helper}: {error}") from None


def _shown(text: str) -> str:
    """Return a failed helper's output for a message, unless it may contain a secret."""
    if not text:
        return "nothing"
    return "something that may contain a secret" if "{" in text else quoted(text, _MAX_SHOWN)
