"""Programs that pack the directory of an OCI image layout."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.tools import tool
from tests.writers import Lab, Write, run

Pack = Callable[[Lab, Path, Path], None]
"""Packs a directory into a file."""

_MEMBERS = ("oci-layout", "index.json", "blobs")


def of_layout(write: Write, pack: Pack | None = None) -> Write:
    """Write a layout as a directory, and pack it, by default as ``tar -C DIRECTORY -cf FILE .`` does."""

    def packed(lab: Lab, reference: str, target: Path) -> None:
        directory = target.with_suffix(".directory")
        shutil.rmtree(directory, ignore_errors=True)
        write(lab, reference, directory)
        (pack or gnu_tar())(lab, directory, target)

    return packed


def gnu_tar(*options: str, members: tuple[str, ...] = (".",)) -> Pack:
    def pack(_lab: Lab, directory: Path, target: Path) -> None:
        subprocess.run([tool("tar"), "-C", directory, *options, "-cf", target, *members], check=True, timeout=60)

    return pack


def _bsd_tar(*options: str, members: tuple[str, ...] = (".",)) -> Pack:
    return lambda lab, directory, target: run(lab, "bsdtar", "-C", directory, *options, "-cf", target, *members)


def _python_tar(form: int) -> Pack:
    def pack(_lab: Lab, directory: Path, target: Path) -> None:
        with tarfile.open(target, "w", format=form) as archive:
            for member in sorted(directory.iterdir()):
                archive.add(member, member.name)

    return pack


_OF_GNU = {
    **{f"tar-1-{form}": gnu_tar(f"--format={form}") for form in ("gnu", "oldgnu", "posix", "ustar", "v7")},
    "tar-1-members": gnu_tar(members=_MEMBERS),
    "tar-1-members-of-here": gnu_tar(members=tuple(f"./{name}" for name in _MEMBERS)),
    "tar-1-sorted": gnu_tar("--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"),
    "tar-1-gzip": gnu_tar("-z"),
    "tar-1-large-owner": gnu_tar("--owner=someone:5000000"),
    "tar-1-attributes": gnu_tar("--xattrs", "--acls", "--selinux"),
}
_OF_OTHERS = {
    **{f"bsdtar-3-{form}": _bsd_tar("--format", form) for form in ("gnutar", "pax", "ustar", "v7")},
    "bsdtar-3-members": _bsd_tar(members=_MEMBERS),
    "python-gnu": _python_tar(tarfile.GNU_FORMAT),
    "python-pax": _python_tar(tarfile.PAX_FORMAT),
    "python-ustar": _python_tar(tarfile.USTAR_FORMAT),
}
PACKERS: Mapping[str, Pack] = {**_OF_GNU, **_OF_OTHERS}
