"""Comparison of `verify` with the readers of image archives: ``make fuzz COUNT=1000000`` runs by hand.

An archive that `verify` approves must be loaded by every reader as the images that `verify` lists, or be refused for a
reason in `FORMS`.  The readers are a program in Go, `readers/`, which is itself compared with real ones in
tests/e2e/test_oracle.py.  A case is made from a seed and its number alone.
"""

from __future__ import annotations

import json
import random
import re
import struct
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from imgfetch.archive.verify import Verified, verify
from imgfetch.errors import ImgfetchError
from tests.oracle import document_changes, gentle_changes, header_changes, member_changes
from tests.oracle.drafts import draft
from tests.oracle.samples import sha256
from tests.oracle.tars import packed

SOURCES = sorted(Path(__file__).with_name("readers").glob("*.go"))
"""The readers' program, for :mod:`tests.oracle.program`."""
Answers = Mapping[str, Any]
Ask = Callable[[Sequence[bytes]], list[Answers]]

FORMS = (
    # reader, what it says, why that is known in advance
    ("docker", "no manifest.json", "docker's classic image store reads no OCI layout"),
    ("docker-archive", "no manifest.json", "skopeo's docker-archive reads no OCI layout"),
    ("crane", "no manifest.json", "crane reads no OCI layout, and no name that begins with ./"),
    ("ctr|crane", "compressed", "it reads no archive that is compressed as a whole"),
    ("oci-archive", "no index.json", "skopeo's oci-archive reads no manifest.json"),
    ("oci-archive|crane", "no image that can be asked for", "it finds images by name, unless there is only one"),
    ("ctr", "nothing for this platform|no match for platform", "the plain command imports its own platform's images"),
    ("oci-archive", "no image found in image index", "the index has no image for this platform"),
)
"""The refusals for which an archive is not to blame."""
_WARNING = re.compile("refuse|manifests listed by .* are not in the archive")
"""The notes that announce a refusal."""


class Listed(NamedTuple):
    """An image that `verify` lists; layers are diff_ids, and the digest is empty without a manifest."""

    names: tuple[str, ...]
    config: str
    layers: tuple[str, ...]
    digest: str


class Verdict(NamedTuple):
    """The answer of `verify`.

    Attributes:
        approved: the images, if it approves the archive.
        notes: what it says beside that.
        traceback: a fault of its own.
    """

    approved: list[Listed] | None
    notes: tuple[str, ...] = ()
    traceback: str = ""


_ENTRY_CHANGES = (*member_changes.CHANGES, *header_changes.CHANGES)


def case(seed: int, number: int) -> bytes:
    """Return an archive."""
    rng = random.Random(f"{seed}/{number}")
    level = rng.random()
    change = (lambda document: _perhaps(rng, document)) if level < 0.15 else lambda document: document
    made = draft(rng, change)
    where = [] if level < 0.3 else [rng.choice("ddeee") for _ in range(rng.choice([1, 1, 1, 1, 2, 3]))]
    for _ in range(where.count("d")):
        rng.choice(document_changes.CHANGES)(rng, made)
    entries = made.written()
    for _ in range(rng.choice([1, 2, 3, 4]) if rng.random() < 0.4 else 0):
        gentle_changes.change(rng, entries)
    for _ in range(where.count("e")):
        if entries:
            rng.choice(_ENTRY_CHANGES)(rng, entries)
    return member_changes.change_end(rng, entries) if 0.15 < level < 0.25 else packed(entries)


def _perhaps(rng: random.Random, document: Any) -> Any:
    return document_changes.changed(rng, document) if rng.random() < 0.4 else document


def verdict(path: Path, wanted: str = "") -> Verdict:
    """Ask `verify` for an archive, and for a name with a digest in it."""
    try:
        found = verify(path, wanted or ())
    except ImgfetchError:
        return Verdict(None)
    except Exception as error:  # noqa: BLE001  # any is what this looks for
        return Verdict(None, traceback=f"{type(error).__name__}: {error}")
    return Verdict(None if found.findings else list(_listed(found)), found.notes)


def _listed(found: Verified) -> Iterator[Listed]:
    for image in found.images:
        layers = tuple(layer.diff_id.encoded for layer in image.layers)
        digest = str(image.manifest.descriptor.digest) if image.manifest else ""
        yield Listed(image.names, sha256(image.raw_config), layers, digest)


def disagreements(approved: Sequence[Listed], notes: Sequence[str], answers: Answers) -> Iterator[str]:
    """Yield a sentence for each reader that does anything else than loading these images."""
    is_said = any(_WARNING.search(note) for note in notes)
    for reader, answer in answers.items():
        if "refused" in answer:
            if not (is_said or _is_known(reader, answer["refused"])):
                yield f"{reader} refuses: {answer['refused']}"
            continue
        loaded = answer.get("images") or []
        for image in loaded:
            is_other = image["artifact"] and (is_said or _is_beside_an_image(image["name"], approved, answers))
            if not (is_other or any(_is(image, listed) for listed in approved)):
                yield f"{reader} loads what verify does not list: {image['name'] or 'no name'} {image['config'][:8]}"
        yield from _unloaded(reader, approved, loaded)
    yield from _choices(answers)


def _is_beside_an_image(name: str, approved: Sequence[Listed], answers: Answers) -> bool:
    """Return whether an artifact's name is its own, or that of an index with an image, too."""
    is_own = not any(name in listed.names for listed in approved)
    loaded = (image for answer in answers.values() for image in answer.get("images") or [])
    return is_own or any(image["name"] == name and image["digest"] and not image["artifact"] for image in loaded)


def _is_known(reader: str, refused: str) -> bool:
    return any(re.fullmatch(readers, reader) and re.match(text, refused) for readers, text, _ in FORMS)


def _is(image: Answers, listed: Listed) -> bool:
    names = {"", *listed.names, *(name.rpartition(":")[2] for name in listed.names)}
    is_same = (image["config"], tuple(image["layers"] or ())) == (listed.config, listed.layers)
    has_digest = not image["digest"] or not listed.digest or image["digest"] == listed.digest
    return is_same and has_digest and image["name"] in names


def _unloaded(reader: str, approved: Sequence[Listed], loaded: Sequence[Answers]) -> Iterator[str]:
    """Yield a sentence for each full name that is not there after loading, and if no image without a name is.

    One of the two descriptions may have no full names, and then its readers give the images none.  Skopeo's oci-archive
    knows one name of an image.
    """
    if reader == "oci-archive":
        return
    wanted = {name for listed in approved for name in listed.names if "/" in name}
    names = {image["name"] for image in loaded}
    for name in sorted(wanted - names) if any("/" in name for name in names) else ():
        yield f"{reader} does not load {name}"
    if any(not listed.names for listed in approved) and "" not in names and reader in ("docker", "docker-c8d"):
        yield f"{reader} loads no image without a name"


def _choices(answers: Answers) -> Iterator[str]:
    """Yield a sentence for each name of which readers run different images."""
    first: dict[str, str] = {}
    for reader, answer in answers.items():
        for image in answer.get("images") or []:
            if (
                image["chosen"]
                and image["name"]
                and first.setdefault(image["name"], image["config"]) != image["config"]
            ):
                yield f"{reader} runs another image as {image['name']} than other readers"


def replaced(name: str, listed: Listed, answers: Answers) -> Iterator[str]:
    """Yield a sentence for each reader that runs another image under a name than the one that it is approved for."""
    want = (listed.digest, listed.config)
    for reader, answer in answers.items():
        images = [image for image in answer.get("images") or [] if image["name"] == name]
        running = [image for image in images if image["chosen"]] or images
        if any((image["digest"] or listed.digest, image["config"] or listed.config) != want for image in running):
            yield f"{reader} runs something else than the digest for which {name} is approved"


@contextmanager
def asking(program: Path) -> Iterator[Ask]:
    """Yield a function that asks the readers about archives."""
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout

        def ask(archives: Sequence[bytes]) -> list[Answers]:
            assert process.stdin
            assert process.stdout
            answers = []
            for raw in archives:
                process.stdin.write(struct.pack(">I", len(raw)) + raw)
                process.stdin.flush()
                answers.append(json.loads(process.stdout.readline()))
            return answers

        yield ask
        process.stdin.close()


class Compared(NamedTuple):
    """A case, its length, whether it is approved, and what is wrong with that."""

    number: int
    size: int
    is_approved: bool
    faults: tuple[str, ...]


def compare(seed: int, numbers: Sequence[int], ask: Ask, directory: Path) -> Iterator[Compared]:
    """Yield the result of each case."""
    path = directory / "case.tar"
    for number in numbers:
        raw = case(seed, number)
        path.write_bytes(raw)
        ours = verdict(path)
        faults: list[str] = []
        if ours.traceback:
            faults = [f"verify fails: {ours.traceback}"]
        elif ours.approved is not None:
            answers = ask([raw])[0]
            faults = list(disagreements(ours.approved, ours.notes, answers))
            names = [(name, each) for each in ours.approved for name in each.names if each.digest and "/" in name]
            name, listed = random.Random(number).choice(names or [("", None)])
            if listed and verdict(path, f"{name}@{listed.digest}").approved is not None:
                faults += replaced(name, listed, answers)
        yield Compared(number, len(raw), ours.approved is not None, tuple(faults))


def kinds(faulty: Sequence[Compared]) -> Iterator[tuple[str, int, int]]:
    """Yield each kind of fault, the number of its smallest case, and how many cases there are, the most first."""
    found: dict[str, list[Compared]] = {}
    for each in faulty:
        for fault in each.faults:
            found.setdefault(re.sub(r'[0-9a-f]{8,}|"[^"]*"', "*", fault), []).append(each)
    for kind, cases in sorted(found.items(), key=lambda item: -len(item[1])):
        yield kind, min(cases, key=lambda each: each.size).number, len(cases)


def fast_directory() -> str | None:
    """Return a directory in memory, if there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def temporary() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="imgfetch-fuzz-", dir=fast_directory())
