"""Downloaded bytes are not downloaded again, whatever ended the run, and however many runs there are at a time."""

from __future__ import annotations

import hashlib
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections import Counter
from pathlib import Path

import pytest

from imgfetch.archive import ustar
from imgfetch.store.blobs import BlobStore
from tests.engines import RealRegistry
from tests.images import OCI_TAR, Blob, hello, image, layer
from tests.integration.conftest import Command, Save
from tests.loopback import Answer, Loopback, Request
from tests.throttled import Throttled
from tests.waiting import until

KILLS = 30
SEED = 4
RATE = 8 * 1024**2
RUN = 60  # seconds that a run gets


def noise(seed: str, size: int) -> Blob:
    """Return a layer with one file that does not compress."""
    content = random.Random(seed).randbytes(size)
    return layer(ustar.header("data", size, mtime=1) + content + ustar.padding(size) + ustar.END, OCI_TAR)


def save(reference: str, target: Path, *arguments: str | Path) -> list[str]:
    command = [sys.executable, "-m", "imgfetch", "save", reference, "-o", target, "--platform", "linux/amd64"]
    return [str(part) for part in (*command, *arguments)]


def completed(reference: str, target: Path, *arguments: str | Path) -> str:
    done = subprocess.run(save(reference, target, *arguments), capture_output=True, check=False, timeout=RUN)
    assert done.returncode == 0, done.stderr.decode()
    return done.stderr.decode()


def check_names(root: Path) -> None:
    """Hash everything that has a final name."""
    for path in (root / "blobs").glob("*/*"):
        with path.open("rb") as file:
            assert hashlib.file_digest(file, path.parent.name).hexdigest() == path.name


# ---- kill -9 ----


@pytest.mark.parametrize("cache", [True, False], ids=["cache", "no-cache"])
def test_a_pull_that_is_killed_at_30_points_is_continued_at_the_byte(tmp_path: Path, *, cache: bool) -> None:
    built = image(hello(), *(noise(f"layer {number}", 3 * 1024**2) for number in range(8)))
    total = sum(len(blob.content) for blob in built.blobs)
    choice = random.Random(SEED)
    points = [total * (number + choice.random()) / KILLS for number in range(KILLS)]
    target, wanted = tmp_path / "out" / "y.tar", tmp_path / "wanted.tar"
    target.parent.mkdir()
    arguments = ("--cache-dir", tmp_path / "cache") if cache else ("--no-cache",)
    store = tmp_path / "cache" if cache else target.parent / ".y.tar.imgfetch" / "store"
    killed = 0
    with Throttled(RATE) as registry:
        reference = registry.add("team/app", "v1", built)
        completed(reference, wanted, "--no-cache")
        registry.sent, registry.blobs = 0, []
        for point in points:
            with subprocess.Popen(save(reference, target, *arguments), stderr=subprocess.PIPE) as process:
                end = time.monotonic() + RUN
                while registry.sent < point and process.poll() is None:
                    assert time.monotonic() < end
                    time.sleep(0.002)
                process.kill()
                process.communicate(timeout=RUN)
            killed += process.returncode == -signal.SIGKILL
            check_names(store)
            assert not target.exists() or target.read_bytes() == wanted.read_bytes()
        completed(reference, target, *arguments)
        received, starts = registry.sent, [start for _, start in registry.blobs]
    print(f"{killed} kills, {received} bytes for {total}, {sum(start > 0 for start in starts)} continued")
    assert killed >= KILLS - 2  # the last ones may come when all is done
    assert sum(start > 0 for start in starts) >= KILLS // 2
    assert target.read_bytes() == wanted.read_bytes()
    # Without resuming it would be some 15 times the total.  Bytes that a killed process had not yet read are sent
    # again, and on a busy machine these are many.
    assert received <= 2 * total
    assert [path.name for path in target.parent.iterdir()] == ["y.tar"]


def test_a_part_that_was_spoilt_meanwhile_is_begun_anew(tmp_path: Path) -> None:
    built = image(noise("a layer", 2 * 1024**2))
    with Throttled(1e12) as registry:
        reference = registry.add("team/app", "v1", built)
        part = tmp_path / "cache" / "parts" / "sha256" / built.layers[0].digest[7:]
        part.parent.mkdir(parents=True)
        (tmp_path / "cache").chmod(0o700)
        part.write_bytes(bytes(10**6))
        err = completed(reference, tmp_path / "y.tar", "--cache-dir", tmp_path / "cache", "-v")
        asked = [start for digest, start in registry.blobs if digest == built.layers[0].digest]
    assert asked == [10**6, 0]
    assert "resumed from an earlier attempt, does not match the manifest" in err
    check_names(tmp_path / "cache")
    assert tarfile.is_tarfile(tmp_path / "y.tar")


def test_a_part_that_was_complete_costs_no_request(tmp_path: Path) -> None:
    built = image(noise("a layer", 2 * 1024**2))
    with Throttled(1e12) as registry:
        reference = registry.add("team/app", "v1", built)
        part = tmp_path / "cache" / "parts" / "sha256" / built.layers[0].digest[7:]
        part.parent.mkdir(parents=True)
        (tmp_path / "cache").chmod(0o700)
        part.write_bytes(built.layers[0].content)
        completed(reference, tmp_path / "y.tar", "--cache-dir", tmp_path / "cache")
        assert [digest for digest, _ in registry.blobs] == [built.config.digest]
    assert not part.exists()


# ---- several processes ----

PROCESSES = 8
IMAGES = 20


def test_eight_processes_with_one_store_ask_for_each_blob_once(tmp_path: Path) -> None:
    shared = [noise(f"shared {number}", 256 * 1024) for number in range(6)]
    builts = [
        image(*shared[: number % 6 + 1], hello(f"own {number}"), config={"author": str(number)})
        for number in range(IMAGES)
    ]
    with Throttled(RATE) as registry:
        references = [registry.add(f"team/app{number}", "v1", built) for number, built in enumerate(builts)]
        waiting = [
            (reference, save(reference, tmp_path / f"{number}.tar", "--cache-dir", tmp_path / "cache"))
            for number, reference in enumerate(references)
        ]
        running: list[tuple[str, subprocess.Popen[bytes]]] = []
        while waiting or running:
            while waiting and len(running) < PROCESSES:
                reference, command = waiting.pop()
                running.append((reference, subprocess.Popen(command, stderr=subprocess.PIPE)))
            reference, process = running.pop(0)
            _, err = process.communicate(timeout=2 * RUN)
            assert process.returncode == 0, (reference, err.decode())
        asked = Counter(digest for digest, _ in registry.blobs)
        for number, reference in enumerate(references):
            completed(reference, tmp_path / "alone.tar", "--no-cache")
            assert (tmp_path / "alone.tar").read_bytes() == (tmp_path / f"{number}.tar").read_bytes()
    assert set(asked) == {blob.digest for built in builts for blob in built.blobs}
    assert set(asked.values()) == {1}
    check_names(tmp_path / "cache")
    assert list((tmp_path / "cache" / "runs").iterdir()) == []
    assert [path for path in (tmp_path / "cache" / "parts").rglob("*") if path.is_file()] == []


def test_a_killed_holder_blocks_nobody(tmp_path: Path) -> None:
    built = image(noise("a layer", 2 * 1024**2))
    with Throttled(512 * 1024) as registry:
        reference = registry.add("team/app", "v1", built)
        command = save(reference, tmp_path / "one.tar", "--cache-dir", tmp_path / "cache")
        with subprocess.Popen(command, stderr=subprocess.PIPE) as holder:
            until(lambda: registry.sent >= 10**6)
            command = save(reference, tmp_path / "two.tar", "--cache-dir", tmp_path / "cache")
            with subprocess.Popen(command, stderr=subprocess.PIPE) as other:
                time.sleep(0.7)
                holder.kill()
                holder.communicate(timeout=RUN)
                registry.rate = 1e12
                _, err = other.communicate(timeout=RUN)
                assert other.returncode == 0, err
        starts = [start for digest, start in registry.blobs if digest == built.layers[0].digest]
    assert starts[0] == 0
    assert len(starts) == 2
    assert starts[1] >= 500_000


def test_two_saves_to_one_output_do_not_disturb_each_other(tmp_path: Path) -> None:
    built = image(noise("a layer", 1024**2))
    (tmp_path / "out").mkdir()
    target = tmp_path / "out" / "y.tar"
    with Throttled(RATE) as registry:
        reference = registry.add("team/app", "v1", built)
        completed(reference, tmp_path / "wanted.tar", "--no-cache")
        runs = [subprocess.Popen(save(reference, target, "--no-cache"), stderr=subprocess.PIPE) for _ in range(3)]
        for run in runs:
            _, err = run.communicate(timeout=RUN)
            assert run.returncode == 0, err
    assert target.read_bytes() == (tmp_path / "wanted.tar").read_bytes()
    assert [path.name for path in target.parent.iterdir()] == ["y.tar"]


# ---- eviction ----


def test_the_least_recently_used_goes_and_what_a_running_save_needs_stays(tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first, second = (image(noise(name, 1024**2)) for name in ("first", "second"))
    slow = image(*first.layers, noise("slow", 2 * 1024**2))
    with Throttled(1e12) as registry:
        references = [registry.add(name, "v1", built) for name, built in (("a", first), ("b", second), ("c", slow))]
        completed(references[0], tmp_path / "a.tar", "--cache-dir", cache)
        registry.rate = 512 * 1024
        command = save(references[2], tmp_path / "c.tar", "--cache-dir", cache, "--cache-size", "1GB")
        with subprocess.Popen(command, stderr=subprocess.PIPE) as running:
            until(lambda: registry.sent >= 1.5 * 1024**2)
            running.send_signal(signal.SIGSTOP)  # alive, and in the middle of it
            registry.rate = 1e12
            completed(references[1], tmp_path / "b.tar", "--cache-dir", cache, "--cache-size", "100kB")
            names = {path.name for path in (cache / "blobs" / "sha256").iterdir()}
            running.send_signal(signal.SIGCONT)
            _, err = running.communicate(timeout=RUN)
            assert running.returncode == 0, err
    assert first.layers[0].digest[7:] in names  # used least recently, and needed
    assert second.layers[0].digest[7:] not in names
    left = {path.name for path in (cache / "blobs" / "sha256").iterdir()}
    assert {blob.digest[7:] for blob in slow.layers} <= left
    assert tarfile.is_tarfile(tmp_path / "c.tar")


def imgfetch(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "imgfetch", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=False, timeout=RUN, text=True)


def test_the_cache_is_listed_and_pruned(tmp_path: Path, loopback: Loopback) -> None:
    cache = tmp_path / "cache"
    built = image(hello(), noise("a layer", 1024**2))
    completed(loopback.add("team/app", "v1", built), tmp_path / "y.tar", "--cache-dir", cache)
    assert imgfetch("cache", "dir", "--cache-dir", cache).stdout == f"{cache}\n"
    os.utime(cache / "blobs" / "sha256" / built.layers[0].digest[7:], (time.time() - 90_000,) * 2)
    listed = imgfetch("cache", "list", "--cache-dir", cache).stdout.splitlines()
    assert len(listed) == 5
    assert re.fullmatch(rf"{built.layers[0].digest} +\d+ B +1 d", listed[0])
    assert listed[-1] == "4 blobs, 1.05 MB"
    pruned = imgfetch("cache", "prune", "--cache-dir", cache, "--older-than", "12h")
    assert pruned.stderr.startswith("imgfetch: removed 1 of 4 blobs, ")
    kept = imgfetch("cache", "prune", "--cache-dir", cache)
    assert re.fullmatch(
        r"imgfetch: removed 0 of 3 blobs, 0 B; [\d.]+ MB left; imgfetch cache prune --all empties the cache\n",
        kept.stderr,
    )
    assert imgfetch("cache", "prune", "--cache-dir", cache, "--all").returncode == 0
    assert imgfetch("cache", "list", "--cache-dir", cache).stdout == "0 blobs, 0 B\n"
    assert [path for path in (cache / "layers").rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    ("options", "variable", "left"),
    [
        ((), "", 4),
        ((), "1MB", 2),
        (("--keep", "0"), "", 0),
        (("--keep", "1GB"), "1MB", 4),
        (("--older-than", "12h"), "", 2),
        (("--older-than", "12h", "--keep", "1GB"), "", 4),
        (("--all",), "1GB", 0),
    ],
)
def test_a_cache_is_pruned_to_its_size_unless_told_otherwise(
    *,
    options: tuple[str, ...],
    variable: str,
    left: int,
    save: Save,
    command: Command,
    loopback: Loopback,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built = image(hello(), noise("a layer", 1024**2))
    save(loopback.add("team/app", "v1", built))
    blobs = tmp_path / "cache" / "blobs" / "sha256"
    for old in built.layers:
        os.utime(blobs / old.digest[7:], (time.time() - 90_000,) * 2)
    monkeypatch.setenv("IMGFETCH_CACHE_SIZE", variable)
    assert command("cache", "prune", *options).status == 0
    assert len(list(blobs.iterdir())) == left


def test_a_cache_cannot_be_emptied_and_kept(command: Command) -> None:
    for option in (("--keep", "1GB"), ("--older-than", "1d")):
        done = command("cache", "prune", "--all", *option)
        assert done.status == 2
        assert "--all cannot be combined with --keep or --older-than" in done.err


def test_a_list_whose_reader_goes_away_gives_no_traceback(tmp_path: Path) -> None:
    parts = tmp_path / "cache" / "blobs" / "sha256"
    parts.mkdir(parents=True)
    BlobStore(tmp_path / "cache").prepare()
    for number in range(3000):
        (parts / f"{number:064x}").touch()
    program = f"'{sys.executable}' -m imgfetch cache list --cache-dir cache | head -n1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        [shutil.which("bash") or "bash", "-c", program], cwd=tmp_path, capture_output=True, check=False, timeout=RUN
    )
    assert done.returncode == 141
    assert done.stderr == b""


# ---- validators ----


@pytest.mark.parametrize(
    ("etag", "wanted"),
    [('"v1"', '"v1"'), ('W/"v1"', None), ("v1", None), ("", None)],
    ids=["strong", "weak", "bare", "none"],
)
@pytest.mark.parametrize("moves", [False, True], ids=["one store", "another store"])
def test_a_strong_etag_is_sent_back_to_the_origin_that_gave_it(
    loopback: Loopback, tmp_path: Path, etag: str, wanted: str | None, *, moves: bool
) -> None:
    built = image(noise("a layer", 1024**2))
    content, half = built.layers[0].content, 300_000
    reference = loopback.add("team/app", "v1", built)
    with Loopback() as first, Loopback() as second:
        stores = [first, second if moves else first]
        locations = iter(stores)
        loopback.answers[f"/v2/team/app/blobs/{built.layers[0].digest}"] = lambda _: Answer(
            status=307, headers={"Location": f"http://{next(locations).host}/data"}
        )
        rest = Answer(content[half:], 206, {"Content-Range": f"bytes {half}-{len(content) - 1}/{len(content)}"})
        cut = Answer(content[:half], headers={"Content-Length": str(len(content)), "ETag": etag})
        for store in {*stores}:
            store.answers["/data"] = lambda request: rest if "Range" in request.headers else cut
        completed(reference, tmp_path / "y.tar", "--no-cache")
        asked = [request.headers for request in stores[-1].requests if "Range" in request.headers]
    assert [headers["Range"] for headers in asked] == [f"bytes={half}-"]
    assert asked[0].get("If-Range") == (None if moves else wanted)
    registrys = [request.headers for request in loopback.requests if "/blobs/" in request.path]
    assert all("If-Range" not in headers for headers in registrys)


# ---- a real registry ----


def test_a_real_registry_continues_a_part(registry: RealRegistry, tmp_path: Path) -> None:
    built = image(noise("for docker-registry", 2 * 1024**2))
    reference = registry.push("resume/app", "v1", built)
    completed(reference, tmp_path / "wanted.tar", "--no-cache")
    part = tmp_path / "cache" / "parts" / "sha256" / built.layers[0].digest[7:]
    part.parent.mkdir(parents=True)
    (tmp_path / "cache").chmod(0o700)
    part.write_bytes(built.layers[0].content[: 10**6])
    err = completed(reference, tmp_path / "y.tar", "--cache-dir", tmp_path / "cache", "-v")
    assert "resuming at 1000000 of" in err
    assert re.search(r"blobs/sha256:\w+: 206", err)
    assert (tmp_path / "y.tar").read_bytes() == (tmp_path / "wanted.tar").read_bytes()


# ---- signals ----


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_run_within_a_second_while_it_waits_for_another_attempt(
    number: signal.Signals, loopback: Loopback, tmp_path: Path
) -> None:
    reference = loopback.add("team/app", "v1", image(hello()))
    loopback.answers["/v2/team/app/manifests/v1"] = Answer(status=503, headers={"Retry-After": "30"})
    with subprocess.Popen(save(reference, tmp_path / "y.tar"), stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        line = process.stderr.readline().decode()  # the wait is announced
        assert "retrying in 30 s (attempt 2 of 5)" in line
        began = time.monotonic()
        process.send_signal(number)
        _, err = process.communicate(timeout=RUN)
        took = time.monotonic() - began
    assert process.returncode == 128 + number
    assert b"Traceback" not in err
    assert took < 20  # far less than the wait; a second on an idle machine


@pytest.mark.parametrize("pause", [0.0, 0.02, 0.05, 0.1, 0.2])
def test_a_second_signal_ends_a_run_at_once_or_has_no_effect(loopback: Loopback, tmp_path: Path, pause: float) -> None:
    built = image(noise("a layer", 1024**2))
    reference = loopback.add("team/app", "v1", built)
    path = f"/v2/team/app/blobs/{built.layers[0].digest}"

    def slow(_: Request) -> Answer:
        time.sleep(5)
        return Answer(b"")

    loopback.answers[path] = slow
    with subprocess.Popen(save(reference, tmp_path / "y.tar"), stderr=subprocess.PIPE) as process:
        until(lambda: path in loopback.paths)
        process.send_signal(signal.SIGINT)
        time.sleep(pause)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=RUN)
    assert process.returncode == 130
    assert b"Traceback" not in err
    assert not (tmp_path / "y.tar").exists()
