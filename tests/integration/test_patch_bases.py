"""Old archives for a patch: others, incomplete ones, several, damaged ones, and none."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from imgfetch import make_patch, save
from tests.images import ARM64, hello, image, tar
from tests.integration.conftest import Command, Done
from tests.loopback import Loopback
from tests.patches import BASE, NEW, OLD, archive, sha256

FOUNDATION = hello("a foundation")
ONE, TWO = image(*OLD.layers[:1], FOUNDATION, OLD.layers[1]), image(*NEW.layers[:1], FOUNDATION, NEW.layers[1])


@pytest.fixture(scope="module")
def update(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with two archives of an image of three layers, and a patch that needs all old ones."""
    update = tmp_path_factory.mktemp("update")
    with Loopback() as registry:
        save(registry.add("team/app", "1", ONE), update / "old.tar", platform="linux/amd64")
        save(registry.add("team/app", "2", TWO), update / "new.tar", platform="linux/amd64", layers="plain")
    make_patch(update / "old.tar", update / "new.tar", update / "new.patch")
    return update


@pytest.fixture
def apply(update: Path, command: Command, tmp_path: Path) -> Callable[..., Done]:
    def apply(*bases: Path, status: int = 0) -> Done:
        (tmp_path / "result.tar").unlink(missing_ok=True)
        options = [option for base in bases for option in ("--from", base)]
        done = command("apply", update / "new.patch", *options, "-o", tmp_path / "result.tar")
        assert done.status == status, done.err
        if status:
            assert not (tmp_path / "result.tar").exists()
        else:
            assert sha256(tmp_path / "result.tar") == sha256(update / "new.tar")
        return done

    return apply


def missing(done: Done) -> list[str]:
    """Return the missing layers that a message names."""
    return re.findall(r"missing: (layer \d/\d) of ", done.err)


WRONG = {
    "another image": (image(hello("unlike")), {}, ["layer 1/3", "layer 2/3", "layer 3/3"]),
    "another platform": (
        image(BASE, hello("arm"), platform=ARM64),
        {"platform": "linux/arm64"},
        ["layer 2/3", "layer 3/3"],
    ),
    "other layers": (image(BASE, FOUNDATION, hello("other")), {}, ["layer 3/3"]),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_base_is_refused_with_the_missing_layers_and_the_images_that_it_has(
    kind: str, apply: Callable[..., Done], tmp_path: Path
) -> None:
    built, options, expected = WRONG[kind]
    name = archive(built, tmp_path / "base.tar", **options)
    done = apply(tmp_path / "base.tar", status=6)
    assert missing(done) == expected
    assert f"base.tar has {name} {options.get('platform', 'linux/amd64')}" in done.err
    assert "old layers are not in" in done.err or "an old layer is not in" in done.err


def test_layers_that_an_archive_leaves_out_are_missing(apply: Callable[..., Done], tmp_path: Path) -> None:
    archive(image(BASE), tmp_path / "lowest.tar")
    archive(ONE, tmp_path / "update.tar", base=tmp_path / "lowest.tar")
    assert missing(apply(tmp_path / "update.tar", status=6)) == ["layer 1/3"]
    apply(tmp_path / "update.tar", tmp_path / "lowest.tar")


def test_several_archives_have_the_layers_together(apply: Callable[..., Done], tmp_path: Path) -> None:
    (parts := tmp_path / "parts").mkdir()
    archive(image(BASE, FOUNDATION), parts / "a.tar")
    archive(OLD, parts / "b.tar", archive_format="oci")
    apply(parts / "a.tar", parts / "b.tar")
    apply(parts)


def test_of_several_candidates_a_damaged_one_is_skipped(
    apply: Callable[..., Done], update: Path, tmp_path: Path
) -> None:
    (archives := tmp_path / "archives").mkdir()
    archive(ONE, archives / "a.tar", layers="plain")
    raw = bytearray((archives / "a.tar").read_bytes())
    raw[-5000] ^= 1
    (archives / "a.tar").write_bytes(raw)
    assert re.search(r"error: .* does not match the config", apply(archives, status=6).err)
    (archives / "b.tar").write_bytes((update / "old.tar").read_bytes())
    assert "looking for its layers in other archives" in apply(archives).err
    assert "does not match the config" in apply(archives / "a.tar", archives / "b.tar", status=6).err


def test_a_candidate_that_is_cut_short_is_named(apply: Callable[..., Done], update: Path, tmp_path: Path) -> None:
    (archives := tmp_path / "archives").mkdir()
    raw = (update / "old.tar").read_bytes()
    (archives / "a.tar").write_bytes(raw[:-20_000])
    (archives / "notes.tar").write_bytes(tar({"notes": b"not an image"}))
    refused = apply(archives, status=6).err
    assert re.search(r"warning: .*a\.tar is cut short at .*; its layers are not used", refused)
    assert f"3 of its 3 old layers are not in {archives}" in refused
    assert "notes" not in refused
    (archives / "b.tar").write_bytes(raw)
    apply(archives)


def test_a_directory_without_the_layers_is_named(apply: Callable[..., Done], tmp_path: Path) -> None:
    (empty := tmp_path / "empty").mkdir()
    assert f"3 of its 3 old layers are not in {empty}" in apply(empty, status=6).err


def test_a_base_that_is_absent_is_named(apply: Callable[..., Done], tmp_path: Path) -> None:
    assert "absent.tar: No such file or directory" in apply(tmp_path / "absent.tar", status=7).err


def test_apply_needs_a_base(apply: Callable[..., Done]) -> None:
    assert "--from is missing" in apply(status=2).err


def test_a_base_with_more_layers_will_do(apply: Callable[..., Done], tmp_path: Path) -> None:
    archive({"team/more": image(hello("more")), "team/app": ONE}, tmp_path / "more.tar")
    apply(tmp_path / "more.tar")
