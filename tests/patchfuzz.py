"""Patches that are nearly right, by chance: ``python -m tests.patchfuzz --count 100000 --seed 7``.

Most have right sums, so that the changes are seen behind them.  Each ends in one of our own errors, or in an archive
that a second reader makes of the same patch.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import zstandard

from imgfetch.archive.verify import verify
from imgfetch.cli import patches
from imgfetch.errors import ImgfetchError
from imgfetch.patch.apply import apply
from imgfetch.patch.file import opened_patch
from tests import images, mutations, patchreader, patchwriter
from tests.patches import archive
from tests.patchwriter import block, document, frame, head, number, patch

CHUNK = 500
_MOST = 1024**2
_SECONDS = 20  # that a case may take; none takes a tenth
_NUMBERS = (0, 1, 2, 3, 127, 128, 4096, 99_999, 100_000, 2**25, 2**26 + 2, 2**31, 2**32 + 1, 2**62, 2**63 - 1, 2**63)
_ODD_FRAMES = (
    b"",
    b"\x50\x2a\x4d\x18\5\0\0\0hello",
    patchwriter.repeated(10_000),
    patchwriter.repeated(10_000, window_log=31),
    patchwriter.repeated(10_000, dictionary=7),
    patchwriter.repeated(10_000, says=32 * 1024**2),
    frame(bytes(5000), has_size=False),
    frame(b""),
    frame(b"x") * 2,
)


class Old(NamedTuple):
    """An old archive, its layers, a new one, and what the head of a patch between them says."""

    path: Path
    layers: tuple[bytes, ...]
    new: bytes
    images: list[dict[str, Any]]


@dataclass
class Part:
    """A block: the numbers of its script, and the content of its frame."""

    numbers: list[int]
    content: bytes
    packed: bytes | None = None
    lies: dict[str, Any] = field(default_factory=dict)


@dataclass
class Draft:
    """A patch that is yet to be written."""

    old: Old
    parts: list[Part]
    members: dict[str, Any]
    documents: list[bytes]
    text: bytes = b""


@contextmanager
def prepared() -> Iterator[Old]:
    """Make the archives that all cases share."""
    with tempfile.TemporaryDirectory(prefix="imgfetch-fuzz-") as directory:
        path, chance = Path(directory) / "old.tar", random.Random(1)
        one, two = (images.tar({f"{name}/file": chance.randbytes(3000)}) for name in "ab")
        three = two[:1500] + b"changed" + two[1507:]
        archive(images.image(*(images.layer(raw, images.OCI_TAR) for raw in (one, two))), path, layers="plain")
        built = images.image(*(images.layer(raw, images.OCI_TAR) for raw in (one, three)))
        archive(built, Path(directory) / "new.tar", layers="plain")
        new = (Path(directory) / "new.tar").read_bytes()
        image = verify(io.BytesIO(new)).images[0]
        told = {"names": list(image.names), "id": str(image.config_digest), "platform": str(image.config.platform)}
        yield Old(path, (one, two), new, [told])


def right(old: Old, chance: random.Random) -> Draft:
    """Return a draft of a right patch: each piece of the new archive is taken from a layer, or is new."""
    parts, at = [], 0
    while at < len(old.new):
        size = chance.choice([500, 4000, 20_000, len(old.new)])
        parts.append(_part(old, old.new[at : at + size], chance))
        at += size
    return Draft(old, parts, {"images": old.images}, [chance.randbytes(9) for _ in range(chance.choice([0, 0, 2]))])


def _part(old: Old, made: bytes, chance: random.Random) -> Part:
    prefix = [
        (chance.randrange(2), chance.randrange(2000), chance.randrange(1, 2000))
        for _ in range(chance.choice([0, 1, 3]))
    ]
    ends: dict[int, int] = {}

    def spanned(layer: int, start: int, length: int) -> list[int]:
        moved = start - ends.get(layer, 0)
        ends[layer] = start + length
        return [layer, 2 * moved if moved >= 0 else -2 * moved - 1, length]

    steps, content, at = list[tuple[int, ...]](), bytearray(), 0
    while at < len(made):
        length = min(chance.choice([1, 512, 700, 3000]), len(made) - at)
        piece = made[at : at + length]
        layer = next((number for number, raw in enumerate(old.layers) if piece in raw), None)
        if layer is None or chance.random() < 0.2:
            content += piece
            steps.append((length,))
        else:
            steps.append((layer, old.layers[layer].index(piece), length))
        at += length
    if not content:
        prefix = []
    numbers = [len(prefix)]
    for span in prefix:
        numbers += spanned(*span)
    for step in steps:
        numbers += [2 * step[0]] if len(step) == 1 else [1, *spanned(*step)]
    return Part(numbers, bytes(content))


def written(draft: Draft, chance: random.Random) -> bytes:
    """Write a draft with right sums and lengths; often, the result in the head is the one that it makes."""
    blocks = [_written(part, draft.old) for part in draft.parts]
    base = [patchwriter.layer(raw) for raw in draft.old.layers]
    result = _played(draft) if chance.random() < 0.8 else draft.old.new
    members = {**document(result, blocks, base=base, documents=list(map(len, draft.documents))), **draft.members}
    return patch(head(draft.text or members, draft.documents), blocks)


def _written(part: Part, old: Old) -> bytes:
    script = b"".join(map(number, part.numbers))
    if part.packed is None:
        part.packed = frame(part.content, _prefix(part, old)) if part.content else b""
    return block(script, part.packed, **part.lies)


def _prefix(part: Part, old: Old) -> bytes:
    try:
        return b"".join(patchreader.parsed(iter(part.numbers), old.layers)[0])
    except ValueError:
        return b""


def _played(draft: Draft) -> bytes:
    """Return what the parts make, as far as they are right."""
    made = bytearray()
    for part in draft.parts:
        try:
            steps = patchreader.parsed(iter(part.numbers), draft.old.layers)[1]
        except ValueError:
            continue
        made += patchreader.played(steps, part.content)
    return bytes(made)


Change = Callable[[Draft, random.Random], object]


def change_a_number(draft: Draft, chance: random.Random) -> None:
    part = chance.choice(draft.parts)
    place = chance.randrange(len(part.numbers))
    near = part.numbers[place] + chance.choice([-2, -1, 1, 2])
    value = max(0, chance.choice([near, near, *_NUMBERS]))
    replacement = chance.choice([[value], [value], [], [part.numbers[place]] * 2])
    part.numbers[place : place + 1] = replacement
    if chance.random() < 0.7:
        fit(part, draft.old)


def fit(part: Part, old: Old) -> None:
    """Give a block as much content as its steps take, unless that is too much for a test."""
    try:
        size = sum(step for step in patchreader.parsed(iter(part.numbers), old.layers)[1] if isinstance(step, int))
    except ValueError:
        return
    if size < _MOST:
        part.content = part.content[:size].ljust(size, b"x")


def change_the_content(draft: Draft, chance: random.Random) -> None:
    part = chance.choice(draft.parts)
    part.content = flipped(part.content, chance)


def change_a_frame(draft: Draft, chance: random.Random) -> None:
    part = chance.choice(draft.parts)
    packed = frame(part.content, _prefix(part, draft.old)) if part.content else b""
    part.packed = chance.choice([flipped(packed, chance), flipped(packed, chance), *_ODD_FRAMES])


def change_a_script(draft: Draft, chance: random.Random) -> None:
    part = chance.choice(draft.parts)
    script = b"".join(map(number, part.numbers))
    part.lies["packed"] = chance.choice([frame(flipped(script, chance)), flipped(frame(script), chance), *_ODD_FRAMES])


def lie(draft: Draft, chance: random.Random) -> None:
    about = chance.choice(["says", "packed_says", "content_says", "reserved", "digest"])
    chance.choice(draft.parts).lies[about] = bytes(32) if about == "digest" else chance.choice(_NUMBERS) % 2**32


def move_a_block(draft: Draft, chance: random.Random) -> None:
    part = draft.parts.pop(chance.randrange(len(draft.parts)))
    for _ in range(chance.choice([0, 1, 2])):
        draft.parts.insert(chance.randrange(len(draft.parts) + 1), part)
    draft.parts = draft.parts or [part]


def change_the_head(draft: Draft, chance: random.Random) -> None:
    base = [patchwriter.layer(raw) for raw in draft.old.layers]
    blocks = [_written(part, draft.old) for part in draft.parts]
    lengths = list(map(len, draft.documents))
    members = {**document(draft.old.new, blocks, base=base, documents=lengths), **draft.members}
    draft.text = mutations.CHANGES[chance.choice(list(mutations.CHANGES))](chance, json.dumps(members).encode())


def say_something_else(draft: Draft, chance: random.Random) -> None:
    key = chance.choice(["blocks", "bytes", "documents", "images", "base", "result"])
    draft.members[key] = chance.choice([*_NUMBERS, [], {}, [0], [-1], None, "x", draft.old.images * 2])


CHANGES: Sequence[Change] = (
    change_a_number,
    change_a_number,
    change_the_content,
    change_a_frame,
    change_a_script,
    lie,
    move_a_block,
    change_the_head,
    say_something_else,
)


def flipped(raw: bytes, chance: random.Random) -> bytes:
    """Return bytes of which some are changed, missing, or new."""
    place, length = chance.randrange(len(raw) + 1), chance.choice((1, 1, 1, 8, 100))
    return raw[:place] + chance.randbytes(length) + raw[place + chance.choice((0, length, length)) :]


def case(old: Old, seed: int, which: int) -> bytes:
    """Return the patch of a case."""
    chance = random.Random(f"{seed} {which}")
    draft = right(old, chance)
    for _ in range(chance.choice([0, 1, 1, 1, 2, 3])):
        chance.choice(CHANGES)(draft, chance)
    raw = written(draft, chance)
    return flipped(raw, chance) if chance.random() < 0.1 else raw


class Outcome(NamedTuple):
    """The end of a case: the error, if there is one, and what is wrong about that."""

    error: str
    fault: str


def tried(raw: bytes, old: Old, directory: Path) -> Outcome:
    """Apply a patch, and compare with the second reader."""
    path = directory / "given.patch"
    path.write_bytes(raw)
    began, error = time.monotonic(), ""
    with (directory / "result.tar").open("w+b") as out:
        try:
            with opened_patch(path) as patch:
                patch.verify()
                "".join(patches.lines(patch.head, "given.patch", len(raw)))
            apply([path], [old.path], out)
        except ImgfetchError as refusal:
            error = str(refusal)
    fault = _fault(raw, old, error, (directory / "result.tar").read_bytes(), str(path))
    if time.monotonic() - began > _SECONDS:
        fault = f"it took {time.monotonic() - began:.0f} seconds"
    return Outcome(error.replace(str(path), "PATCH"), fault)


def _fault(raw: bytes, old: Old, error: str, result: bytes, name: str) -> str:
    try:
        second = patchreader.read(raw, {patchwriter.layer(each)["diff_id"]: each for each in old.layers})
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, zstandard.ZstdError, struct.error):
        second = None
    if error:
        if name not in error:
            return f"the message does not name the patch: {error}"
        is_right = second and second.result == old.new and second.head["images"] == old.images
        return f"a right patch is refused: {error}" if is_right else ""
    if second is None:
        return "a patch is applied that the format does not allow"
    return "" if second.result == result else "two readers make two archives"


class Chunk(NamedTuple):
    """The results of some cases."""

    kinds: Counter[str]
    faults: list[tuple[int, str]]
    memory: int


def chunk(seed: int, cases: Sequence[int]) -> Chunk:
    """Try some cases."""
    kinds, faults = Counter[str](), list[tuple[int, str]]()
    with prepared() as old, tempfile.TemporaryDirectory(prefix="imgfetch-fuzz-") as directory:
        for which in cases:
            try:
                outcome = tried(case(old, seed, which), old, Path(directory))
            except Exception as error:  # noqa: BLE001  # what the fuzzer looks for
                outcome = Outcome("traceback", f"{type(error).__name__}: {error}")
            kinds["".join(each for each in outcome.error if not each.isdigit())[:60] or "applied"] += 1
            if outcome.fault:
                faults.append((which, outcome.fault))
    return Chunk(kinds, faults, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main() -> int:
    """Try cases, and print the faults; or write one case to a file."""
    parser = argparse.ArgumentParser(prog="python -m tests.patchfuzz", description=__doc__)
    parser.add_argument("-c", "--count", type=int, default=20_000, help="the number of patches")
    parser.add_argument("-s", "--seed", type=int, default=random.randrange(2**32), help="what they are made from")
    parser.add_argument("--case", type=int, help="write the patch with this number to a file, and end")
    parser.add_argument("-o", "--output", type=Path, default=Path("case.patch"))
    options = parser.parse_args()
    if options.case is not None:
        with prepared() as old:
            options.output.write_bytes(case(old, options.seed, options.case))
        return 0
    began = time.monotonic()
    parts = [range(at, min(at + CHUNK, options.count)) for at in range(0, options.count, CHUNK)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        chunks = list(pool.map(chunk, [options.seed] * len(parts), parts))
    kinds, faults = (
        sum((each.kinds for each in chunks), Counter[str]()),
        [fault for each in chunks for fault in each.faults],
    )
    print(*(f"{count:7} {kind}" for kind, count in kinds.most_common(30)), sep="\n")
    for which, fault in faults[:20]:
        print(f"{fault}\n  {sys.executable} -m tests.patchfuzz -s {options.seed} --case {which} -o FILE")
    print(
        f"{options.count} patches of seed {options.seed}, {kinds['applied']} applied, {len(kinds)} kinds of errors, "
        f"{len(faults)} faults, {time.monotonic() - began:.0f} seconds, "
        f"at most {max(each.memory for each in chunks)} MiB"
    )
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
