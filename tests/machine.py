"""A machine with several users: places of the victim and of the attacker, a registry, and saves by the victim."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.images import hello, image, layer, tar
from tests.loopback import Answer, Loopback
from tests.preloaded import Done, Person, Preloaded, Running

GROUP = 64000
VICTIM = Person(64001, 64001, (GROUP,))
ATTACKER = Person(64002, 64002, (GROUP,))

BASE, TOP = hello("base"), hello("top")
NOISE = layer(tar({"noise": random.Random("noise").randbytes(200_000)}))
IMAGE = image(BASE, NOISE, TOP)
CHANGED = TOP.content[:-1] + bytes([TOP.content[-1] ^ 1])
_PATH = "/v2/team/app/blobs/"


@dataclass
class Machine:
    """The places, people and registry of a test; `machine` makes one.

    Attributes:
        root: a directory of root's that everybody can enter.
        home: the victim's home.
        out: a directory of the victim's, for outputs.
        registry: serves `IMAGE` as `reference`.
        archive: the right archive.
    """

    root: Path
    registry: Loopback
    preloaded: Preloaded
    archive: bytes = b""
    variables: dict[str, str | Path | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home, self.out = self.directory("home"), self.directory("out")
        self.reference = self.registry.add("team/app", "1", IMAGE)

    @property
    def cache(self) -> Path:
        """The default cache."""
        return self.home / ".cache" / "imgfetch"

    def directory(self, name: str | Path, person: Person = VICTIM, *, mode: int = 0o755, group: int = 0) -> Path:
        """Make a directory for a user, with those above it."""
        path = self.root / name
        for each in [*reversed(path.relative_to(self.root).parents), path.relative_to(self.root)]:
            if not (self.root / each).exists():
                (self.root / each).mkdir()
                os.chown(self.root / each, person.uid, group or person.gid)
        path.chmod(mode)
        return path

    def start(self, *arguments: str | Path, is_hurried: bool = False, **variables: str | Path | None) -> Running:
        """Start a command of the victim's; a variable that is ``None`` is not set."""
        given: dict[str, str | Path | None] = {
            "HOME": self.home,
            "PATH": os.environ["PATH"],
            "IMGFETCH_RETRIES": "0",
            "SSL_CERT_FILE": self.root,  # no certificates, because to load the system's takes a while
        }
        kept = {name: value for name, value in (given | self.variables | variables).items() if value is not None}
        return self.preloaded.start(VICTIM, *arguments, directory=self.root, variables=kept, is_hurried=is_hurried)

    def run(self, *arguments: str | Path, **options: str | Path | None) -> Done:
        """Run a command of the victim's to its end; the options are those of `start`."""
        return self.start(*arguments, **options).wait()  # type: ignore[arg-type]

    def start_save(self, *arguments: str | Path, to: str | Path = "out/y.tar", **options: str | Path | None) -> Running:
        """Start to save `IMAGE`; its archive does not depend on the registry's port."""
        name = ("--name", "team/app:1", "--platform", "linux/amd64")
        return self.start("save", self.reference, *name, "-o", self.root / to, *arguments, **options)  # type: ignore[arg-type]

    def save(self, *arguments: str | Path, **options: str | Path | None) -> Done:
        """Save `IMAGE`; the options are those of `start_save`."""
        return self.start_save(*arguments, **options).wait()  # type: ignore[arg-type]

    def is_right(self, to: str | Path = "out/y.tar") -> bool:
        """Return ``True`` for the right archive."""
        return (self.root / to).read_bytes() == self.archive

    def downloads(self) -> list[str]:
        """Return the digests of the blobs that were requested, and forget them."""
        asked = [path.removeprefix(_PATH) for path in self.registry.paths if path.startswith(_PATH)]
        self.registry.requests.clear()
        return asked

    def break_off(self, digest: str) -> None:
        """Let the registry fail for a blob."""
        self.registry.answers[_PATH + digest] = Answer(status=503)

    def path_of(self, digest: str) -> str:
        """Return the path of a blob in the registry."""
        return _PATH + digest


@contextmanager
def machine(registry: Loopback, preloaded: Preloaded, archive: bytes) -> Iterator[Machine]:
    """Make a machine's directories, and remove them; pytest's own are for one user only."""
    root = Path(tempfile.mkdtemp(prefix="imgfetch-test-"))
    try:
        root.chmod(0o755)
        yield Machine(root, registry, preloaded, archive)
    finally:
        shutil.rmtree(root)


def make_archive(preloaded: Preloaded) -> bytes:
    """Return the archive that a save without any trouble writes."""
    with Loopback() as registry, machine(registry, preloaded, b"") as quiet:
        done = quiet.save("--no-cache")
        assert (done.status, quiet.registry.paths[-1:] == []) == (0, False), done.err
        return (quiet.out / "y.tar").read_bytes()


def snapshot(directory: Path) -> Mapping[str, tuple[object, ...]]:
    """Return everything in a directory that its owner could miss: names, content, modes, owners, and times of files."""
    found: dict[str, tuple[object, ...]] = {}
    for path in [directory, *directory.rglob("*")]:
        status = path.lstat()
        is_file = stat.S_ISREG(status.st_mode)
        content = (hashlib.sha256(path.read_bytes()).hexdigest(), status.st_mtime_ns) if is_file else ()
        found[str(path.relative_to(directory))] = (
            status.st_mode,
            status.st_uid,
            status.st_gid,
            status.st_ino,
            *content,
        )
    return found
