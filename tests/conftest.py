from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

from imgfetch.redaction import KNOWN
from tests import certificates
from tests.loopback import Loopback

for _number in (signal.SIGINT, signal.SIGHUP):
    if signal.getsignal(_number) is signal.SIG_IGN:  # in the background of a shell, or below nohup
        signal.signal(_number, lambda *_: None)  # as before, but the commands that tests start do not ignore it
settings.register_profile("steady", derandomize=True, deadline=None, max_examples=300, database=None)
settings.load_profile("steady")
os.umask(0o022)  # what a test leaves in a cache must not be writable by a group, for such files are not used

Run = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture(autouse=True)
def _no_secrets_of_other_tests() -> None:
    KNOWN.forget()


@pytest.fixture
def loopback() -> Iterator[Loopback]:
    with Loopback() as registry:
        yield registry


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> certificates.Certificates:
    return certificates.make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a function that runs the command with a cache of its own, and nothing of the user's environment.

    ``start`` is the beginning of a command line that runs the rest, such as that of ``prlimit``.
    """

    def run(
        *arguments: str, env: dict[str, str] | None = None, start: Sequence[str] = (), **options: object
    ) -> subprocess.CompletedProcess[bytes]:
        environment = {
            **{key: value for key, value in os.environ.items() if key in _KEPT or key.startswith(("COVERAGE", "COV_"))},
            "IMGFETCH_CACHE_DIR": str(tmp_path / "cache"),
            "HOME": str(tmp_path / "home"),
            **(env or {}),
        }
        command = [*start, sys.executable, "-m", "imgfetch", *arguments]
        options.setdefault("timeout", 120)
        return subprocess.run(command, env=environment, capture_output=True, check=False, **options)  # type: ignore[call-overload,no-any-return]

    return run


_KEPT = frozenset({"PATH", "LANG", "LC_ALL", "PYTHONPATH", "TMPDIR", "SYSTEMROOT", "PYTHONDONTWRITEBYTECODE"})
