"""Attacks by a second user of the machine: none changes a byte of an archive, or a file of the victim.

The attacker owns a directory next to the victim's, or above it, or shares a group with him, or could write to his cache
once.  His scripts run as himself, before a save or while the registry holds an answer back; the victim's files are in
`$P` (`precious`).  A step that the system's own protection may forbid, such as a hard link to another user's file, is
taken by root.
"""

from __future__ import annotations

import fcntl
import gzip
import mmap
import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.digest import Digest
from tests.filesystems.mounts import tmpfs
from tests.loopback import Answer, Loopback, Request
from tests.machine import ATTACKER, BASE, CHANGED, GROUP, IMAGE, NOISE, TOP, VICTIM, Machine, machine, snapshot
from tests.preloaded import TIMEOUT, Done, Person, Preloaded

ROOT = Person(0, 0)
LAYER = f"blobs/sha256/{TOP.digest.removeprefix('sha256:')}"
RUNS = "1234567890abcdef"


@dataclass(frozen=True)
class Attack:
    """The steps of an attack.

    Attributes:
        script: a shell script.
        during: it runs when the victim's save asks for this blob; or else before the save.
        by: whose script it is.
    """

    script: str
    during: str = ""
    by: Person = ATTACKER


def during(script: str, digest: str = NOISE.digest) -> Attack:
    return Attack(script, digest)


def encoded(digest: str) -> str:
    return digest.removeprefix("sha256:")


class Scene:
    """The victim's precious files, and what the attacker does to them."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.precious = machine.directory("precious")
        for name in ("letter", "store/letter", "parts/letter", f"runs/{RUNS}.lock", f"runs/{RUNS}.json"):
            self._give(name, b"my " + name.encode())
        for blob in IMAGE.blobs:  # an OCI layout
            for below in ("", "layout/"):
                self._give(f"{below}blobs/sha256/{encoded(blob.digest)}", blob.content)
        self._give("empty", b"")
        self._give("layout/oci-layout", b"{}")
        self._give("layout/index.json", b"{}")
        evil = machine.directory("evil", ATTACKER)
        (evil / "changed").write_bytes(CHANGED)
        (evil / "note").write_bytes(LayerInfo(Digest.parse(BASE.diff_id), "gzip", 2560).to_json())
        for path in evil.iterdir():
            path.chmod(0o666)
        self.variables: dict[str, object] = {
            "P": self.precious,
            "TOP": encoded(TOP.digest),
            "NOISE": encoded(NOISE.digest),
            "LOCK": encoded(TOP.digest)[:3],
            "RUN": RUNS,
            "HOME": machine.home,
            "ROOT": machine.root,
        }
        self._ran: list[str] = []

    def _give(self, name: str, content: bytes) -> None:
        path = self.machine.directory((self.precious / name).parent) / Path(name).name
        path.write_bytes(content)
        os.chown(path, VICTIM.uid, VICTIM.gid)
        os.utime(path, (1_000_000_000, 1_000_000_000))

    def run(self, attack: Attack) -> str:
        return attack.by.sh(attack.script, self.machine.root, **self.variables)

    @contextmanager
    def attacked(self, attack: Attack) -> Iterator[None]:
        """Run the attack before the block or in it, and compare the victim's files after it."""
        before = self.files()
        if attack.during:
            path = self.machine.path_of(attack.during)
            answer = self.machine.registry.answers[path]
            assert isinstance(answer, Answer)
            self.machine.registry.answers[path] = lambda request: self._answer(attack, answer, request)
        else:
            self._ran.append(self.run(attack))
        yield
        assert self._ran == [""], "the attack did not happen"
        assert self.files() == before

    def files(self) -> Mapping[str, tuple[object, ...]]:
        """Return the victim's files."""
        return snapshot(self.precious)

    def _answer(self, attack: Attack, answer: Answer, _request: Request) -> Answer:
        if not self._ran:
            self._ran.append(self.run(attack))
        return answer


@pytest.fixture
def scene(shared: Machine) -> Scene:
    return Scene(shared)


def is_harmless(scene: Scene, done: Done, to: str) -> bool:
    """Return ``True`` for the right archive, or an error that says why there is none."""
    assert "Traceback" not in done.err, done.err
    if done.status:
        return done.status in (6, 7) and "imgfetch: error: " in done.err
    return scene.machine.is_right(to)


# ---- he can rename what is in the output's directory, or above it ----

OUTPUT = {
    "the workspace becomes a link": during('cd team; for d in .y.tar.*; do mv $d gone; ln -s "$P" $d; done'),
    "the workspace becomes a directory with links": during(
        "cd team; for d in .y.tar.*; do mv $d gone; mkdir -m 777 $d; cd $d;"
        ' for n in store parts layers; do ln -s "$P" $n; done; ln -s "$P/letter" lock; done'
    ),
    "the workspace's place is taken by a link": Attack('ln -s "$P" team/.y.tar.imgfetch'),
    "the workspace's place is taken by a FIFO": Attack("mkfifo team/.y.tar.imgfetch"),
    "a private directory is the workspace": Attack("mv team/private team/.y.tar.imgfetch"),
    "the output becomes a link": during('ln -s "$P/letter" team/y.tar'),
    "the output becomes a FIFO": during("mkfifo team/y.tar"),
    "the output becomes a link to a device": during("ln -s /dev/full team/y.tar"),
    "the output becomes a hard link": Attack('ln "$P/letter" team/y.tar', NOISE.digest, ROOT),
    "the output's directory becomes a link": during('mv team gone; ln -s "$P" team'),
}


@pytest.mark.parametrize("attack", OUTPUT.values(), ids=OUTPUT)
def test_who_can_write_to_the_output_s_directory_harms_nothing(scene: Scene, attack: Attack) -> None:
    shared = scene.machine
    shared.root.chmod(0o777)
    shared.directory("team", mode=0o775, group=GROUP)
    private = shared.directory("team/private", mode=0o700)
    for name in ("diary", "store", "parts", "layers"):
        (private / name).write_bytes(name.encode())
        os.chown(private / name, VICTIM.uid, VICTIM.gid)
    before = snapshot(private)
    with scene.attacked(attack):
        done = shared.save("--jobs", "1", "--no-cache", to="team/y.tar")
        archives = [path for path in shared.root.rglob("y.tar") if path.is_file() and not path.is_symlink()]
        assert all(map(shared.is_right, archives))
        assert archives or done.status
        with suppress(FileNotFoundError):
            (scene.precious / "y.tar").unlink()  # a link that was there before would have led here, too
    assert [snapshot(path.parent) for path in shared.root.rglob("diary")] == [before]
    assert done.status in (0, 6, 7), done.err
    assert "Traceback" not in done.err, done.err


# ---- he owns the cache's parent ----

PARENT = {
    "the cache becomes a link": during('cd theirs; mv cache gone; ln -s "$P/layout" cache'),
    "the cache becomes a directory of his": during(
        "cd theirs; mv cache gone; mkdir -p cache/blobs/sha256; cp ../evil/changed cache/blobs/sha256/$TOP"
    ),
    "the cache becomes a directory with links": during(
        "mv theirs/cache theirs/gone; mkdir -m 777 theirs/cache; cd theirs/cache;"
        ' for n in blobs parts runs layers locks; do ln -s "$P/$n" $n; done'
    ),
    "the cache becomes a link before it is filled": during(
        'cd theirs; mv cache gone; ln -s "$P/layout" cache', IMAGE.config.digest
    ),
    "the cache is a link": Attack('cd theirs; rm -r cache; ln -s "$P/layout" cache'),
}


@pytest.mark.parametrize("attack", PARENT.values(), ids=PARENT)
def test_who_owns_the_cache_s_parent_harms_nothing(scene: Scene, attack: Attack) -> None:
    shared = scene.machine
    shared.directory("theirs", ATTACKER)
    cache = shared.directory("theirs/cache", mode=0o700)
    with scene.attacked(attack):
        done = shared.save("--cache-dir", cache, "--cache-size", "1B", "--jobs", "1")
        assert is_harmless(scene, done, "out/y.tar")


def test_who_exchanges_the_cache_and_a_link_again_and_again_harms_nothing(scene: Scene) -> None:
    shared = scene.machine
    theirs = shared.directory("theirs", ATTACKER)
    cache = shared.directory("theirs/cache", mode=0o700)
    before, is_over = scene.files(), threading.Event()

    def exchange() -> None:
        while not is_over.wait(0.001):
            cache.rename(theirs / "gone")
            cache.symlink_to(scene.precious / "layout")
            is_over.wait(0.001)
            cache.unlink()
            (theirs / "gone").rename(cache)

    with ThreadPoolExecutor() as pool:
        exchanged = pool.submit(exchange)
        try:
            for number in range(4):
                done = shared.save("--cache-dir", cache, "--cache-size", "1B", to=f"out/{number}.tar")
                assert is_harmless(scene, done, f"out/{number}.tar")
        finally:
            is_over.set()
        exchanged.result()
    assert scene.files() == before


# ---- he could write to the default cache once ----


def instead(name: str, *scripts: str) -> dict[str, Attack]:
    """Return attacks that put something else in place of a file."""
    things = {
        "a link": f'ln -s "$P/letter" {name}',
        "a FIFO": f"mkfifo {name}",
        "a directory": f"mkdir -p {name}/and/more",
        **{script.partition(" ")[0]: script for script in scripts},
    }
    found = {
        f"{thing} as {name.replace('$TOP', 'TOP')}": Attack(f"cd $HOME/.cache/imgfetch; rm -rf {name}; {script}")
        for thing, script in things.items()
    }
    for thing, script in {
        "a hard link": f'ln "$P/letter" {name}',
        "a device": f"mknod {name} c 1 5; chmod 600 {name}; chown {VICTIM.uid} {name}",
    }.items():
        attack = Attack(f"cd $HOME/.cache/imgfetch; rm -rf {name}; {script}", by=ROOT)
        found[f"{thing} as {name.replace('$TOP', 'TOP')}"] = attack
    return found


def linked(name: str, target: str) -> dict[str, Attack]:
    """Return an attack that puts a link in place of a directory."""
    return {f"{name} is a link": Attack(f'cd $HOME/.cache/imgfetch; mv {name} {name}.old; ln -s "$P/{target}" {name}')}


def run_note(content: str) -> Attack:
    """Return an attack with the note of a run that seems to live: a process of his holds its lock for a while."""
    held = "flock $RUN.lock sleep 5 >/dev/null 2>&1 & while flock -n $RUN.lock true; do sleep 0.01; done"
    return Attack(f"umask 0; cd $HOME/.cache/imgfetch/runs; {content}; {held}")


OLD = {
    **instead("blobs/sha256/$TOP"),
    **instead("parts/sha256/$TOP"),
    **instead("layers/sha256/$TOP"),
    **instead("locks/$LOCK"),
    **instead("lock"),
    **instead("runs/$RUN.json"),
    **instead("runs/$RUN.lock"),
    **instead("CACHEDIR.TAG"),
    **linked("blobs", "blobs"),
    **linked("blobs/sha256", "blobs/sha256"),
    **linked("parts", "parts"),
    **linked("parts/sha256", "blobs/sha256"),
    **linked("layers", "blobs"),
    **linked("locks", "parts"),
    **linked("runs", "runs"),
    "a hard link to an empty file as lock": Attack('cd $HOME/.cache/imgfetch; ln -f "$P/empty" lock', by=ROOT),
    "a hard link to the victim's copy of a blob": Attack(
        'ln "$P/blobs/sha256/$TOP" $HOME/.cache/imgfetch/blobs/sha256', by=ROOT
    ),
    "a longer file of the victim as a blob": Attack(
        'cd $HOME/.cache/imgfetch/blobs/sha256; ln "$P/blobs/sha256/$NOISE" $TOP', by=ROOT
    ),
    "a longer file of the victim as a part": Attack(
        'cd $HOME/.cache/imgfetch/parts/sha256; ln "$P/blobs/sha256/$NOISE" $TOP', by=ROOT
    ),
    "a changed blob": Attack("cd $HOME/.cache/imgfetch/blobs/sha256; rm -f $TOP; cp $ROOT/evil/changed $TOP"),
    "a wrong diff_id": Attack("cp evil/note $HOME/.cache/imgfetch/layers/sha256/$TOP"),
    "a huge part": Attack("truncate -s 100G $HOME/.cache/imgfetch/parts/sha256/$TOP"),
    "a huge note": Attack("truncate -s 100G $HOME/.cache/imgfetch/layers/sha256/$TOP"),
    "half a run's note": run_note("""printf '["sha256:12' >$RUN.json"""),
    "a run's note that is nested": run_note("head -c 200000 /dev/zero | tr '\\000' '[' >$RUN.json"),
    "a run's note that is huge": run_note("truncate -s 100G $RUN.json"),
    "a run's note of numbers": run_note("echo '[1, null]' >$RUN.json"),
    "a run's note in no charset": run_note("printf '\\377\\376' >$RUN.json"),
}


@pytest.fixture(scope="module")
def old_cache(preloaded: Preloaded, right_archive: bytes) -> Iterator[Path]:
    """Return a cache without the blob of `TOP`, which everybody can write to."""
    with Loopback() as registry, machine(registry, preloaded, right_archive) as first:
        assert first.save().status == 0
        (first.cache / LAYER).unlink()
        for name in ("parts/sha256", "layers/sha256"):
            first.directory(first.cache / name)
        for path in [first.cache, *first.cache.rglob("*")]:
            path.chmod(0o777 if path.is_dir() else 0o666)
        yield first.cache


def give(scene: Scene, old_cache: Path) -> Path:
    """Give the victim a copy of the old cache."""
    scene.machine.directory(scene.machine.cache.parent)
    subprocess.run(["cp", "-a", old_cache, scene.machine.cache], check=True)
    return scene.machine.cache


@pytest.mark.parametrize("attack", OLD.values(), ids=OLD)
def test_things_planted_in_a_default_cache_that_once_was_open_harm_nothing(
    scene: Scene, old_cache: Path, attack: Attack
) -> None:
    cache = give(scene, old_cache)
    with scene.attacked(attack):
        cache.chmod(0o700)
        done = scene.machine.save("--cache-size", "1B")
        assert done.status == 0, done.err
        assert is_harmless(scene, done, "out/y.tar")


def test_who_stands_in_a_directory_of_a_cache_that_once_was_open_can_plant_nothing(
    scene: Scene, old_cache: Path
) -> None:
    cache = give(scene, old_cache)
    places = ("blobs/sha256", "parts/sha256", "layers/sha256", "locks", "runs")
    stands = [os.open(cache / name, os.O_RDONLY) for name in places]
    refused: list[str] = []

    def plant(_: Request) -> Answer:
        directories = [Path(f"/proc/{os.getpid()}/fd/{stand}") for stand in stands]
        refused.extend(ATTACKER.sh('cp "$N" $TOP', directory, **scene.variables) for directory in directories)
        return Answer(TOP.content)

    scene.variables["N"] = scene.machine.root / "evil/note"
    scene.machine.registry.answers[scene.machine.path_of(TOP.digest)] = plant
    cache.chmod(0o700)
    done = scene.machine.save("--jobs", "1")
    for stand in stands:
        os.close(stand)
    assert is_harmless(scene, done, "out/y.tar")
    assert len(refused) == len(places)
    assert all(refused), refused


def test_a_blob_that_was_mapped_while_the_cache_was_open_is_hashed_while_it_is_copied(scene: Scene) -> None:
    shared = scene.machine
    cache = shared.directory(shared.cache, mode=0o700)
    with tmpfs(cache, mode="0700", uid=VICTIM.uid):  # there a write to a mapping does not change a file's times
        assert shared.save().status == 0
        blob = cache / "blobs/sha256" / encoded(BASE.digest)
        blob.chmod(0o666)
        with blob.open("r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
            blob.chmod(0o600)
            mapped[-1] = BASE.content[-1]
            (cache / "blobs/sha256" / encoded(NOISE.digest)).unlink()

            def change(_: Request) -> Answer:
                mapped[-1] ^= 1
                return Answer(NOISE.content)

            shared.registry.answers[shared.path_of(NOISE.digest)] = change
            done = shared.save("--jobs", "1", to="out/z.tar.gz")  # it is written when all layers have been verified
    assert done.status == 6 or gzip.decompress((shared.out / "z.tar.gz").read_bytes()) == shared.archive, done.err


@pytest.mark.parametrize("name", ["lock", f"locks/{encoded(TOP.digest)[:3]}"])
def test_a_lock_that_another_user_holds_delays_a_save_but_does_not_stop_it(
    scene: Scene, old_cache: Path, name: str
) -> None:
    shared = scene.machine
    give(scene, old_cache)
    (shared.cache / name).touch()
    os.chown(shared.cache / name, VICTIM.uid, VICTIM.gid)
    with (shared.cache / name).open("rb") as file:  # to read is enough for a lock
        fcntl.flock(file, fcntl.LOCK_EX)
        for path in [shared.cache, *shared.cache.rglob("*")]:
            path.chmod(0o700 if path.is_dir() else 0o600)
        done = shared.save(is_hurried=True)
    assert done.status == 0, done.err
    assert shared.is_right()


def test_a_suspended_save_makes_another_one_wait_with_a_message_but_not_without_end(scene: Scene) -> None:
    shared, is_over, asked = scene.machine, threading.Event(), threading.Event()
    path = shared.path_of(NOISE.digest)

    def hold(_: Request) -> Answer:
        shared.registry.answers[path] = Answer(NOISE.content)
        asked.set()
        return Answer(NOISE.content, hold=is_over)

    shared.registry.answers[path] = hold
    first = shared.start_save(to="out/first.tar")
    assert asked.wait(TIMEOUT)
    os.kill(first.pid, signal.SIGSTOP)
    second = shared.save(is_hurried=True)
    os.kill(first.pid, signal.SIGCONT)
    is_over.set()
    assert first.wait().status == second.status == 0, second.err
    assert shared.is_right()
    assert shared.is_right("out/first.tar")
    waiting = [line for line in second.err.splitlines() if NOISE.digest in line and f"process {first.pid}" in line]
    assert waiting[0].startswith("imgfetch: waiting for another imgfetch")


@pytest.mark.parametrize("mode", [0o700, 0o755, 0o2777, 0o000], ids=oct)
def test_another_user_s_workspace_of_the_same_name_is_no_obstacle(scene: Scene, mode: int) -> None:
    shared = scene.machine
    planted = shared.out / ".y.tar.imgfetch"
    planted.mkdir()
    planted.chmod(mode)
    os.chown(planted, ATTACKER.uid, ATTACKER.gid)
    planted.chmod(mode)
    for cache in ((), ("--no-cache",)):
        done = shared.save(*cache)
        assert done.status == 0, done.err
        assert shared.is_right()
    assert list(planted.iterdir()) == []


# ---- `cache prune` ----

LAYOUT = "theirs/cache"
PRUNED = {
    "an OCI layout": ("precious/layout", Attack(":")),
    "a link to an OCI layout": (LAYOUT, Attack('ln -s "$P/layout" theirs/cache')),
    "a link to the victim's cache": (LAYOUT, Attack('ln -s "$HOME/.cache/imgfetch" theirs/cache')),
    "a directory of his with links to blobs": (
        LAYOUT,
        Attack('mkdir theirs/cache; cd theirs/cache; for n in blobs parts runs layers; do ln -s "$P/$n" $n; done'),
    ),
    "a directory of his with links to directories of blobs": (
        LAYOUT,
        Attack(
            "mkdir theirs/cache; cd theirs/cache; for n in blobs parts layers; do"
            ' mkdir $n; ln -s "$P/blobs/sha256" $n/sha256; done'
        ),
    ),
    "a directory of his with links to files": (
        LAYOUT,
        Attack('mkdir -p theirs/cache/blobs/sha256; ln -s "$P/blobs/sha256/$TOP" theirs/cache/blobs/sha256'),
    ),
    "an OCI layout with a tag of his": (
        "team/layout",
        Attack('cp "$HOME/.cache/imgfetch/CACHEDIR.TAG" team/layout'),
    ),
    "the victim's cache with a link for blobs": (
        "home/.cache/imgfetch",
        Attack('cd "$HOME/.cache/imgfetch"; mv blobs/sha256 gone; ln -s "$P/blobs/sha256" blobs'),
    ),
    "the victim's cache with a link for runs": (
        "home/.cache/imgfetch",
        Attack('cd "$HOME/.cache/imgfetch"; mv runs gone; ln -s "$P/runs" .'),
    ),
}


@pytest.mark.parametrize(("root", "attack"), PRUNED.values(), ids=PRUNED)
def test_to_prune_a_cache_removes_nothing_else(scene: Scene, old_cache: Path, root: str, attack: Attack) -> None:
    shared = scene.machine
    cache = give(scene, old_cache)
    shared.directory("theirs", ATTACKER)
    layout = shared.directory("team/layout", mode=0o775, group=GROUP)
    blob = shared.directory("team/layout/blobs/sha256") / encoded(TOP.digest)
    blob.write_bytes(TOP.content)
    os.chown(blob, VICTIM.uid, VICTIM.gid)
    with scene.attacked(attack):
        cache.chmod(0o700)
        for command in ("list", "prune"):
            done = shared.run("cache", command, "--cache-dir", shared.root / root)
            assert "Traceback" not in done.err, done.err
            assert done.status in ({0, 7} if root.startswith("home") else {7}), done.out
    assert (layout / LAYER).read_bytes() == TOP.content


# ---- he owns what is next to the victim's: in a sticky directory, or the directory for temporary files ----

STICKY = {
    "a workspace of his": Attack(
        "mkdir -m 777 sticky/.y.tar.imgfetch; cd sticky/.y.tar.imgfetch;"
        ' for n in store parts layers; do ln -s "$P" $n; done; ln -s "$P/letter" lock'
    ),
    "a link as the output": Attack('ln -s "$P/letter" sticky/y.tar'),
    "a file as the output": Attack("cp evil/changed sticky/y.tar"),
    "a cache of his": Attack(
        "mkdir -m 777 -p sticky/cache/blobs/sha256; cp evil/changed sticky/cache/blobs/sha256/$TOP"
    ),
    "a link as the cache": Attack('ln -s "$P/layout" sticky/cache'),
}


@pytest.mark.parametrize("attack", STICKY.values(), ids=STICKY)
def test_who_owns_an_entry_of_a_sticky_directory_harms_nothing(scene: Scene, attack: Attack) -> None:
    shared = scene.machine
    shared.directory("sticky").chmod(0o1777)
    with scene.attacked(attack):
        done = shared.save("--cache-dir", shared.root / "sticky/cache", "--cache-size", "1B", to="sticky/y.tar")
        assert done.status == 7 or is_harmless(scene, done, "sticky/y.tar")


TEMPORARY = {
    "it becomes a link": during('cd theirs; for d in imgfetch*; do mv $d gone; ln -s "$P" $d; done'),
    "it becomes a directory with links": during(
        "cd theirs; for d in imgfetch*; do mv $d gone; mkdir -m 777 $d; cd $d;"
        ' for n in blobs parts runs layers locks; do ln -s "$P/$n" $n; done; done'
    ),
}


@pytest.mark.parametrize("attack", TEMPORARY.values(), ids=TEMPORARY)
def test_who_owns_the_directory_for_temporary_files_harms_nothing(scene: Scene, attack: Attack) -> None:
    shared = scene.machine
    shared.directory("theirs", ATTACKER, mode=0o777)
    shared.variables["TMPDIR"] = shared.root / "theirs"
    arguments = ("--name", "team/app:1", "--platform", "linux/amd64", "--no-cache", "--jobs", "1", "-o", "-")
    with scene.attacked(attack):
        done = shared.run("save", shared.reference, *arguments)
    assert done.status in (0, 6, 7), done.err
    assert "Traceback" not in done.err
    assert done.status or done.stdout == shared.archive
