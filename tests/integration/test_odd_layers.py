"""Images with an odd layer: `save` writes, decompresses, warns or refuses, and `verify` says the same."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from imgfetch.archive.verify import verify
from tests.integration.conftest import Command
from tests.loopback import Loopback
from tests.odd_layers import ODD_IMAGES

PLATFORM = ("--platform", "linux/amd64")
SOME = [
    *(name for name in ODD_IMAGES if not name.startswith("tar with") and not name.endswith(" layers")),
    *("tar with one name twice", "tar with a hard link to nothing", "tar with a wrong checksum", "tar with a pipe"),
]


@pytest.mark.parametrize("name", SOME)
def test_an_odd_layer_has_its_fate(name: str, loopback: Loopback, command: Command, tmp_path: Path) -> None:
    odd, target = ODD_IMAGES[name], tmp_path / "x.tar"
    done = command("save", loopback.add("x", "1", odd.built), "-o", target, *PLATFORM)
    assert done.status == (6 if odd.fate == "refused" else 0), done.err
    assert target.exists() == (odd.fate != "refused")
    assert odd.says in done.err
    warnings = [line for line in done.err.splitlines() if "warning" in line and "zstd layers" not in line]
    assert bool(warnings) == (odd.fate in ("decompressed", "warned of"))
    if odd.fate != "refused":
        verified = verify(target)
        assert verified.findings == ()
        assert any(odd.says in note for note in verified.notes) or odd.fate != "warned of"
        assert not verified.notes or odd.fate == "warned of"
        with tarfile.open(target) as archive:
            kept = {blob.digest.rpartition(":")[2] for blob in odd.built.layers} <= {
                name.rpartition("/")[2] for name in archive.getnames()
            }
        assert kept or odd.fate == "decompressed"


@pytest.mark.parametrize("name", ["tar with one name twice", "gzip with a long name", "diff_ids in sha512"])
def test_under_strict_what_some_readers_refuse_is_an_error(
    name: str, loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    target = tmp_path / "x.tar"
    done = command("save", loopback.add("x", "1", ODD_IMAGES[name].built), "-o", target, "--strict", *PLATFORM)
    assert (done.status, target.exists()) == (6, False)
    assert ODD_IMAGES[name].says in done.err
