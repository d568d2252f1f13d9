"""Saves on file systems without locks, modes or room: a cache that cannot be used is one warning, no more."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

import pytest

from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.digest import Digest
from tests.filesystems.faults import Faults
from tests.filesystems.mounts import bindfs, faulty, overlay, read_only, tmpfs
from tests.images import image
from tests.machine import ATTACKER, BASE, GROUP, IMAGE, NOISE, TOP, VICTIM, Machine
from tests.preloaded import Done

LAYERS = sorted(blob.digest for blob in IMAGE.layers)
NO_LOCKS = ("ENOLCK", "EOPNOTSUPP", "ENOSYS")


def no_locks(name: str) -> Faults:
    return Faults(errors=dict.fromkeys(("flock", "lock"), getattr(errno, name)))


def warnings(done: Done) -> list[str]:
    return [line for line in done.err.splitlines() if line.startswith("imgfetch: warning:")]


def is_one_warning(done: Done) -> bool:
    """Return ``True`` if stderr has one warning, on the cache, and nothing that another program wrote."""
    lines = done.err.splitlines()
    return (
        len(warnings(done)) == 1
        and warnings(done)[0].endswith("continuing without a cache")
        and all(line.startswith("imgfetch: ") for line in lines)
        and done.err.count("without a cache") == 1
    )


def left(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.name != "y.tar")


# ---- outputs ----


@pytest.mark.parametrize("name", NO_LOCKS)
def test_an_output_needs_no_locks_and_nothing_is_left_beside_it(shared: Machine, name: str) -> None:
    with faulty(shared.out, no_locks(name)):
        for cache in ((), ("--no-cache",)):
            done = shared.save(*cache)
            assert (done.status, warnings(done)) == (0, []), done.err
            assert shared.is_right()
            assert left(shared.out) == []


@pytest.mark.parametrize("name", NO_LOCKS)
def test_a_failed_save_where_nothing_can_be_locked_leaves_nothing_and_claims_nothing(
    shared: Machine, name: str
) -> None:
    shared.break_off(TOP.digest)
    with faulty(shared.out, no_locks(name)):
        done = shared.save("--no-cache")
    assert done.status != 0
    assert "kept" not in done.err
    assert left(shared.out) == []


def test_locks_as_nfs_has_them_are_used(shared: Machine) -> None:
    cache = shared.directory("cache")
    with faulty(shared.out, Faults(nfs_locks=True)), faulty(cache, Faults(nfs_locks=True)):
        for _ in range(2):
            done = shared.save("--cache-dir", cache)
            assert (done.status, warnings(done)) == (0, []), done.err
            assert shared.is_right()
            assert left(shared.out) == []
    assert sorted(set(shared.downloads()) & set(LAYERS)) == LAYERS


OPEN_FILES = {
    "they get hidden names": lambda path: faulty(path, Faults()),
    "they get hidden names, by bindfs": bindfs,
    "they are busy": lambda path: faulty(path, Faults(busy=True)),
}


@pytest.mark.parametrize("mounted", OPEN_FILES.values(), ids=OPEN_FILES)
def test_nothing_is_left_beside_an_output_whose_file_system_cannot_remove_open_files(
    shared: Machine, mounted: Callable[[Path], AbstractContextManager[Path]]
) -> None:
    with mounted(shared.out):
        for cache in ((), ("--no-cache",)):
            done = shared.save(*cache)
            assert (done.status, left(shared.out)) == (0, []), done.err
        shared.break_off(IMAGE.config.digest)
        done = shared.save("--no-cache")
        assert (done.status, left(shared.out)) == (5, []), done.err


def test_a_cache_and_an_output_need_no_luxury(shared: Machine) -> None:
    cache = shared.directory("out/cache")
    numbers = {"link": errno.EPERM, "utimens": errno.EPERM, "chmod": errno.EPERM, "fsyncdir": errno.EINVAL}
    with faulty(shared.out, Faults(errors=numbers)):
        for _ in range(2):
            done = shared.save("--cache-dir", cache)
            assert (done.status, warnings(done), left(shared.out)) == (0, [], ["cache"]), done.err
            assert shared.is_right()
    assert sorted(digest for digest in shared.downloads() if digest in LAYERS) == LAYERS


def test_a_cache_on_an_overlay_is_used(shared: Machine) -> None:
    shared.save()
    shared.downloads()
    with overlay(shared.home):
        done = shared.save()
    assert (done.status, warnings(done)) == (0, []), done.err
    assert not set(shared.downloads()) & set(LAYERS)


# ---- file systems that ignore modes or owners ----

WITHOUT_MODES = {
    "0777, as a Windows drive in WSL has": Faults(mode=0o777),
    "0755, as vboxsf has": Faults(mode=0o755, owner=VICTIM.uid),
    "0777 of root, as FAT has": Faults(mode=0o777, owner=0, errors={"chmod": errno.EPERM}),
    "0755 of root, as CIFS has": Faults(mode=0o755, owner=0, errors={"chmod": errno.EPERM}),
    "all of nobody, as NFS has with root_squash": Faults(owner=65534),
}
without_modes = pytest.mark.parametrize("faults", WITHOUT_MODES.values(), ids=WITHOUT_MODES)


@without_modes
def test_a_cache_and_an_output_are_used_where_modes_are_ignored(shared: Machine, faults: Faults) -> None:
    cache = shared.directory("out/cache")
    with faulty(shared.out, faults) as below:
        for _ in range(2):
            done = shared.save("--cache-dir", cache)
            assert (done.status, warnings(done), left(shared.out)) == (0, [], ["cache"]), done.err
            assert shared.is_right()
        assert sorted(digest for digest in shared.downloads() if digest in LAYERS) == LAYERS
        blob = below / "cache/blobs/sha256" / TOP.digest.removeprefix("sha256:")
        for changed in (bytes(len(TOP.content)), bytes(10_000)):  # a longer one must not overwrite what follows it
            blob.write_bytes(changed)
            done = shared.save("--cache-dir", cache)
            assert (done.status, shared.is_right()) == (0, True), done.err
            assert [digest for digest in shared.downloads() if digest in LAYERS] == [TOP.digest]


@without_modes
def test_a_remembered_diff_id_is_neither_read_nor_written_where_modes_are_ignored(
    shared: Machine, faults: Faults
) -> None:
    cache = shared.directory("cache")
    reference = shared.registry.add(
        "team/app", "2", image(BASE, TOP, config={"rootfs": {"type": "layers", "diff_ids": [BASE.diff_id] * 2}})
    )
    with faulty(cache, faults) as below:
        shared.save("--cache-dir", cache)
        assert [path for path in below.glob("layers/*/*") if path.is_file()] == []
        note = shared.directory(below / "layers/sha256") / TOP.digest.removeprefix("sha256:")
        note.write_bytes(LayerInfo(Digest.parse(BASE.diff_id), "gzip", 2560).to_json())
        note.chmod(0o600)
        os.chown(note, VICTIM.uid, VICTIM.gid)
        arguments = ("save", reference, "--platform", "linux/amd64", "--cache-dir", cache, "-o", shared.out / "z.tar")
        done = shared.run(*arguments)
    assert done.status == 6, done.err
    assert not (shared.out / "z.tar").exists()


@without_modes
def test_partial_downloads_are_kept_only_for_a_run_that_resumes_them_where_modes_are_ignored(
    shared: Machine, faults: Faults
) -> None:
    shared.break_off(TOP.digest)
    with faulty(shared.out, faults):
        for number in range(2):
            done = shared.save("--no-cache", "--jobs", "1")  # the largest layer is first
            assert done.status == 5, done.err
            kept = left(shared.out)
            assert len(kept) <= 1
            assert ("kept" not in done.err) or kept
            is_resumed = NOISE.digest not in shared.downloads()
            assert is_resumed == bool(number and kept)
        shared.registry.add("team/app", "1", IMAGE)
        assert shared.save("--no-cache").status == 0
        assert left(shared.out) == []


# ---- caches that cannot be used ----

Unusable = Callable[[Machine, Path], AbstractContextManager[object]]


@contextmanager
def _full(_shared: Machine, cache: Path) -> Iterator[None]:
    with tmpfs(cache, size=64 * 1024, mode="0700", uid=VICTIM.uid):
        for number in range(2):  # the second takes what is left after the first
            with suppress(OSError):
                (cache / f".nfs{number}").write_bytes(bytes(64 * 1024))
        yield


@contextmanager
def _read_only_and_with_blobs(shared: Machine, cache: Path) -> Iterator[None]:
    assert shared.save("--cache-dir", cache).status == 0
    with read_only(cache):
        yield


@contextmanager
def _failing_blob(shared: Machine, cache: Path) -> Iterator[None]:
    assert shared.save("--cache-dir", cache).status == 0
    failing = Faults(errors={"read": errno.EIO}, names="*" + TOP.digest.removeprefix("sha256:"))
    with faulty(cache, failing):
        yield


@contextmanager
def _file(_shared: Machine, cache: Path) -> Iterator[None]:
    cache.rmdir()
    cache.write_bytes(b"a file")
    yield


@contextmanager
def _loop(_shared: Machine, cache: Path) -> Iterator[None]:
    cache.rmdir()
    cache.symlink_to(cache.name)
    yield


@contextmanager
def _in_a_directory_of_another_user(_shared: Machine, cache: Path) -> Iterator[None]:
    cache.rmdir()
    os.chown(cache.parent, ATTACKER.uid, ATTACKER.gid)
    yield


def _tmpfs(**options: object) -> Unusable:
    return lambda _, cache: tmpfs(cache, mode="0700", uid=VICTIM.uid, **options)


def _faulty(faults: Faults) -> Unusable:
    return lambda _, cache: faulty(cache, faults)


def _quota(**options: int) -> Unusable:
    return _faulty(Faults(full=errno.EDQUOT, **options))


UNUSABLE: dict[str, Unusable] = {
    "read-only": lambda _, cache: read_only(cache),
    "read-only and with blobs": _read_only_and_with_blobs,
    "a file in its place": _file,
    "a link in a loop": _loop,
    "in a directory of another user": _in_a_directory_of_another_user,
    "full": _full,
    "out of inodes": _tmpfs(nr_inodes=3),
    "out of inodes later": _tmpfs(nr_inodes=16),
    "smaller than the layers": _tmpfs(size=128 * 1024),
    "out of quota": _quota(room=0, files=0),
    "out of quota for bytes": _quota(room=0),
    "out of quota in the middle of a blob": _quota(room=100_000),
    "out of quota for files": _quota(files=11),
    **{f"no locks: {name}": _faulty(no_locks(name)) for name in NO_LOCKS},
    "EIO when a file is read": _faulty(Faults(errors={"read": errno.EIO})),
    "EIO when a file is written": _faulty(Faults(errors={"write": errno.EIO})),
    "EIO when a verified blob gets its name": _faulty(Faults(errors={"rename": errno.EIO})),
    "EIO when a blob of an earlier run is read": _failing_blob,
    "ESTALE": _faulty(Faults(errors={"getattr": errno.ESTALE}, names="/?*")),
    "ESTALE of blobs": _faulty(Faults(errors={"getattr": errno.ESTALE}, names="*/blobs*")),
}


@pytest.mark.parametrize("unusable", UNUSABLE.values(), ids=UNUSABLE)
def test_a_default_cache_that_cannot_be_used_is_one_warning(shared: Machine, unusable: Unusable) -> None:
    cache = shared.directory("home/.cache/imgfetch", mode=0o700)
    with unusable(shared, cache):
        done = shared.save()
    assert done.status == 0, done.err
    assert shared.is_right()
    assert is_one_warning(done), done.err


SOME = ("read-only", "full", "out of quota in the middle of a blob", "no locks: ENOLCK", "no locks: ENOSYS", "ESTALE")


@pytest.mark.parametrize("name", SOME)
def test_a_cache_that_was_named_and_cannot_be_used_is_one_warning_too(shared: Machine, name: str) -> None:
    cache = shared.directory("cache/in/here", mode=0o700)
    with UNUSABLE[name](shared, cache):
        done = shared.save("--cache-dir", cache)
    assert done.status == 0, done.err
    assert shared.is_right()
    assert is_one_warning(done), done.err


HOMELESS: dict[str, dict[str, str | None]] = {
    "HOME is /dev/null": {"HOME": "/dev/null"},
    "no HOME and no passwd entry": {"HOME": None},
    "HOME is empty": {"HOME": ""},
    "HOME is missing": {"HOME": "/nonexistent"},
    "HOME is relative": {"HOME": "home"},
    "HOME is /": {"HOME": "/"},
    "XDG_CACHE_HOME is a device": {"XDG_CACHE_HOME": "/dev/null"},
    "XDG_CACHE_HOME has a name that is too long": {"XDG_CACHE_HOME": f"/tmp/{'x' * 300}"},
}


@pytest.mark.parametrize("variables", HOMELESS.values(), ids=HOMELESS)
def test_no_place_for_the_default_cache_is_one_warning(shared: Machine, variables: dict[str, str | None]) -> None:
    shared.variables.update(variables)
    done = shared.save()
    assert done.status == 0, done.err
    assert shared.is_right()
    assert is_one_warning(done), done.err


def test_two_archives_of_one_command_are_one_warning(shared: Machine) -> None:
    other = shared.registry.add("team/other", "1", IMAGE)
    with read_only(shared.home):
        done = shared.run("save", shared.reference, other, "--output-dir", shared.out, "--platform", "linux/amd64")
    assert (done.status, len(left(shared.out))) == (0, 3), done.err  # with SHA256SUMS
    assert is_one_warning(done), done.err


def test_archives_whose_names_differ_in_case_are_refused_only_where_case_is_ignored(shared: Machine) -> None:
    other = shared.registry.add("team/app", "RC", IMAGE), shared.registry.add("team/app", "rc", IMAGE)
    save = ("save", *other, "--output-dir", shared.out, "--platform", "linux/amd64")
    with faulty(shared.out, Faults(ignores_case=True)):
        done = shared.run(*save)
        assert (done.status, left(shared.out)) == (7, []), done.err
        assert "the file system ignores case" in done.err
    assert shared.run(*save).status == 0
    assert len(left(shared.out)) == 3  # with SHA256SUMS


def _with(name: str) -> Callable[[Path], object]:
    return lambda cache: (cache / name).write_bytes(b"a file of the user")


STRANGE: dict[str, Callable[[Path], object]] = {
    "belongs to another user": lambda cache: os.chown(cache, ATTACKER.uid, ATTACKER.gid),
    "writable by all": lambda cache: cache.chmod(0o777),
    "writable by the group": lambda cache: (os.chown(cache, VICTIM.uid, GROUP), cache.chmod(0o770)),
    "not a cache": _with("notes.txt"),
    "another program's cache": _with("CACHEDIR.TAG"),
}


@pytest.mark.parametrize("spoil", STRANGE.values(), ids=STRANGE)
def test_a_default_cache_that_cannot_be_trusted_is_one_warning(
    shared: Machine, spoil: Callable[[Path], object]
) -> None:
    spoil(shared.directory("home/.cache/imgfetch", mode=0o700))
    done = shared.save()
    assert done.status == 0, done.err
    assert shared.is_right()
    assert is_one_warning(done), done.err


@pytest.mark.parametrize("spoil", STRANGE.values(), ids=STRANGE)
def test_a_cache_that_was_named_and_cannot_be_trusted_is_an_error(
    shared: Machine, spoil: Callable[[Path], object]
) -> None:
    cache = shared.directory("cache", mode=0o700)
    spoil(cache)
    for done in (shared.save("--cache-dir", cache), shared.save(IMGFETCH_CACHE_DIR=cache)):
        assert (done.status, list(shared.out.iterdir())) == (7, []), done.err
        assert str(cache) in done.err


# ---- what is a cache ----


@pytest.mark.parametrize("names", [(), (".gitignore", "lost+found")], ids=["empty", "with hidden entries"])
def test_an_empty_directory_becomes_a_cache(shared: Machine, names: tuple[str, ...]) -> None:
    cache = shared.directory("cache")
    for name in names:
        (cache / name).mkdir()
    done = shared.save("--cache-dir", cache)
    assert (done.status, warnings(done)) == (0, []), done.err
    assert "imgfetch" in (cache / "CACHEDIR.TAG").read_text()
    assert shared.run("cache", "prune", "--cache-dir", cache).status == 0


def test_a_cache_of_an_earlier_version_gets_the_tag(shared: Machine) -> None:
    cache = shared.directory("cache")
    for name in ("blobs", "layers", "parts", "locks", "runs"):
        shared.directory(cache / name)
    (cache / "lock").touch()
    os.chown(cache / "lock", VICTIM.uid, VICTIM.gid)
    done = shared.save("--cache-dir", cache)
    assert (done.status, warnings(done)) == (0, []), done.err
    assert "imgfetch" in (cache / "CACHEDIR.TAG").read_text()
