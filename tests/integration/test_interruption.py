"""SIGINT and SIGTERM at any moment: the right status, no traceback, nothing half-written."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.images import OCI_TAR, Built, hello, image, layer, part_of_a_header, tar
from tests.loopback import Answer, Loopback
from tests.waiting import until, until_caught

BUILT = image(hello("first"), layer(tar({"data": bytes(range(256)) * 4096}), OCI_TAR), hello("third"))
MOMENTS = {
    "manifest": "manifests/v1",
    "config": f"blobs/{BUILT.config.digest}",
    "first layer": f"blobs/{BUILT.layers[0].digest}",
    "second layer": f"blobs/{BUILT.layers[1].digest}",
}
SIGNALS = {
    signal.SIGINT: (130, "interrupted"),
    signal.SIGTERM: (143, "terminated"),
    signal.SIGHUP: (129, "hung up"),
}


@pytest.fixture
def hold() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def start(
    reference: str,
    directory: Path,
    *arguments: str,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.PIPE,
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "imgfetch", "save", reference, "--platform", "linux/amd64", *arguments]
    environment = os.environ | {"IMGFETCH_CACHE_DIR": str(directory / "cache")}
    return subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment)


def wait_for(registry: Loopback, path: str) -> None:
    until(lambda: any(asked.endswith(path) for asked in registry.paths))
    time.sleep(0.1)  # let the first half arrive


def held(registry: Loopback, built: Built, moment: str, hold: threading.Event) -> str:
    """Serve an image one of whose answers stops in the middle."""
    reference = registry.add("team/app", "v1", built)
    path = f"/v2/team/app/{MOMENTS[moment]}"
    answer = registry.answers[path]
    assert isinstance(answer, Answer)
    registry.answers[path] = Answer(answer.body, headers=answer.headers, hold=hold)
    return reference


@pytest.mark.parametrize("cache", [(), ("--no-cache",)], ids=["cache", "no-cache"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("number", SIGNALS, ids=[number.name for number in SIGNALS])
def test_a_signal_leaves_the_target_as_it_was(
    *,
    number: signal.Signals,
    moment: str,
    cache: tuple[str, ...],
    loopback: Loopback,
    hold: threading.Event,
    tmp_path: Path,
) -> None:
    target = tmp_path / "out" / "y.tar"
    target.parent.mkdir()
    target.write_bytes(b"what stood there before")
    process = start(held(loopback, BUILT, moment, hold), tmp_path, "-o", str(target), *cache)
    wait_for(loopback, MOMENTS[moment])
    process.send_signal(number)
    _, err = process.communicate(timeout=30)
    status, word = SIGNALS[number]
    assert process.returncode == status
    assert f"error: {word}" in err.decode()
    assert "Traceback" not in err.decode()
    assert target.read_bytes() == b"what stood there before"
    kept = [path for path in target.parent.iterdir() if path != target]
    assert kept in ([], [target.parent / ".y.tar.imgfetch"] if cache else [])
    assert [path for directory in kept for path in directory.glob("*.part")] == []


@pytest.mark.parametrize("number", [*SIGNALS, signal.SIGKILL], ids=lambda number: number.name)
@pytest.mark.parametrize("moment", ["first layer", "second layer"])
def test_a_signal_leaves_a_stream_inside_a_header(
    number: signal.Signals, moment: str, loopback: Loopback, hold: threading.Event, tmp_path: Path
) -> None:
    process = start(held(loopback, BUILT, moment, hold), tmp_path, "-j1", stdout=subprocess.PIPE)
    wait_for(loopback, MOMENTS[moment])
    process.send_signal(number)
    stream, _ = process.communicate(timeout=30)
    assert process.returncode == (-number if number == signal.SIGKILL else SIGNALS[number][0])
    assert part_of_a_header(stream) or (number == signal.SIGKILL and not stream), len(stream)


@pytest.mark.parametrize("options", [("-o", "y.tar"), ("--dry-run",)], ids=" ".join)
def test_a_signal_while_names_are_resolved_promises_no_partial_downloads(
    options: tuple[str, ...], loopback: Loopback, hold: threading.Event, tmp_path: Path
) -> None:
    other = loopback.add("team/other", "v1", BUILT)
    first = start(other, tmp_path, "-o", str(tmp_path / "other.tar"))
    first.communicate(timeout=30)
    assert first.returncode == 0  # the cache has layers
    loopback.requests.clear()
    process = start(held(loopback, BUILT, "manifest", hold), tmp_path, *options)
    wait_for(loopback, MOMENTS["manifest"])
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert err.decode() == "imgfetch: error: interrupted\n"


def test_a_signal_ends_a_save_whose_reader_does_not_read(loopback: Loopback, tmp_path: Path) -> None:
    reference = loopback.add("team/app", "v1", BUILT)
    process = start(reference, tmp_path, stdout=subprocess.PIPE)
    wait_for(loopback, MOMENTS["second layer"])
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    process.communicate(timeout=30)


def full_pipe() -> tuple[int, int]:
    """Return a pipe that nobody reads."""
    return filled(*os.pipe())


def full_terminal() -> tuple[int, int]:
    """Return a terminal whose output nobody reads."""
    return filled(*pty.openpty())


def filled(reader: int, writer: int) -> tuple[int, int]:
    os.set_blocking(writer, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writer, b"x" * 100)
    os.set_blocking(writer, True)
    return reader, writer


@pytest.mark.parametrize(
    "options", ["--progress plain", "--progress bar", "--progress json", "--progress none -v", "--quiet"]
)
@pytest.mark.parametrize("make", [full_pipe, full_terminal])
def test_the_first_signal_ends_a_save_whose_stderr_nobody_reads(
    make: Callable[[], tuple[int, int]], options: str, loopback: Loopback, hold: threading.Event, tmp_path: Path
) -> None:
    reader, stderr = make()
    reference = held(loopback, BUILT, "second layer", hold)
    process = start(reference, tmp_path, "-o", str(tmp_path / "y.tar"), *options.split(), stderr=stderr)
    os.close(stderr)
    until_caught(process)
    time.sleep(1)  # until the first line is to be written
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 143
    os.close(reader)


def test_a_run_after_an_interruption_asks_for_what_is_missing_only(
    loopback: Loopback, hold: threading.Event, tmp_path: Path
) -> None:
    target = tmp_path / "y.tar"
    # the second layer is the largest and comes first
    process = start(held(loopback, BUILT, "first layer", hold), tmp_path, "-o", str(target), "-j1")
    wait_for(loopback, MOMENTS["first layer"])
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert "run the same command again" in err.decode()

    hold.set()
    loopback.requests.clear()
    again = start(f"{loopback.host}/team/app:v1", tmp_path, "-o", str(target))
    _, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    layers = {f"/v2/team/app/blobs/{layer.digest}" for layer in BUILT.layers[::2]}
    assert {path for path in loopback.paths if "/blobs/" in path} == layers


EVERYWHERE = """
import os, signal, sys
from imgfetch.cli import command_completion, displays, main, report

number = int(sys.argv[1])
sys.argv = ["imgfetch", "completion", "bash"]
sys.stdout = open(os.devnull, "w")


def kill_at(moment, fired):
    events = 0

    def profile(frame, event, _):
        nonlocal events
        if events or (event == "return" and frame.f_code is command_completion.run.__code__):
            events += 1
            if events == moment:
                os.write(fired, b"x")
                os.kill(os.getpid(), number)

    sys.setprofile(profile)


moment, has_fired = 0, True
while has_fired:
    moment += 1
    reader, writer = os.pipe()
    if not (child := os.fork()):
        kill_at(moment, writer)
        sys.exit(main.main())
    os.close(writer)
    has_fired = bool(os.read(reader, 1))
    os.close(reader)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.write(1, b"%d " % status)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_at_any_moment_after_the_work_prints_no_traceback(number: signal.Signals) -> None:
    command = [sys.executable, "-c", EVERYWHERE, str(int(number))]
    done = subprocess.run(command, capture_output=True, check=True, timeout=300)
    status, word = SIGNALS[number]
    assert set(done.stderr.decode().splitlines()) <= {f"imgfetch: error: {word}"}
    *statuses, last = map(int, done.stdout.split())
    assert set(statuses) == {-number, status}
    assert last == 0
