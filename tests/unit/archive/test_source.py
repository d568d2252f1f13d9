"""The places from which an archive is read, and what is refused there."""

from __future__ import annotations

import gzip
import io
import os
import random
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from imgfetch.archive import source
from imgfetch.archive.lineends import LineEnds
from imgfetch.archive.scan import scan
from imgfetch.archive.source import opened
from imgfetch.errors import StorageError, UnsupportedError, VerificationError
from tests import headers
from tests.images import gz, tar, zstd
from tests.waiting import until_caught

FILES = {"a.json": b"{}", "b": b"long" * 100_000, "c": b"c"}
TAR = tar(FILES)
FORMS: dict[str, Callable[[bytes], bytes]] = {"plain": bytes, "gzip": gz, "zstd": zstd}
each_form = pytest.mark.parametrize("form", FORMS)


def contents(members: source.Members) -> dict[str, bytes]:
    return {entry.name: members.head(3) + members.read() for entry in members}


@contextmanager
def piped(content: bytes, step: int | None = None) -> Iterator[io.FileIO]:
    """Yield the end of a pipe into which a thread writes, ``step`` bytes at a time."""
    end, other = os.pipe()
    step = step or len(content) or 1

    def write() -> None:
        with os.fdopen(other, "wb", buffering=0) as pipe:
            for start in range(0, len(content), step):
                pipe.write(content[start : start + step])

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(end, "rb", buffering=0) as file:
        yield file
    thread.join()


@each_form
def test_a_file_is_read_by_its_path(tmp_path: Path, form: str) -> None:
    path = tmp_path / "o.tar"
    path.write_bytes(FORMS[form](TAR))
    with opened(path) as members:
        assert contents(members) == FILES
        assert (members.name, members.size) == (str(path), path.stat().st_size)


@each_form
def test_a_file_without_a_consumer_is_skipped_to_its_end(tmp_path: Path, form: str) -> None:
    path = tmp_path / "o.tar"
    path.write_bytes(FORMS[form](TAR))
    with opened(str(path)) as members:
        assert [(entry.name, entry.size) for entry in members] == [(name, len(text)) for name, text in FILES.items()]


@each_form
@pytest.mark.parametrize("step", [7919, None], ids=["in pieces", "at once"])
def test_a_pipe_is_read_as_a_file_is(form: str, step: int | None) -> None:
    with piped(FORMS[form](TAR), step) as pipe, opened(f"/dev/fd/{pipe.fileno()}") as members:
        assert contents(members) == FILES
        assert members.size is None


@each_form
def test_an_open_pipe_is_read_and_stays_open(form: str) -> None:
    with piped(FORMS[form](TAR)) as pipe:
        with opened(pipe) as members:  # type: ignore[arg-type]  # typeshed: FileIO is not a BinaryIO
            assert contents(members) == FILES
        assert not pipe.closed


def test_a_pipe_in_non_blocking_mode_is_read_as_another() -> None:
    with piped(TAR, 7919) as pipe:
        os.set_blocking(pipe.fileno(), False)
        with opened(f"/dev/fd/{pipe.fileno()}") as members:
            assert contents(members) == FILES


def test_an_open_file_is_read_from_its_position(tmp_path: Path) -> None:
    path = tmp_path / "o.tar"
    path.write_bytes(b"before" + TAR)
    with path.open("rb") as file:
        file.seek(6)
        with opened(file) as members:
            assert contents(members) == FILES
    with opened(io.BytesIO(TAR)) as members:
        assert contents(members) == FILES


@each_form
def test_all_bytes_are_reported_as_they_are_read(tmp_path: Path, form: str) -> None:
    path = tmp_path / "o.tar"
    path.write_bytes(FORMS[form](TAR))
    counts: list[int] = []
    with opened(path, counts.append) as members:
        contents(members)
    assert sum(counts) == path.stat().st_size
    counts.clear()
    with path.open("rb") as file, opened(file, counts.append) as members:
        list(members)
    assert sum(counts) == path.stat().st_size


def test_a_path_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "o.tar"
    path.write_bytes(gz(TAR))
    paths = []
    real = os.open

    def counting(path: str, *rest: int) -> int:
        paths.append(path)
        return real(path, *rest)

    monkeypatch.setattr(os, "open", counting)
    with opened(path) as members:
        contents(members)
    assert paths == [str(path)]


def test_a_named_pipe_is_awaited_as_cat_does(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)

    def write() -> None:
        time.sleep(0.1)
        path.write_bytes(TAR)

    thread = threading.Thread(target=write)
    thread.start()
    with opened(path) as members:
        assert contents(members) == FILES
    thread.join()


def test_a_wait_for_a_named_pipe_ends_with_a_signal(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    command = [sys.executable, "-m", "imgfetch", "verify", str(tmp_path / "pipe"), "--progress", "none"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE)
    try:
        until_caught(process)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=30)[1] == b"imgfetch: error: interrupted\n"
        assert process.returncode == 128 + signal.SIGINT
    finally:
        process.kill()


def test_a_missing_file_is_an_error_of_storage(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="No such file"), opened(tmp_path / "o.tar"):
        pass


@pytest.mark.parametrize("size", [100, 100_000])
def test_compressed_data_that_ends_early_is_damage(tmp_path: Path, size: int) -> None:
    path = tmp_path / "o.tar.gz"
    path.write_bytes(gz(tar({"a": random.Random(1).randbytes(300_000)}))[:size])
    with pytest.raises(VerificationError, match="ends early"), opened(path) as members:
        contents(members)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not an image archive, but an empty file"),
        (gz(b""), "but an empty file compressed with gzip"),
        (bytes(2000), "begins with zeros"),
        (gz(bytes(2000)), "begins with zeros"),
        (gz(TAR)[:10] + b"\xff" * 600, "o.tar is damaged: its gzip data is damaged"),
        (gz(gz(TAR)), "but gzip data within gzip data"),
        (b"\x04\x22\x4d\x18rest", "but an lz4 file"),
        (gz(b"\x7fELF"), r"but a program \(ELF\) compressed with gzip"),
        (b"\x00\x01\x02\x03", "it is neither a tar nor compressed"),
    ],
)
def test_a_file_that_is_no_tar_is_refused_with_its_kind(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "o.tar").write_bytes(content)
    kind = VerificationError if "damaged" in said else UnsupportedError
    with pytest.raises(kind, match=said) as raised, opened(tmp_path / "o.tar"):
        pass
    assert raised.value.hint


def test_an_error_of_the_disk_while_reading_names_the_file() -> None:
    class Broken(io.BytesIO):
        def readinto(self, buffer: object) -> int:
            del buffer
            raise OSError(5, "Input/output error")

    with pytest.raises(StorageError, match="cannot read stdin: Input/output error"), opened(Broken(TAR)):
        pass


def test_a_device_without_end_comes_to_an_end() -> None:
    with pytest.raises(UnsupportedError, match="begins with zeros"), opened("/dev/zero"):
        pass


def test_a_sparse_file_of_terabytes_is_refused_at_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "o.tar"
    path.touch()
    os.truncate(path, 8 * 1024**4)
    with pytest.raises(UnsupportedError, match="begins with zeros"), opened(path):
        pass


def test_gzip_members_that_hold_little_each_are_joined(tmp_path: Path) -> None:
    path = tmp_path / "o.tar.gz"
    path.write_bytes(b"".join(gzip.compress(TAR[start : start + 700], mtime=0) for start in range(0, len(TAR), 700)))
    with opened(path) as members:
        assert contents(members) == FILES


def gzip_within_a_tar(content: bytes, inner: bytes) -> bytes:
    """Return gzip data of one tar whose header has, in its extra field, another tar."""
    compressed = gzip.compress(content, mtime=0)
    block = headers.header(b"\x1f\x8b\x08\x04" + bytes(6) + (500 + len(inner)).to_bytes(2, "little") + b"x")
    return block + inner + compressed[10:]


def zstd_within_a_tar(content: bytes, inner: bytes) -> bytes:
    """Return zstd data of one tar behind a skippable frame with another tar."""
    block = headers.header(b"\x50\x2a\x4d\x18" + (504 + len(inner)).to_bytes(4, "little") + b"x")
    return block + inner + zstd(content)


@pytest.mark.parametrize("polyglot", [gzip_within_a_tar, zstd_within_a_tar])
def test_a_file_that_is_compressed_to_some_readers_and_a_tar_to_others_is_refused(
    tmp_path: Path, polyglot: Callable[[bytes, bytes], bytes]
) -> None:
    content = polyglot(TAR, tar({"manifest.json": b"[]"}))
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        assert archive.getnames()[-1] == "manifest.json"
    (tmp_path / "y.tar").write_bytes(content)
    with pytest.raises(VerificationError, match="data to some readers and a tar to others"), opened(tmp_path / "y.tar"):
        pass


@pytest.mark.parametrize("form", ["gzip", "zstd"])
@pytest.mark.parametrize("behind", [b"garbage that is long enough", bytes(100), TAR], ids=["garbage", "zeros", "tar"])
def test_data_behind_compressed_data_is_damage(form: str, behind: bytes) -> None:
    content = io.BytesIO(FORMS[form](TAR) + behind)
    with pytest.raises(VerificationError, match=r"follow its|is damaged"), opened(content) as members:
        contents(members)


@each_form
@pytest.mark.parametrize("size", [20_480, 307_200])
@pytest.mark.parametrize("seed", [1, 29])
def test_a_file_that_was_copied_as_text_is_damage_with_the_cause(
    tmp_path: Path, form: str, size: int, seed: int
) -> None:
    # With the seed 29, the converted gzip data end early instead of being damaged.
    path = tmp_path / "o.tar"
    content = FORMS[form](tar({"a": random.Random(seed).randbytes(size)}))
    path.write_bytes(content.replace(b"\n", b"\r\n"))
    for hashes in (True, False):
        try:
            (first, *_) = scan(path, hashes=hashes).faults
        except VerificationError as error:
            first = str(error)
        assert first == f"{path} was copied as text, with LF converted to CR LF: copy or write it again in binary mode"
    path.write_bytes(content[:5000] + b"x" * 600 + content[5600:-2000])
    try:
        faults = scan(path, hashes=True).faults
    except VerificationError as error:
        faults = [str(error)]
    assert not any("copied as text" in fault for fault in faults)


def test_line_ends_are_counted_across_pieces() -> None:
    content = b"text\r\n" * 20
    for step in (1, 2, 3, 5, 1000):
        ends = LineEnds()
        for start in range(0, len(content), step):
            ends.add(content[start : start + step])
        assert ends.are_converted
    ends.add(b"\n")
    assert not ends.are_converted
    few = LineEnds()
    few.add(b"\r\n" * 15)
    assert not few.are_converted


def test_an_open_file_is_not_opened_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "o.tar"
    path.write_bytes(TAR)
    with path.open("rb") as file:
        path.unlink()
        monkeypatch.setattr(os, "open", None)  # a socket, or a file of another user, can only be duplicated
        with opened(f"/proc/self/fd/{file.fileno()}") as members:
            assert contents(members) == FILES


def test_a_copy_is_complete_though_each_write_takes_a_part() -> None:
    class Slow(io.BytesIO):
        def write(self, data: Any) -> int:
            return super().write(data[:3])

    copy = Slow()
    assert list(source.copied([b"first piece", b"", b"second"], copy, "a copy")) == [b"first piece", b"", b"second"]
    assert copy.getvalue() == b"first piecesecond"
