"""One cache for several saves at a time: threads of a program, and processes of which some are killed."""

from __future__ import annotations

import gc
import os
import shutil
import signal
import tempfile
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from imgfetch import Client, ImgfetchError
from tests.images import hello, image
from tests.loopback import Answer, Loopback, Request
from tests.machine import BASE, IMAGE, NOISE, TOP, Machine
from tests.preloaded import TIMEOUT, Running

OTHERS = [image(BASE, NOISE, hello(f"app {number}"), TOP) for number in range(4)]


def open_files() -> list[str]:
    """Return the files that this process has open."""
    found = []
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the server's threads close theirs meanwhile
            found.append(str(path.readlink()))
    return sorted(name for name in found if not name.startswith(("/proc/", "socket:")))


def test_a_program_that_saves_again_and_again_leaves_no_file_open_and_no_directory_behind(
    loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference, cache, temporary = loopback.add("team/app", "1", IMAGE), tmp_path / "cache", tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    client = Client(retries=0)

    def save_all(number: int) -> int:
        failures = 0
        for output, directory in (
            (tmp_path / f"{number}.tar", cache),
            (tmp_path / f"{number}.tar.gz", cache),
            (tmp_path / f"{number}.tar", None),
            (tmp_path / "missing" / "o.tar", cache),
            (tmp_path / f"{number}.tar", Path("/proc/no-cache")),
            (tmp_path / f"{number}.tar", temporary.parent / "other"),
        ):
            try:
                client.save(reference, output, cache_dir=directory, platform="linux/amd64")
            except ImgfetchError:
                failures += 1
        with Path(os.devnull).open("wb") as stream:
            client.save(reference, stream, platform="linux/amd64")
        return failures

    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter").touch()
    save_all(0)
    gc.collect()
    before = Counter(open_files())
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(save_all, range(8))) == [2] * 8
    gc.collect()
    assert Counter(open_files()) <= before
    assert list(temporary.iterdir()) == list((cache / "runs").iterdir()) == []
    assert {path.suffix for path in tmp_path.iterdir()} == {"", ".tar", ".gz"}


def test_a_cache_that_is_removed_during_a_save_costs_one_warning(shared: Machine) -> None:
    def remove(_request: Request) -> Answer:
        shutil.rmtree(shared.cache, ignore_errors=True)  # it is asked twice
        return Answer(NOISE.content)

    shared.registry.answers[shared.path_of(NOISE.digest)] = remove
    done = shared.save("--jobs", "1")
    assert done.status == 0, done.err
    assert shared.is_right()
    assert done.err.count("continuing without a cache") == done.err.count("warning") == 1
    assert [path.name for path in shared.out.iterdir()] == ["y.tar"]


def test_saves_that_are_killed_do_not_harm_others_and_the_next_ones(shared: Machine) -> None:
    references = [shared.registry.add("team/app", f"v{number}", other) for number, other in enumerate(OTHERS)]
    event = threading.Event()
    shared.registry.answers[shared.path_of(NOISE.digest)] = Answer(NOISE.content, hold=event)
    asked = threading.Event()
    last = shared.registry.answers[shared.path_of(IMAGE.config.digest)]

    def ask(_request: Request) -> Answer:
        asked.set()
        assert isinstance(last, Answer)
        return last

    shared.registry.answers[shared.path_of(IMAGE.config.digest)] = ask

    def start(number: int) -> Running:
        return shared.start("save", references[number], "--platform", "linux/amd64", "-o", shared.out / f"{number}.tar")

    victim = shared.start_save()
    assert asked.wait(TIMEOUT)
    running = [start(number) for number in range(len(OTHERS))]
    os.kill(victim.pid, signal.SIGKILL)
    os.kill(running[0].pid, signal.SIGKILL)
    event.set()
    ended = [each.wait() for each in running]
    assert [done.status for done in ended[1:]] == [0, 0, 0], ended
    victim.wait()
    again = [shared.save(), start(0).wait()]
    assert [done.status for done in again] == [0, 0], again
    assert shared.is_right()
    assert sorted(path.name for path in shared.out.iterdir()) == ["0.tar", "1.tar", "2.tar", "3.tar", "y.tar"]
    assert not any("warning" in done.err for done in [*ended[1:], *again])
