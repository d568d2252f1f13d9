"""Archives that are nearly right: `verify` and `inspect` end in an answer or in one of our own errors."""

from __future__ import annotations

import io
import json
import random
import tarfile
from pathlib import Path

import pytest

from imgfetch import inspect, save
from imgfetch.archive.recognise import read_archive, read_undamaged
from imgfetch.archive.scan import scan
from imgfetch.archive.verify import verify
from imgfetch.errors import ImgfetchError
from imgfetch.pull.base import BaseLayers
from tests import headers, images
from tests.loopback import Loopback
from tests.mutations import CHANGES

CASES = 300
BUILT = images.index(
    images.image(images.hello("one"), images.hello("two")), images.image(images.hello("three"), platform=images.ARM64)
)


def members(raw: bytes) -> dict[str, bytes]:
    """Return an archive's files."""
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        return {
            member.name: content.read() for member in archive if (content := archive.extractfile(member)) is not None
        }


@pytest.fixture(scope="module")
def archives() -> list[dict[str, bytes]]:
    """Return one of each form."""
    written = []
    with Loopback() as registry:
        reference = registry.add("team/app", "1", BUILT)
        for options in ({"all_platforms": True}, {"archive_format": "docker-classic"}, {"archive_format": "oci"}):
            out = io.BytesIO()
            save(reference, out, platform="linux/amd64", **options)  # type: ignore[arg-type]
            written.append(members(out.getvalue()))
    return written


@pytest.mark.parametrize("how", CHANGES)
def test_a_document_that_was_changed_is_told_or_harmless(
    how: str, archives: list[dict[str, bytes]], tmp_path: Path
) -> None:
    change, chance = CHANGES[how], random.Random(how)
    path = tmp_path / "y.tar"
    told = 0
    for number in range(CASES):
        files = dict(archives[number % len(archives)])
        name = chance.choice([name for name, content in files.items() if content[:1] in (b"{", b"[")])
        files[name] = change(chance, files[name])
        path.write_bytes(images.tar(files))
        try:
            told += bool(verify(path).findings)
        except ImgfetchError as error:
            assert str(error)  # noqa: PT017  # either may happen
            told += 1
        try:
            json.dumps([str(image.details) for image in inspect(path).images])
            BaseLayers.of_archive(read_archive(scan(path)))
        except ImgfetchError as error:
            assert str(error)  # noqa: PT017
    assert told > CASES // 2


def test_an_archive_whose_bytes_were_changed_is_told(archives: list[dict[str, bytes]], tmp_path: Path) -> None:
    chance = random.Random("bytes of the tar")
    path = tmp_path / "y.tar"
    told = 0
    for number in range(CASES):
        raw = bytearray(images.tar(archives[number % len(archives)]))
        for _ in range(chance.randint(1, 4)):
            raw[chance.randrange(len(raw))] ^= 1 << chance.randrange(8)
        path.write_bytes(raw[: chance.choice([len(raw), chance.randrange(len(raw))])])
        try:
            told += bool(verify(path).findings)
            inspect(path)
        except ImgfetchError as error:
            assert str(error)  # noqa: PT017
            told += 1
    assert told > CASES // 2


VALUES = (*headers.NO_NUMBERS, b"\xff" * 12, b"\x80" + b"\xff" * 11, b"", b"7" * 12, b"x/", b"manifest.json", b"../x")
KINDS = (b"0", b"\0", b"7", b"1", b"2", b"3", b"5", b"S", b"V", b"L", b"K", b"x", b"g", b"X")
RECORDS = (b"path", b"linkpath", b"size", b"mtime", b"uid", b"comment", b"GNU.sparse.major", b"")


def test_an_archive_whose_headers_were_changed_ends_in_an_answer_or_an_error(
    archives: list[dict[str, bytes]], tmp_path: Path
) -> None:
    chance = random.Random("headers of the tar")
    path = tmp_path / "y.tar"
    told = 0
    for number in range(CASES * 2):
        path.write_bytes(with_changed_header(chance, images.tar(archives[number % len(archives)])))
        for look in (lambda: verify(path).findings, lambda: inspect(path).notes, lambda: read_undamaged(path)):
            try:
                told += bool(look())
            except ImgfetchError as error:
                assert str(error)  # noqa: PT017
    assert told > CASES


def with_changed_header(chance: random.Random, raw: bytes) -> bytes:
    """Return a tar with one header changed, the checksum right, and perhaps extended headers before it."""
    starts = [start for start in range(0, len(raw) - 1024, 512) if raw[start + 257 : start + 262] == b"ustar"]
    start = chance.choice(starts)
    block = raw[start : start + 512]
    for _ in range(chance.randint(1, 2)):
        field = chance.choice(list(headers.FIELDS))
        value = chance.choice({"type": KINDS, "magic": (headers.GNU, headers.USTAR, headers.V7)}.get(field, VALUES))
        size = headers.FIELDS[field].stop - headers.FIELDS[field].start
        block = headers.replaced(block, field, value[:size])
    before = b"".join(extended(chance) for _ in range(chance.choice([0, 0, 1, 2])))
    return raw[:start] + before + headers.checked(block) + raw[start + 512 :]


def extended(chance: random.Random) -> bytes:
    """Return an extended header of some kind, right or wrong."""
    records = [headers.record(chance.choice(RECORDS), chance.choice(VALUES)) for _ in range(chance.randint(0, 2))]
    kind = chance.choice([b"x", b"x", b"g", b"L", b"K"])
    content = b"".join(records) if kind in b"xg" else chance.choice(VALUES)
    return headers.entry(b"p", content, kind)
