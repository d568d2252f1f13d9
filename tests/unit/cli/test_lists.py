"""Lists of references, for ``--images``."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from imgfetch.archive.wanted import Wanted
from imgfetch.cli import lists
from imgfetch.cli.display import Display
from imgfetch.cli.report import report
from imgfetch.errors import ImgfetchError, InvalidReferenceError, SeveralImagesError, StorageError
from imgfetch.oci.names import ImageRequest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference

DIGEST = f"sha256:{'0123456789abcdef' * 4}"
TWO = "quay.io/x/y:1\nz\n"


def read(directory: Path, content: bytes | str, name: str = "list.txt") -> list[ImageRequest]:
    (directory / name).write_bytes(content.encode() if isinstance(content, str) else content)
    return lists.read_images([str(directory / name)])


def names(images: list[ImageRequest]) -> list[str]:
    return [str(image.reference) for image in images]


def test_a_list_has_comments_and_blank_lines(tmp_path: Path) -> None:
    found = read(tmp_path, "quay.io/x/y:1 # the first\n\n   # nothing\n\tz\n")
    assert names(found) == ["quay.io/x/y:1", "docker.io/library/z:latest"]
    assert [image.origin for image in found] == [f"{tmp_path}/list.txt:1", f"{tmp_path}/list.txt:4"]


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(TWO.encode("utf-16"), id="UTF-16"),
        pytest.param(b"\xfe\xff" + TWO.encode("utf-16-be"), id="UTF-16 big-endian"),
        pytest.param(TWO.encode("utf-8-sig"), id="UTF-8 with a mark"),
        pytest.param(TWO.replace("\n", "\r\n").encode(), id="CRLF"),
        pytest.param(TWO.replace("\n", "\r\n").encode("utf-16"), id="UTF-16 and CRLF, as PowerShell writes"),
        pytest.param(TWO.rstrip("\n").encode(), id="no end of line"),
    ],
)
def test_a_list_may_come_from_any_editor(content: bytes, tmp_path: Path) -> None:
    assert names(read(tmp_path, content)) == ["quay.io/x/y:1", "docker.io/library/z:latest"]


def test_a_line_may_have_platforms_and_a_name(tmp_path: Path) -> None:
    (image, plain) = read(tmp_path, "x:1 --platform linux/arm64,linux/amd64 --name=team/x:stable  # why\ny\n")
    assert image.platforms == (Platform("linux", "arm64"), Platform("linux", "amd64"))
    assert str(image.name) == "docker.io/team/x:stable"
    assert (plain.platforms, plain.name) == ((), None)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x y", "'y' after the image is neither --platform nor --name"),
        ("x --nam y", "'--nam' after the image is neither --platform nor --name"),
        ("x --name", "--name has no value"),
        ("x --platform=", "--platform has no value"),
        ("x --name y --name z", "--name is given twice"),
        ("x --platform linux/nothing/at/all", "platform"),
        (f"x --name y@{DIGEST}", "the name of an image in an archive cannot have a digest"),
        ("x#y", "'x#y'"),
        ("x.tar", "'x.tar' looks like a file, not an image"),
        ("out/x.tar.gz --platform arm64", "'out/x.tar.gz' looks like a file, not an image"),
        ("\x1b[31m", "invalid reference"),
    ],
)
def test_a_bad_line_is_told_with_its_place_and_no_control_characters(line: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ImgfetchError) as raised:
        read(tmp_path, f"z\n{line}\n")
    assert str(raised.value).startswith(f"{tmp_path}/list.txt:2: ")
    assert said in str(raised.value)
    assert "\x1b" not in str(raised.value)


def test_all_bad_lines_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(SeveralImagesError) as raised:
        read(tmp_path, "X\ny\nz:1 w\n")
    assert [str(error).split(": ")[0] for error in raised.value.errors] == [
        f"{tmp_path}/list.txt:1",
        f"{tmp_path}/list.txt:3",
    ]


def test_the_mistakes_of_all_lists_are_told_at_once(tmp_path: Path) -> None:
    files = {"a.txt": "X\nx\nY\n", "b.txt": "z\n", "c.txt": "", "d.txt": "x" * 20_000}
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(SeveralImagesError) as raised:
        lists.read_images([str(tmp_path / name) for name in files])
    assert str(raised.value) == f"4 mistakes in {tmp_path}/a.txt, {tmp_path}/c.txt, {tmp_path}/d.txt"
    assert [str(error).removeprefix(f"{tmp_path}/")[:7] for error in raised.value.errors] == [
        "a.txt:1",
        "a.txt:3",
        "c.txt l",
        "d.txt i",
    ]


def test_a_repeated_platform_of_a_line_adds_to_the_first(tmp_path: Path) -> None:
    (image,) = read(tmp_path, "x --platform linux/arm64 --platform=linux/amd64,linux/arm64 --name y --name y:latest\n")
    assert image.platforms == (Platform("linux", "arm64"), Platform("linux", "amd64"))
    assert str(image.name) == "docker.io/library/y:latest"


@pytest.mark.parametrize("content", ["", "\n\n", "# nothing\n", "\ufeff"])
def test_a_list_without_images_is_an_error_that_names_it(content: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidReferenceError, match=r"list\.txt lists no image"):
        read(tmp_path, content)


@pytest.mark.parametrize("content", ["x\n" * (lists.MAX_LINES + 1), "x" * 20_000])
def test_there_is_an_end_to_a_list(content: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidReferenceError, match="too long"):
        read(tmp_path, content)


def test_a_list_for_verify_may_have_digests_names_and_platforms(tmp_path: Path) -> None:
    (tmp_path / "list").write_text(f"{DIGEST} --platform linux/arm64\nx:1 --name y:2\nz@{DIGEST}\n")
    digest, named, pinned = lists.read_wanted([str(tmp_path / "list")])
    assert digest == Wanted(None, Wanted.parse(DIGEST).digest, (Platform("linux", "arm64"),))
    assert named == Wanted(Reference.parse("y:2"), None)
    assert (str(pinned.reference), str(pinned.digest)) == (f"docker.io/library/z@{DIGEST}", DIGEST)


def test_stdin_is_a_list_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(InvalidReferenceError, match="stdin lists no image"):
        lists.read_images(["-"])
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr(lists, "read_settings", lambda _: b"x:1\n")
    assert names(lists.read_images(["-"])) == ["docker.io/library/x:1"]


# ---- shards ----


def listed(count: int) -> list[ImageRequest]:
    return [ImageRequest(Reference.parse(f"x:{number}"), origin=f"list:{number}") for number in range(count)]


@pytest.mark.parametrize("images", [0, 1, 5, 100])
@pytest.mark.parametrize("count", [1, 2, 7, 16])
def test_each_image_is_in_one_shard_and_the_shards_are_equally_large(images: int, count: int) -> None:
    shards = [lists.shard(listed(images), number, count) for number in range(1, count + 1)]
    sizes = [len(shard) for shard in shards]
    assert {image for shard in shards for image in shard} == set(listed(images))
    assert sum(sizes) == images
    assert max(sizes) - min(sizes) <= 1


def test_a_shard_has_its_images_in_order() -> None:
    assert names(lists.shard(listed(8), 2, 3)) == [f"docker.io/library/x:{number}" for number in (1, 4, 7)]


def test_an_image_that_is_added_at_the_end_leaves_the_others_in_their_shards() -> None:
    for number in (1, 2, 3):
        before, after = (lists.shard(listed(count), number, 3) for count in (10, 11))
        assert after[: len(before)] == before


def test_comments_and_duplicates_do_not_change_the_shards(tmp_path: Path) -> None:
    plain = read(tmp_path, "a\nb\nc\nd\n")
    odd = read(tmp_path, "# all\na\n\nb # why\ndocker.io/library/a:latest\nc\nb\nd\n")
    for number in (1, 2):
        assert names(lists.shard(odd, number, 2)) == names(lists.shard(plain, number, 2))


def test_one_image_under_two_names_or_for_two_platforms_is_two_images(tmp_path: Path) -> None:
    images = read(tmp_path, "a\na --name b\na --platform linux/arm64\n")
    assert lists.shard(images, 1, 1) == images


def test_a_file_that_is_no_text_is_not_read_line_by_line(tmp_path: Path) -> None:
    with pytest.raises(InvalidReferenceError, match=r"list\.txt is not a list of images, but binary$") as caught:
        read(tmp_path, b"blobs/\0\0\nb c\nd e\n")
    assert caught.value.hint == "write one image in each line, such as alpine:3.20"


def test_a_file_that_is_too_large_for_a_list_has_the_form_of_a_list_as_a_hint(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="larger than") as caught:
        read(tmp_path, bytes(5 << 20))
    assert "a list of images is a text file" in str(caught.value.hint)
    with pytest.raises(StorageError) as caught:
        lists.read_images([str(tmp_path / "missing")])
    assert caught.value.hint is None


def test_a_hint_that_several_mistakes_have_is_shown_once(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SeveralImagesError) as caught:
        read(tmp_path, "- image: a\n- image: b\n\nx --name y --name z\nw v\n")
    report(caught.value, Display(sys.stderr), "")
    said = capsys.readouterr().err
    assert said.count("after the image is neither") == 3
    assert said.count("hint: write one image in each line; # begins a comment") == 1
    assert said.count("hint: list the image once for each name") == 1
