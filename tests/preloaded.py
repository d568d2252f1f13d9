"""A process that has imported imgfetch, and forks for each command, which starts at once and as any user.

A command then needs no access to the interpreter and to the source, which may be in root's home.  `Preloaded` starts
the process; its other half is this module as a program.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, NoReturn, Self

TIMEOUT = 60.0  # seconds for a command; those of these tests need one
_MAX_REQUEST = 64 * 1024
_HURRY = 50
_CODECS = (
    "ascii",
    "idna",
    "latin_1",
    "utf_8_sig",
    "utf_16",
    "utf_16_le",
    "utf_16_be",
    "utf_32",
    "utf_32_le",
    "utf_32_be",
)
"""Encodings that Python would import from its own directory when they are first used; the last ones are JSON's."""


@dataclass(frozen=True)
class Person:
    """A user who runs commands, without an entry in /etc/passwd."""

    uid: int
    gid: int
    groups: tuple[int, ...] = ()

    def sh(self, script: str, directory: Path, **variables: object) -> str:
        """Run a shell script, which ends at the first error, and return the errors."""
        done = subprocess.run(
            ["/bin/sh", "-ec", script],
            user=self.uid,
            group=self.gid,
            extra_groups=self.groups,
            cwd=directory,
            env={"PATH": os.environ["PATH"]} | {name: str(value) for name, value in variables.items()},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT,
            check=False,
        )
        return done.stderr.decode()


@dataclass(frozen=True)
class Done:
    """The result of a command."""

    status: int
    out: str
    err: str

    @property
    def stdout(self) -> bytes:
        """The bytes of `out`, such as an archive."""
        return self.out.encode(errors="surrogateescape")


class Running:
    """A command that runs."""

    def __init__(self, status: IO[bytes], out: IO[bytes], err: IO[bytes]) -> None:
        self._status, self._out, self._err = status, out, err
        self.pid = int(status.readline())

    def wait(self) -> Done:
        """Wait until it ends."""
        try:
            status = int(self._status.readline())
        except TimeoutError:
            os.kill(self.pid, signal.SIGKILL)
            raise
        texts = []
        for file in (self._out, self._err):
            file.seek(0)
            texts.append(file.read().decode(errors="surrogateescape"))
            file.close()
        self._status.close()
        return Done(status, *texts)


class Preloaded:
    """The process, to be used in a ``with`` statement."""

    def __enter__(self) -> Self:
        self._socket, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-m", __name__]
        self._process = subprocess.Popen(command, stdin=other)
        other.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()  # ends the process
        self._process.wait(TIMEOUT)

    def start(
        self,
        person: Person,
        *arguments: str | os.PathLike[str],
        directory: Path,
        variables: Mapping[str, str | os.PathLike[str]],
        is_hurried: bool = False,
    ) -> Running:
        """Start imgfetch as a user, with nothing else in its environment than these variables.

        A hurried command waits for others only a fraction of the usual time.
        """
        status, its_status = socket.socketpair()
        out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  # closed at the end of the command
        request = {
            "arguments": [os.fspath(argument) for argument in arguments],
            "person": [person.uid, person.gid, person.groups],
            "directory": os.fspath(directory),
            "variables": {name: os.fspath(value) for name, value in variables.items()},
            "is_hurried": is_hurried,
        }
        fds = [out.fileno(), err.fileno(), its_status.fileno()]
        socket.send_fds(self._socket, [json.dumps(request).encode()], fds)
        its_status.close()
        status.settimeout(TIMEOUT)
        with status:
            return Running(status.makefile("rb", 0), out, err)


def serve(requests: socket.socket) -> None:
    """Fork for each request until the other side goes away."""
    import imgfetch  # noqa: PLC0415

    for module in pkgutil.walk_packages(imgfetch.__path__, "imgfetch."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for codec in _CODECS:
        importlib.import_module(f"encodings.{codec}")
    gc.freeze()  # so that a fork copies less memory, which saves a third of a command's time
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        request, fds, _, _ = socket.recv_fds(requests, _MAX_REQUEST, 3)
        if not request:
            return
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            requests.close()
            _supervise(json.loads(request), *fds)
        for fd in fds:
            os.close(fd)


def _supervise(request: dict[str, object], out: int, err: int, status: int) -> NoReturn:
    """Run a command in one more process, and write its number and its exit status."""
    child = os.fork()
    if child == 0:
        os.close(status)
        _run(request, out, err)
    os.write(status, b"%d\n" % child)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.write(status, b"%d\n" % ended)
    os._exit(0)


def _run(request: dict[str, object], out: int, err: int) -> NoReturn:
    from imgfetch.cli.main import main  # noqa: PLC0415
    from imgfetch.store import locks  # noqa: PLC0415

    for fd, target in ((os.open(os.devnull, os.O_RDONLY), 0), (out, 1), (err, 2)):
        os.dup2(fd, target)
        os.close(fd)
    os.environ.clear()
    os.environ.update(request["variables"])  # type: ignore[call-overload]
    uid, gid, groups = request["person"]  # type: ignore[misc]
    os.setgroups(groups)
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    os.umask(0o022)
    os.chdir(str(request["directory"]))
    if request["is_hurried"]:
        for name in ("_PATIENCE", "_SILENT", "_STUCK"):
            setattr(locks, name, getattr(locks, name) / _HURRY)
    sys.exit(main(request["arguments"]))  # type: ignore[arg-type]


if __name__ == "__main__":
    serve(socket.socket(fileno=0))
