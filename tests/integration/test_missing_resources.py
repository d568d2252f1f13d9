"""A machine without threads, or with little memory, few descriptors or small files: a save works, or fails cleanly."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imgfetch.archive.verify import verify
from tests import limits
from tests.conftest import Run
from tests.images import OCI_TAR, OCI_ZSTD, hello, image, layer, tar
from tests.loopback import Answer, Loopback

LARGE = layer(tar({"large": bytes(2**20)}), OCI_TAR)  # for zstd, which compresses less than 512 KiB without threads
LAYERS = [*(hello(f"layer {number}") for number in range(3)), LARGE, hello("compressed otherwise", OCI_ZSTD)]
IMAGE = image(*LAYERS)
OLD = b"an older file"
Limited = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def reference(loopback: Loopback) -> str:
    loopback.answers["/v2/a/tags/list"] = Answer(b'{"name": "a", "tags": ["1"]}')
    return loopback.add("a", "1", IMAGE)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Return the working directory of a run, with a file that it may replace."""
    place = tmp_path / "place"
    place.mkdir()
    (place / "y.tar").write_bytes(OLD)
    return place


@pytest.fixture
def others_directory() -> Iterator[Path]:
    """Return a directory that every user can search."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        directory.chmod(0o755)
        yield directory


@pytest.fixture
def under(run: Run, place: Path) -> Limited:
    """Return a function that runs the command in that directory, behind a beginning that sets limits."""

    def under(start: list[str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
        variables = {"HOME": str(place), "IMGFETCH_RETRIES": "0", "IMGFETCH_CACHE_DIR": str(place / "cache")}
        return run(*arguments, env=variables, start=start, cwd=place)

    return under


# ---- no threads ----


@pytest.mark.parametrize(
    "arguments",
    [
        "digest {reference}",
        "tags {repository}",
        "inspect {reference}",
        "save {reference} -o y.tar",
        "save {reference} -o y.tar --layers plain --progress bar",
        "save {reference} -o y.tar.gz",
        "save {reference} -o y.tar.zst",
        "save {reference} --progress json",
    ],
)
def test_every_command_works_without_a_thread(
    reference: str, place: Path, under: Limited, tmp_path: Path, arguments: str
) -> None:
    start = limits.threads(1, place)
    names = {"reference": reference, "repository": reference.removesuffix(":1")}
    done = under(start, *arguments.format(**names).split())
    assert done.returncode == 0, done.stderr
    assert b"thread" not in done.stderr.replace(b"no thread is free for zstd", b"")
    (tmp_path / "out.tar").write_bytes(done.stdout)
    archives = [path for path in (*place.glob("y.tar*"), tmp_path / "out.tar") if path.read_bytes() != OLD]
    if arguments.startswith("save"):
        assert [verify(path).findings for path in archives if path.stat().st_size] == [()]
        assert not list(place.glob(".*"))


def test_verify_works_without_a_thread(reference: str, place: Path, under: Limited) -> None:
    assert under([], "save", reference, "-o", "z.tar").returncode == 0
    done = under(limits.threads(1, place), "verify", "z.tar", reference)
    assert (done.returncode, done.stderr) == (0, b"")


def test_few_threads_are_enough_and_change_no_byte(reference: str, place: Path, under: Limited) -> None:
    save = ("save", reference, "--no-cache", "-o")
    assert under([], *save, "expected.tar").returncode == 0
    for most in (2, 4):
        done = under(limits.threads(most, place), *save, "y.tar")
        assert done.returncode == 0, done.stderr
        assert (place / "y.tar").read_bytes() == (place / "expected.tar").read_bytes()


def test_a_failure_without_a_thread_leaves_the_output_untouched(
    loopback: Loopback, reference: str, place: Path, under: Limited
) -> None:
    loopback.answers[f"/v2/a/blobs/{LAYERS[2].digest}"] = Answer(b"damaged".ljust(len(LAYERS[2].content)))
    done = under(limits.threads(1, place), "save", reference, "-o", "y.tar")
    assert (done.returncode, b"layer 3/5" in done.stderr) == (6, True), done.stderr
    assert (place / "y.tar").read_bytes() == OLD
    assert not list(place.glob(".*"))


def test_an_archive_that_was_compressed_without_a_thread_is_up_to_date(
    reference: str, place: Path, under: Limited
) -> None:
    start, save = limits.threads(1, place), ("save", reference, "-o", "y.tar.zst", "--no-cache")
    done = under(start, *save)
    assert done.stderr.count(b"no thread is free for zstd, so the compressed file differs") == 1
    assert verify(place / "y.tar.zst").findings == ()
    assert b"left untouched" in under([], *save, "--if-changed").stderr


def test_a_credential_helper_that_cannot_be_started_is_no_refusal(
    loopback: Loopback, reference: str, place: Path, under: Limited, others_directory: Path
) -> None:
    loopback.challenge("/v2/a/manifests/1", 'Basic realm="x"')
    (place / ".docker").mkdir()
    (place / ".docker" / "config.json").write_text('{"credsStore": "test"}')
    helper = others_directory / "docker-credential-test"
    helper.write_text("#!/bin/sh\n")
    helper.chmod(0o755)
    start = ["env", f"PATH={others_directory}", *limits.threads(1, place)]
    done = under(start, "digest", reference)
    assert done.returncode == 7, done.stderr
    assert done.stderr.startswith(
        b"imgfetch: error: cannot run docker-credential-test: Resource temporarily unavailable\n"
    )
    assert b"hint: raise the limit: ulimit -u" in done.stderr


# ---- little memory, few descriptors, small files ----


def assert_clean(done: subprocess.CompletedProcess[bytes], place: Path, *reasons: bytes) -> None:
    """Expect success, or one error with a hint and nothing left behind."""
    assert b"Traceback" not in done.stderr, done.stderr
    if done.returncode:
        assert done.returncode == 7, done.stderr
        assert done.stderr.count(b"imgfetch: error: ") == 1
        assert any(reason in done.stderr.lower() for reason in reasons), done.stderr
        assert b"hint: " in done.stderr
        assert (place / "y.tar").read_bytes() == OLD
        assert not list(place.rglob("*.part"))


def test_verify_needs_little_memory_or_ends_with_one_sentence(reference: str, place: Path, under: Limited) -> None:
    assert under([], "save", reference, "-o", "z.tar", "--no-cache").returncode == 0
    assert_clean(under(limits.limited(**{"as": 60 << 20}), "verify", "z.tar"), place, b"not enough memory")


@pytest.mark.parametrize(
    ("command", "most"),
    [
        *(("--version", most) for most in (60, 90, 200)),
        *(("digest {}", most) for most in (60, 90, 200)),
        *(("save {} -o y.tar", most) for most in (90, 200)),
    ],
)
def test_little_memory_is_enough_or_ends_with_one_sentence(
    reference: str, place: Path, under: Limited, command: str, most: int
) -> None:
    done = under(limits.limited(**{"as": most << 20}), *command.format(reference).split())
    assert_clean(done, place, b"not enough memory")


@pytest.mark.parametrize("most", [8, 14, 64])
def test_few_descriptors_are_enough_or_end_with_one_sentence(
    reference: str, place: Path, under: Limited, most: int
) -> None:
    done = under(limits.limited(nofile=most), "save", reference, "-o", "y.tar")
    assert_clean(done, place, b"too many open files")
    assert b"cannot connect" not in done.stderr
    assert (done.returncode == 0) or most < 64


def test_one_job_needs_few_descriptors(reference: str, under: Limited) -> None:
    assert under(limits.limited(nofile=20), "save", reference, "-o", "y.tar", "-j", "1").returncode == 0


@pytest.mark.parametrize("arguments", [["save", "REFERENCE", "-o", "y.tar"], ["save", "REFERENCE"], ["--version"]])
def test_a_limit_of_files_sizes_ends_every_write_with_one_sentence(
    reference: str, place: Path, under: Limited, arguments: list[str]
) -> None:
    words = [reference if word == "REFERENCE" else word for word in arguments]
    start = ["sh", "-c", 'exec "$0" "$@" > out', *limits.limited(fsize=10)]
    done = under(start, *words)
    assert done.returncode == 7
    assert_clean(done, place, b"file too large")


@pytest.mark.parametrize("arguments", [["--version"], ["completion", "bash"]])
def test_a_full_disk_behind_stdout_is_one_sentence(under: Limited, arguments: list[str]) -> None:
    done = under(["sh", "-c", 'exec "$0" "$@" > /dev/full'], *arguments)
    assert done.returncode == 7
    assert done.stderr == b"imgfetch: error: cannot write to stdout: No space left on device\n"


LACKS = {
    "memory": "MemoryError()",
    "map": "ImportError('libssl.so.3: failed to map segment from shared object')",
    "lost": "SystemError('error return without exception set')",
    "files": "OSError(24, 'Too many open files')",
    "link": "ImportError('libssl.so.3: cannot open shared object file: Too many open files')",
}


@pytest.mark.parametrize(
    ("place_of_it", "lack"),
    [
        *(("ssl", lack) for lack in LACKS),
        ("imgfetch.cli.report", "memory"),
        ("imgfetch.cli.display.Display.message", "memory"),
    ],
)
def test_a_lack_during_an_import_or_a_report_is_one_sentence(lack: str, place_of_it: str) -> None:
    program = f"""
import sys
lack = {LACKS[lack]}
class Finder:
    def find_spec(self, name, path, target=None):
        if name == {place_of_it!r}:
            raise lack
sys.meta_path.insert(0, Finder())
from imgfetch.cli import main
if {place_of_it!r}.endswith("message"):
    from imgfetch.cli import display
    def message(*_): raise lack
    display.Display.message = message
sys.exit(main.main(["digest", "127.0.0.1:1/a", "--retries", "0"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, text=True)
    reason = "too many open files" if lack in ("files", "link") else "not enough memory"
    assert done.returncode == 7, done.stderr
    first, second = done.stderr.splitlines()
    assert first == f"imgfetch: error: {reason}"
    assert second.startswith("imgfetch:   hint: ")


def test_little_memory_leaves_the_progress_as_json() -> None:
    """As every error, although it comes from an import."""
    program = """
import sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "requests":
            raise MemoryError
sys.meta_path.insert(0, Finder())
from imgfetch.cli import main
sys.exit(main.main(["save", "127.0.0.1:1/a", "--no-cache", "-o", "/dev/null", "--progress", "json"]))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, text=True)
    event = json.loads(done.stderr)
    assert (done.returncode, event["event"], event["status"], event["error"]) == (7, "error", 7, "not enough memory")
    assert event["hint"].endswith("save needs less with -j 1")


def test_a_missing_module_is_no_lack() -> None:
    program = "import sys; sys.modules['requests'] = None; from imgfetch.cli import main; main.main(['tags', 'x'])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, text=True)
    assert (done.returncode, done.stderr.splitlines()[-1].partition(":")[0]) == (1, "ModuleNotFoundError")
