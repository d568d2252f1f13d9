"""Client of docker's credential helpers (docs/registries.md#credential-helpers).

``docker-credential-NAME get`` reads a server's key from standard input and prints JSON::

    {"ServerURL": "https://index.docker.io/v1/", "Username": "alice", "Secret": "..."}

or prints an error and exits with a status other than zero.  `NOT_FOUND` means that it has no credentials for the key
(docker/docker-credential-helpers: ``client/client.go``, ``credentials/error.go``).
"""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, cast

from imgfetch import shortage
from imgfetch.auth.login import Login
from imgfetch.errors import AuthenticationError, ResourceError
from imgfetch.text import quoted, sanitize

TIMEOUT = 30.0
"""Seconds that a helper may take."""
MAX_OUTPUT = 1024 * 1024
"""Bytes that are read of a helper's output."""
MAX_ERRORS = 4096
"""Bytes that are shown of what it prints as errors."""
PAUSE = 0.5
"""Seconds of silence after which its errors are shown, because it may wait for the user."""
NOT_FOUND = "credentials not found in native keychain"

_NO_TEXT = re.compile("[\ud800-\udfff]")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_CHUNK = 64 * 1024
_MAX_SHOWN = 200

_logger = logging.getLogger(__name__)


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

    def require(self, name: str) -> None:
        """Raise an `AuthenticationError` if there is no such helper."""
        _program(_checked(name), self._path)

    def store(self, name: str, key: str, login: Login) -> None:
        """Store credentials under a key."""
        if _NO_TEXT.search(login.password):
            raise AuthenticationError(f"{_checked(name)} cannot store a password that is not UTF-8")
        entry = {"ServerURL": key, "Username": login.username, "Secret": login.password}
        self._command(name, "store", json.dumps(entry))

    def erase(self, name: str, key: str) -> bool:
        """Remove the credentials under a key, and return whether there were any."""
        return self._command(name, "erase", key)

    def _command(self, name: str, action: str, given: str) -> bool:
        """Run a helper that prints nothing but errors; return ``False`` if it has no such key."""
        helper = _checked(name)
        printed = _Printed(helper)
        try:
            status = _converse(printed, [_program(helper, self._path), action], given, self._timeout)
        finally:
            printed.show_errors()
        text = printed.output.decode("utf-8", "replace").strip()
        if status and text != NOT_FOUND:
            raise AuthenticationError(f"{helper} failed (exit status {status}) and printed {_shown(text)}")
        return status == 0

    def _ask(self, name: str, key: str) -> Login | None:
        helper = _checked(name)
        printed = _Printed(helper)
        try:
            status = _converse(printed, [_program(helper, self._path), "get"], key, self._timeout)
            with suppress(AuthenticationError):  # so that its secret is known before its errors are shown
                _answer(helper, printed.output)
        finally:
            printed.show_errors()
        if status == 0:
            return _answer(helper, printed.output)
        text = printed.output.decode("utf-8", "replace").strip()
        if text == NOT_FOUND:
            return None
        raise AuthenticationError(f"{helper} failed (exit status {status}) and printed {_shown(text)}")


def members(raw: bytes | bytearray, label: str) -> dict[str, object]:
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


class _Printed:
    """The output of a helper, and what it prints as errors, which is shown line by line.

    A prompt, such as for a key that is to be touched, is shown while the helper waits.
    """

    def __init__(self, helper: str) -> None:
        self.helper = helper
        self.output = bytearray()
        self._errors = bytearray()
        self._errors_left = MAX_ERRORS

    def receive(self, stdout: IO[bytes], stderr: IO[bytes], end: float) -> None:
        """Read until the output ends, up to one chunk beyond its bound.

        A process that left the helper's session may hold the other end open indefinitely, so a `TimeoutError` ends it.
        """
        poll = select.poll()
        poll.register(stdout)
        poll.register(stderr)
        while len(self.output) <= MAX_OUTPUT:
            left = end - time.monotonic()
            if left <= 0:
                raise TimeoutError
            ready = [descriptor for descriptor, _ in poll.poll(1000 * (min(PAUSE, left) if self._errors else left))]
            if not ready:
                self.show_errors()
            if stderr.fileno() in ready and not self.receive_errors(stderr):
                poll.unregister(stderr)
            if stdout.fileno() in ready:
                chunk = stdout.read(_CHUNK)
                if not chunk:
                    return
                self.output += chunk

    def receive_errors(self, stderr: IO[bytes]) -> bool:
        """Read some errors; return ``False`` at their end."""
        chunk = stderr.read(_CHUNK)
        self._errors += chunk[: self._errors_left]
        self._errors_left = max(self._errors_left - len(chunk), 0)
        return bool(chunk)

    def drain_errors(self, stderr: IO[bytes]) -> None:
        """Read the rest of the errors, without waiting for processes that still have the other end."""
        poll = select.poll()
        poll.register(stderr)
        while self._errors_left and poll.poll(0) and self.receive_errors(stderr):
            pass

    def show_errors(self) -> None:
        """Log what was printed as errors since the last time."""
        for line in self._errors.decode("utf-8", "replace").splitlines():
            if line.strip():
                _logger.warning("%s: %s", self.helper, sanitize(line))
        self._errors.clear()


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise AuthenticationError(f"{quoted(name, _MAX_SHOWN)} is not a valid name of a credential helper")
    return f"docker-credential-{name}"


def _converse(printed: _Printed, command: Sequence[str | Path], given: str, timeout: float) -> int:
    """Run a helper with some input, receive what it prints, and return its exit status."""
    end, helper = time.monotonic() + timeout, printed.helper
    try:
        with _running(command) as (process, stdin, stdout, stderr):
            with suppress(OSError), stdin:  # a helper need not read
                stdin.write(given.encode("utf-8", "surrogateescape"))
            printed.receive(stdout, stderr, end)
            if len(printed.output) > MAX_OUTPUT:
                raise AuthenticationError(f"{helper} printed more than {MAX_OUTPUT} bytes")
            status = process.wait(end - time.monotonic())
            printed.drain_errors(stderr)
            return status
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
def _running(
    command: Sequence[str | Path],
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes], IO[bytes], IO[bytes]]]:
    """Start a helper, with pipes for its three streams; on exit, kill it and its children unless it has been reaped.

    Its own session allows killing the whole group, and makes a prompt on the terminal fail instead of hang until the
    timeout.
    """
    pipe = subprocess.PIPE
    process = subprocess.Popen(  # noqa: S603  # the user's own configuration names it
        command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0, start_new_session=True
    )
    try:
        with cast("IO[bytes]", process.stdout) as stdout, cast("IO[bytes]", process.stderr) as stderr:
            yield process, cast("IO[bytes]", process.stdin), stdout, stderr
    finally:
        if process.returncode is None:  # not reaped yet, so the PID and its group cannot have been reused
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            process.wait()


def _answer(helper: str, output: bytearray) -> Login | None:
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
