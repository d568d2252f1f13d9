"""`imgfetch save --patch-from`: patches that are saved without the new archive and the layers of the old one."""

from __future__ import annotations

import builtins
import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

import imgfetch
from imgfetch.errors import UnsupportedError
from imgfetch.oci.platforms import Platform
from imgfetch.patch import frames
from imgfetch.pull import patch
from imgfetch.text import installation
from tests.authority import new_key
from tests.images import ARM64, OCI_TAR, Built, attestation, hello, image, index
from tests.integration.conftest import Command, Done
from tests.killed import killed
from tests.loopback import Answer, Loopback
from tests.patches import BASE, NEW, OLD, applied, archive, opened, sha256
from tests.signing import public_pem

ARM = image(BASE, hello("for arm"), platform=ARM64)
NESTED = index(NEW, ARM, attestation(NEW))
AMD64 = ("--platform", "linux/amd64")


@dataclass
class Desk:
    """A registry with a new image, an old archive on the disk, and the command.

    Attributes:
        before: the number of requests before the command.
    """

    registry: Loopback
    command: Command
    path: Path
    before: int = field(default=0)

    @property
    def old(self) -> Path:
        return self.path / "old.tar"

    @property
    def patch(self) -> Path:
        return self.path / "new.patch"

    def add(self, built: Built, repository: str = "team/app", tag: str = "2") -> str:
        return self.registry.add(repository, tag, built)

    def save(self, *arguments: str | Path, to: str = "new.patch", status: int = 0) -> Done:
        self.before = len(self.registry.paths)
        done = self.command("save", *arguments, "--patch-from", self.old, "-o", self.path / to)
        assert done.status == status, done.err
        return done

    def expect(self, *arguments: str | Path) -> Path:
        """Return the archive that a save with decompressed layers writes."""
        plain = self.path / "plain.tar"
        layers = () if "docker-classic" in arguments else ("--layers", "plain")
        done = self.command("save", *arguments, *layers, "-o", plain)
        assert done.status == 0, done.err
        return plain

    @property
    def asked(self) -> str:
        return "\n".join(self.registry.paths[self.before :])


@pytest.fixture
def desk(loopback: Loopback, command: Command, tmp_path: Path) -> Desk:
    desk = Desk(loopback, command, tmp_path)
    archive(OLD, desk.old)
    return desk


@pytest.mark.parametrize("archive_format", ["docker", "oci", "docker-classic"])
def test_a_saved_patch_makes_the_archive_of_a_save_with_decompressed_layers(archive_format: str, desk: Desk) -> None:
    given = (desk.add(NEW), *AMD64, "--format", archive_format)
    done = desk.save(*given)
    assert "saved a patch of" in done.err
    assert desk.patch.stat().st_size < 3000
    assert sha256(applied(desk.patch, desk.old, desk.path)) == sha256(desk.expect(*given))


def test_a_layer_of_the_old_archive_is_not_downloaded(desk: Desk) -> None:
    desk.save(desk.add(NEW), *AMD64, "--no-cache")
    assert BASE.digest not in desk.asked
    assert NEW.layers[1].digest in desk.asked


def test_nothing_is_downloaded_if_the_old_archive_has_all_layers(desk: Desk) -> None:
    reference = desk.add(image(*OLD.layers, config={"author": "another"}))
    desk.save(reference, *AMD64, "--no-cache")
    assert not any(layer.digest in desk.asked for layer in OLD.layers)
    assert sha256(applied(desk.patch, desk.old, desk.path)) == sha256(desk.expect(reference, *AMD64))


@pytest.mark.parametrize(
    "options",
    [
        ("--all-platforms",),
        ("--platform", "linux/amd64,linux/arm64"),
        ("--platform", "linux/arm64"),
        (*AMD64, "--name", "other:3"),
    ],
    ids=["all platforms", "two platforms", "another platform", "another name"],
)
def test_a_patch_may_make_an_archive_of_several_platforms(options: tuple[str, ...], desk: Desk) -> None:
    reference = desk.add(NESTED)
    desk.save(reference, *options)
    result = applied(desk.patch, desk.old, desk.path, NESTED.digest)
    assert sha256(result) == sha256(desk.expect(reference, *options))


def test_a_patch_may_make_an_archive_of_a_list(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "12345")
    one, two = desk.add(NEW), desk.add(image(BASE, hello("other", OCI_TAR)), "team/other")
    (images := desk.path / "images").write_text(f"{one}@{NEW.digest}\n{two} --name second:1\n")
    desk.save("-i", images, *AMD64)
    assert sha256(applied(desk.patch, desk.old, desk.path)) == sha256(desk.expect("-i", images, *AMD64))


def test_the_registry_s_manifest_and_index_are_in_the_patch_byte_for_byte(desk: Desk) -> None:
    repository = desk.add(NESTED).rpartition(":")[0]
    desk.save(f"{repository}:2", *AMD64)
    assert set(opened(desk.patch.read_bytes()).head.documents) == {NEW.raw, NESTED.raw}
    for wanted in (f"{repository}@{NESTED.digest}", f"{repository}@{NEW.digest}"):
        applied(desk.patch, desk.old, desk.path, wanted)


def test_an_index_with_two_platforms_is_in_the_patch_as_the_registry_has_it(desk: Desk) -> None:
    desk.save(desk.add(NESTED), "--platform", "linux/amd64,linux/arm64")
    assert set(opened(desk.patch.read_bytes()).head.documents) == {NEW.raw, ARM.raw, NESTED.raw}


def test_stdout_gets_the_same_patch(desk: Desk) -> None:
    reference = desk.add(NEW)
    desk.save(reference, *AMD64)
    command = [sys.executable, "-m", "imgfetch", "save", reference, *AMD64, "--patch-from", str(desk.old), "--no-cache"]
    done = subprocess.run(command, check=True, capture_output=True)
    assert done.stdout == desk.patch.read_bytes()


def test_a_patch_from_is_json_too(desk: Desk) -> None:
    shown = json.loads(desk.save(desk.add(NEW), *AMD64, "--json").out)
    assert shown["size"] == desk.patch.stat().st_size
    assert shown["archive_size"] == opened(desk.patch.read_bytes()).head.size
    assert shown["images"][0]["digest"] == NEW.digest


def test_a_wrong_layer_of_the_registry_leaves_nothing(desk: Desk) -> None:
    reference, wrong = desk.add(NEW), NEW.layers[1]
    desk.registry.answers[f"/v2/team/app/blobs/{wrong.digest}"] = Answer(bytes(len(wrong.content)))
    desk.save(reference, *AMD64, "--no-cache", status=6)
    assert not desk.patch.exists()


def test_images_that_cannot_be_found_are_left_out_of_a_patch_with_keep_going(desk: Desk) -> None:
    reference = desk.add(NEW)
    desk.save(reference, f"{reference}9", *AMD64, "--keep-going", status=3)
    assert sha256(applied(desk.patch, desk.old, desk.path)) == sha256(desk.expect(reference, *AMD64))


def test_a_damaged_old_archive_is_refused_before_any_request(desk: Desk) -> None:
    raw = bytearray(desk.old.read_bytes())
    raw[-100_000] ^= 1
    desk.old.write_bytes(raw)
    assert "old.tar" in desk.save(desk.add(NEW), *AMD64, status=6).err
    assert desk.asked == ""


def test_an_old_archive_without_layers_in_common_makes_a_patch_of_the_whole_image(desk: Desk) -> None:
    archive(image(hello("unlike")), desk.old)
    reference = desk.add(NEW)
    desk.save(reference, *AMD64)
    assert desk.patch.stat().st_size > 500_000
    assert sha256(applied(desk.patch, desk.old, desk.path)) == sha256(desk.expect(reference, *AMD64))


@pytest.mark.parametrize("option", [[], ["--dry-run"]], ids=["a save", "a dry run"])
def test_the_missing_library_is_named_before_any_request(
    option: list[str], desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name in ("compression", "backports"):
            raise ImportError(name)
        return real(name, *arguments)

    reference = desk.add(NEW)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UnsupportedError, match=r"Python 3\.14"):
        frames.compression_library()
    done = desk.save(reference, *AMD64, *option, status=1)
    assert f"{installation('patch')}; applying a patch needs neither" in done.err
    assert desk.asked == ""


@pytest.mark.parametrize(
    ("option", "says"),
    [
        (("--base", "old.tar"), "--base compares layers as the registry stores them and cannot be combined with"),
        (("--layers", "original"), "and cannot be combined with --layers original; leave out --layers"),
        (("--keep-index",), "--keep-index keeps the registry's digests and cannot be combined with"),
        (("--signatures",), "--signatures needs the registry's digests and cannot be combined with"),
        (("--referrers",), "--referrers needs the registry's digests and cannot be combined with"),
        (("--if-changed",), "and cannot be combined with --if-changed"),
        (("--zstd-window", "256MiB"), "and cannot be combined with --zstd-window"),
    ],
)
def test_options_without_a_meaning_for_a_patch_are_refused(option: tuple[str, ...], says: str, desk: Desk) -> None:
    done = desk.save(desk.add(NEW), *option, status=2)
    assert says in done.err
    assert "--patch-from" in done.err


def test_an_output_directory_is_refused(desk: Desk) -> None:
    done = desk.command("save", desk.add(NEW), "--patch-from", desk.old, "--output-dir", desk.path / "images")
    assert (done.status, "--patch-from writes one patch for all images" in done.err) == (2, True)


def test_a_patch_does_not_get_the_name_of_an_archive(desk: Desk) -> None:
    assert "name it such as NEW.patch" in desk.save(desk.add(NEW), to="new.tar.zst", status=2).err


def test_a_patch_does_not_replace_the_old_archive(desk: Desk) -> None:
    old = desk.path / "old"
    desk.old.rename(old)
    done = desk.command("save", desk.add(NEW), "--patch-from", old, "-o", old)
    assert (done.status, "would replace the archive that is read" in done.err) == (2, True)


def test_a_dry_run_says_what_the_old_archive_has(desk: Desk) -> None:
    reference = desk.add(NEW)
    done = desk.save(reference, *AMD64, "--dry-run")
    assert not desk.patch.exists()
    assert f"  old       {BASE.digest}" in done.out
    assert f"  download  {NEW.layers[1].digest}" in done.out
    assert "625 kB to download in 2 requests, 0 B cached, 97 B in the old archive" in done.out
    assert "estimated size of the patch: at most about 625 kB" in done.out
    shown = json.loads(desk.save(reference, *AMD64, "--dry-run", "--json").out)
    assert (shown["old"], shown["new"], shown["bytes"]) == (97, 624772, 624772)


def test_a_dry_run_knows_the_size_of_the_archive_if_all_sizes_are_known(desk: Desk) -> None:
    archive(OLD, desk.old, layers="plain")
    reference = desk.add(image(*OLD.layers, config={"author": "another"}))
    shown = json.loads(desk.save(reference, *AMD64, "--dry-run", "--json").out)
    assert shown["archive_size"] == desk.expect(reference, *AMD64).stat().st_size


def test_signatures_are_required_for_a_patch_too(desk: Desk) -> None:
    (key := desk.path / "cosign.pub").write_bytes(public_pem(new_key()))
    desk.save(desk.add(NEW), *AMD64, "--key", key, status=6)
    assert not desk.patch.exists()


def test_the_library_saves_a_patch(desk: Desk) -> None:
    reference, shown = desk.add(NEW), list[tuple[str, int | None]]()
    counts: list[int] = []

    class Reading:
        def __init__(self, name: str, size: int | None) -> None:
            shown.append((name, size))

        def __enter__(self) -> Callable[[int], None]:
            return counts.append

        def __exit__(self, *_: object) -> None:
            pass

    out = io.BytesIO()
    found = imgfetch.save_patch(reference, desk.old, out, platform="linux/amd64", reading=Reading)
    assert found.size == len(out.getvalue())
    assert shown == [(str(desk.old), None), ("the patch", found.archive.size)]
    assert sum(counts) > found.archive.size
    forecast = imgfetch.dry_run(reference, patch_from=desk.old, platform="linux/amd64")
    assert forecast.old_images == dict.fromkeys(opened_names(desk.old), (Platform("linux", "amd64"),))
    with pytest.raises(ValueError, match="cannot be compared"):
        imgfetch.save_patch(reference, desk.old, out, if_changed=True)
    with pytest.raises(ValueError, match="not for patches"):
        imgfetch.save_patch(reference, desk.old, out, zstd_window=1 << 27)
    with pytest.raises(ValueError, match="decompressed layers"):
        imgfetch.save_patch(reference, desk.old, out, base=desk.old)


def opened_names(path: Path) -> tuple[str, ...]:
    return tuple(name for image in imgfetch.verify(path).images for name in image.names)


def test_a_layer_that_changes_in_the_cache_is_not_in_a_patch(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    real = patch.decompress
    monkeypatch.setattr(patch, "decompress", lambda file: [*real(file), b"x"])
    assert "changed while it was read" in desk.save(desk.add(NEW), *AMD64, status=6).err
    assert not desk.patch.exists()


def test_a_kill_of_a_save_leaves_the_output_as_it_was(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    (temporary := desk.path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    desk.patch.write_bytes(b"an earlier file")
    was = sha256(desk.patch)
    save = ("save", desk.add(NEW), *AMD64, "--no-cache", "-j", "1", "--patch-from", desk.old, "-o", desk.patch)
    whole, *states = killed(8, desk.patch, *save)
    assert whole.status == 0
    assert {state.status for state in states} <= {-9, 0}
    assert [state.status for state in states].count(-9) >= 6
    assert {state.output for state in states} <= {was, whole.output}
    assert was in {state.output for state in states}
    assert list(temporary.iterdir()) == []
