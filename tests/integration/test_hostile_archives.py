"""Archives after which some reader may have another image than the one that is asked for: nothing accepts them."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgfetch.archive.recognise import read_undamaged
from imgfetch.archive.verify import verify
from imgfetch.errors import ImgfetchError
from tests.hostile import APPROVED, GROUPS, HOSTILE, Pair, expected
from tests.images import hello, image
from tests.integration.conftest import Command, Save
from tests.loopback import Loopback

REFUSED = [title for title in HOSTILE if title not in APPROVED]
BY_NAME_OR_CONTENT = (
    *("is an index with other content than", "is in the archive only", "is not in the archive, which has"),
    *("does not match the config", "is a JSON document, not a layer", "cannot be loaded", "is damaged: it hashes to"),
)
"""Findings for which `verify` needs the name that is asked for, or reads the layers; `inspect` does neither."""
ONE_OF_A_KIND = [next(title for title in group if title not in APPROVED) for group in GROUPS]
ONE = image(hello("one"))


def written(title: str, directory: Path) -> tuple[Path, Pair]:
    pair, archive = HOSTILE[title].pair(title), directory / "y.tar"
    archive.write_bytes(HOSTILE[title].make(pair))
    return archive, pair


@pytest.mark.parametrize("title", REFUSED)
def test_an_archive_that_may_be_another_image_is_not_approved(title: str, tmp_path: Path) -> None:
    archive, pair = written(title, tmp_path)
    try:
        said = verify(archive, pair.pinned).findings[0]
    except ImgfetchError as error:
        said = str(error)
    assert any(part in said for part in expected(title)), said
    if any(part in said for part in BY_NAME_OR_CONTENT):
        return
    with pytest.raises(ImgfetchError):
        read_undamaged(archive)


@pytest.mark.parametrize("title", sorted(APPROVED))
def test_an_odd_archive_that_is_the_same_image_to_all_readers_is_approved(title: str, tmp_path: Path) -> None:
    archive, pair = written(title, tmp_path)
    assert verify(archive, pair.pinned).findings == ()
    read_undamaged(archive)


@pytest.mark.parametrize("title", ONE_OF_A_KIND)
def test_commands_refuse_an_archive_that_may_be_another_image(
    loopback: Loopback, command: Command, save: Save, tmp_path: Path, title: str
) -> None:
    archive, pair = written(title, tmp_path)
    done = command("verify", archive, pair.pinned)
    assert done.status == 6
    assert any(part in done.err for part in expected(title))
    assert command("inspect", archive).status == 6
    reference = loopback.add("team/app", "1", ONE)
    save(reference, "--base", archive, to="z.tar", status=6)
    assert not (tmp_path / "z.tar").exists()
    save(reference, "--if-changed")
    assert verify(archive, f"{reference}@{ONE.digest}").findings == ()
