"""Builds the images of `patch_pairs` from packages, with pip, npm and apt as this machine has them set up.

``python -m tests.bench.patch_images DIRECTORY`` writes, for each pair, ``NUMBER-old.tar`` and ``NUMBER-new.tar`` as
`imgfetch save` does, with layers in gzip.  Packages stay in the directory, so a second run downloads nothing.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from imgfetch.archive.formats import FORMATS
from imgfetch.archive.selection import Selection
from imgfetch.archive.tarlayout import TarLayout
from imgfetch.oci import mediatypes
from imgfetch.oci.config import Config
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image, Manifest, parse_document
from imgfetch.oci.reference import Reference
from imgfetch.tolerance import Tolerance
from tests.bench.patch_pairs import PAIRS, Layer

TIME, REBUILT = 1_700_000_000, 1_703_000_000
MEBIBYTE = 1024 * 1024
_SITE, _NODE = "usr/lib/python3/site-packages", "usr/lib/node_modules"
_SUITES = {"bookworm": "bookworm", "security": "bookworm-security", "forky": "forky"}
_LARGE = 3550


def build(directory: Path, number: int) -> Iterator[Path]:
    """Write the two archives of a pair, and yield their paths."""
    pair = PAIRS[number - 1]
    for version, layers in (("old", pair.old), ("new", pair.new)):
        path = directory / f"{number:02}-{version}.tar"
        if not path.exists():
            time = REBUILT if pair.is_rebuilt and version == "new" else TIME
            stored = [_layer(directory, layer, TIME if layer == pair.old[0] else time) for layer in layers]
            _write(path, f"{reference(number)}:{version}", stored)
        yield path


def reference(number: int) -> str:
    """Return the name of a pair's images, without the tag, which is ``old`` or ``new``."""
    return "registry.example/" + re.sub(r"[^a-z0-9]+", "-", PAIRS[number - 1].name.lower())


def _layer(directory: Path, packages: Layer, time: int) -> tuple[Path, str]:
    """Return a layer in gzip, and its diff_id."""
    key = hashlib.sha256(repr((sorted(packages), time)).encode()).hexdigest()[:16]
    path, note = directory / "layers" / f"{key}.gz", directory / "layers" / f"{key}.txt"
    if note.exists():
        return path, note.read_text()
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as out, gzip.GzipFile("", "wb", 6, out, 0) as compressed:
        hashed = _Hashed(compressed)
        with tarfile.open(fileobj=hashed, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for package in packages:
                kind, _, name = package.partition(":")
                _KINDS.get(kind, _debian)(tar, directory, f"{kind}:{name}", time)
    note.write_text(f"sha256:{hashed.hash.hexdigest()}")
    return path, note.read_text()


class _Hashed(io.RawIOBase):
    """A file to write to, which hashes."""

    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._out, self.hash = out, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:
        self.hash.update(data)
        return self._out.write(data)


def _add(tar: tarfile.TarFile, name: str, content: BinaryIO, size: int, time: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime, entry.mode = size, time, 0o644
    tar.addfile(entry, content)


def _wheel(tar: tarfile.TarFile, directory: Path, package: str, time: int) -> None:
    name, _, version = package.partition(":")[2].partition("=")
    folder = directory / "packages" / f"{name}-{version}"
    if not folder.exists():
        pip = [sys.executable, "-m", "pip", "-q", "download", "--no-deps", "--only-binary=:all:"]
        target = ["--python-version=3.12", "--platform=manylinux2014_x86_64", "--platform=manylinux_2_28_x86_64"]
        subprocess.run([*pip, *target, "-d", str(folder), f"{name}=={version}"], check=True)
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        for each in sorted(wheel.infolist(), key=lambda each: each.filename):
            if not each.is_dir():
                with wheel.open(each) as content:
                    _add(tar, f"{_SITE}/{each.filename}", content, each.file_size, time)


def _node(tar: tarfile.TarFile, directory: Path, package: str, time: int) -> None:
    name, _, version = package.partition(":")[2].partition("=")
    folder = directory / "packages" / f"{name.replace('/', '-')}-{version}"
    if not any(folder.glob("*.tgz")):
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["npm", "pack", "--silent", f"{name}@{version}"], cwd=folder, check=True)
    unpacked = gzip.decompress(next(folder.glob("*.tgz")).read_bytes())  # to be read in another order
    with tarfile.open(fileobj=io.BytesIO(unpacked)) as packed:
        for each in sorted(packed.getmembers(), key=lambda each: each.name):
            if content := packed.extractfile(each):
                _add(tar, f"{_NODE}/{name}/{each.name.partition('/')[2]}", content, each.size, time)


def _debian(tar: tarfile.TarFile, directory: Path, package: str, _: int) -> None:
    suite, _, wanted = package.partition(":")
    folder = directory / "packages" / package.replace("/", "-")
    if not any(folder.glob("*.deb")):
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["apt-get", "-q", *_apt(directory, suite), "download", wanted], cwd=folder, check=True)
    unpacked = subprocess.run(
        ["dpkg-deb", "--fsys-tarfile", str(next(folder.glob("*.deb")))], check=True, capture_output=True
    )
    seen = set(tar.getnames())
    with tarfile.open(fileobj=io.BytesIO(unpacked.stdout)) as files:
        for each in files:
            if each.name in seen:  # a directory of several packages
                continue
            each.pax_headers = {}
            tar.addfile(each, files.extractfile(each) if each.isfile() else None)


def _apt(directory: Path, suite: str) -> list[str]:
    """Return apt's options for one suite of the mirror that this machine uses."""
    root = directory / "apt" / suite
    options = [f"-oDir::State={root}", f"-oDir::Cache={root}", f"-oDir::Etc::sourcelist={root}/sources.list"]
    options += [f"-oDir::State::status={root}/status"]  # an empty one, or apt would choose the versions installed here
    options += ["-oDir::Etc::sourceparts=-", "-oAcquire::Check-Valid-Until=false", "-oAPT::Sandbox::User=root"]
    if not (root / "lists").exists():
        (root / "lists" / "partial").mkdir(parents=True)
        (root / "status").touch()
        label = "Debian-Security" if suite == "security" else "Debian"
        asked = ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", f"Label: {label}"]
        mirror = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()[0]
        (root / "sources.list").write_text(f"deb [trusted=yes] {mirror} {_SUITES[suite]} main\n")
        subprocess.run(["apt-get", "-q", *options, "update"], check=True)
    return options


def _made(tar: tarfile.TarFile, directory: Path, package: str, time: int) -> None:
    """Add a large file, half of which compresses; the changed one has another megabyte and 4 KiB more."""
    source, path = random.Random(4), directory / package.replace(":", "-")
    with path.open("wb") as out:
        for number in range(_LARGE):
            block = source.randbytes(MEBIBYTE // 2)
            if package.endswith("changed") and number == _LARGE // 2:
                block = random.Random(5).randbytes(MEBIBYTE // 2 + 4096)
            out.write(block + block[: MEBIBYTE // 64] * 32)
    with path.open("rb") as content:
        _add(tar, "var/lib/large", content, path.stat().st_size, time)
    path.unlink()


_KINDS = {"pypi": _wheel, "npm": _node, "made": _made}


class _Documents(dict[Digest, bytes]):
    """The documents of an image."""

    def read(self, digest: Digest) -> bytes:
        return self[digest]

    def put(self, descriptor: Descriptor, content: bytes) -> None:
        self[descriptor.digest] = content


def _write(path: Path, name: str, layers: list[tuple[Path, str]]) -> None:
    """Write an archive as `imgfetch save` does."""
    files: dict[Digest, Path] = {}
    entries = []
    for file, _ in layers:
        with file.open("rb") as content:
            digest = Digest("sha256", hashlib.file_digest(content, "sha256").hexdigest())
        files[digest] = file
        entries.append(Descriptor(mediatypes.OCI_LAYER_GZIP, digest, file.stat().st_size).entry())
    diff_ids = [diff_id for _, diff_id in layers]
    config = json.dumps(
        {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": diff_ids}}
    ).encode()
    described = Descriptor.of(config, mediatypes.OCI_CONFIG)
    document = {
        "schemaVersion": 2,
        "mediaType": mediatypes.OCI_MANIFEST,
        "config": described.entry(),
        "layers": entries,
    }
    raw = json.dumps(document).encode()
    manifest = parse_document(Document(raw), Descriptor.of(raw, mediatypes.OCI_MANIFEST), "it", Tolerance())
    assert isinstance(manifest, Manifest)
    documents = _Documents({described.digest: config, manifest.descriptor.digest: raw})
    image = Image(manifest, Config.from_json(config, described.media_type, "it"), (Reference.parse(name),))

    @contextmanager
    def opened(digest: Digest) -> Iterator[BinaryIO]:
        with files[digest].open("rb") if digest in files else io.BytesIO(documents[digest]) as content:
            yield content

    with path.with_suffix(".part").open("wb") as out:
        TarLayout(FORMATS["docker"].members([Selection.of(image)], {}, documents)).stream(opened, out)
    path.with_suffix(".part").rename(path)


def main() -> None:
    directory = Path(sys.argv[1]).absolute()
    directory.mkdir(exist_ok=True)
    os.environ.setdefault("LC_ALL", "C.UTF-8")
    for number in map(int, sys.argv[2:] or range(1, len(PAIRS) + 1)):
        print(number, PAIRS[number - 1].name, *build(directory, number), flush=True)
    shutil.rmtree(directory / "apt", ignore_errors=True)


if __name__ == "__main__":
    main()
