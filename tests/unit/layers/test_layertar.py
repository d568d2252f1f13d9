from __future__ import annotations

import random

import pytest

from imgfetch.errors import VerificationError
from imgfetch.layers import extraction, layertar, tree
from imgfetch.layers.layertar import LayerTar
from tests.headers import GNU, NO_NUMBERS, checked, entry, header
from tests.images import tar
from tests.odd_tars import END, NONE, TARS, files


def followed(content: bytes, step: int) -> str:
    """Follow a tar that arrives in pieces; return what is odd about it."""
    follower = LayerTar()
    for start in range(0, len(content), step):
        follower.feed(content[start : start + step])
    return follower.finish()


@pytest.mark.parametrize("step", [7, 512, 10**7])
@pytest.mark.parametrize("name", TARS)
def test_a_tar_is_judged_as_by_the_readers_wherever_it_is_cut(name: str, step: int) -> None:
    odd = TARS[name]
    content = files("first") + odd.content
    if len(content) > 10**5:
        step = max(step, 1000)
    if odd.is_refused:
        with pytest.raises(VerificationError, match=r"^its tar cannot be extracted: ") as caught:
            followed(content, step)
        assert odd.says in str(caught.value)
    elif odd.refuse == NONE:
        assert followed(content, step) == ""
    else:
        assert odd.says in followed(content, step)


def test_a_whole_tar_may_be_empty() -> None:
    assert followed(b"", 1) == ""
    assert followed(END, 100) == ""


@pytest.mark.parametrize("field", ["mode", "owner", "group", "size", "time"])
@pytest.mark.parametrize("value", [value for value in NO_NUMBERS if value != b"5\x005"])
def test_a_number_in_another_form_is_refused(field: str, value: bytes) -> None:
    with pytest.raises(VerificationError, match="a number in a header is malformed"):
        followed(header(b"a", {field: value}) + END, 10**6)


def test_a_header_is_read_alike_in_the_short_way_and_in_the_long_one() -> None:
    rng = random.Random(1)
    blocks = [tar({"some/file": b"x"})[:512], header(b"a", {"magic": GNU}), header(b"a", {"prefix": b"p"}), header()]
    read = 0
    for _ in range(5000):
        changed = bytearray(rng.choice(blocks))
        for _ in range(rng.randrange(3)):
            changed[rng.randrange(512)] = rng.choice(b"\0 079a\xff")
        block = checked(bytes(changed))
        usual = layertar._usual(block)
        if usual is not None:
            read += 1
            assert usual == layertar._header(block), block
    assert read > 1000


def test_names_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "_MAX_NAMES", 10)
    monkeypatch.setattr(tree, "_MAX_NAMES", 10)
    many = b"".join(entry(b"%d" % number) for number in range(20))
    link = header(b"link", {"type": b"1", "link": b"19"})
    follower = LayerTar()
    follower.feed(many + link + END)
    assert follower.finish() == ""
    assert len(follower._entries._names) == len(follower._entries._tree) == 10


def test_targets_are_remembered_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "_MAX_TARGETS", 100)
    links = b"".join(header(b"s%d" % number, {"type": b"2", "link": b"nowhere"}) for number in range(50))
    assert "lies below a link" in followed(links + header(b"s0/x") + END, 10**6)
    assert followed(links + header(b"s49/x") + END, 10**6) == ""
    follower = LayerTar()
    follower.feed(links)
    assert sum(map(len, follower._entries._tree._kinds.values())) < 200


def test_links_are_followed_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    link = header(b"s", {"type": b"2", "link": b"nowhere"})
    many = link + header(b"s/x") + header(b"y") + header(b"s/z")
    monkeypatch.setattr(tree, "_MAX_STEPS", 1)
    assert followed(many + END, 10**6) == ""


def test_long_paths_are_followed_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    below = entry(b"f") + entry(b"f/" + b"x" * 90 + b"/y")
    paths = b"".join(entry(b"%d/" % number + b"x" * 90 + b"/y") for number in range(10))
    monkeypatch.setattr(tree, "_MAX_STEPS", 60)
    monkeypatch.setattr(tree, "_STEP", 10)
    with pytest.raises(VerificationError, match="lies below something that is not a directory"):
        followed(below + END, 10**6)
    assert followed(paths + below + END, 10**6) == ""


def test_records_of_extended_headers_are_read_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layertar, "_MAX_RECORDS", 10)
    five = header(b"pax", {"type": b"x", "size": b"%011o\0" % 25}) + b"5 a=\n" * 5 + bytes(512 - 25)
    assert followed(five + entry(b"x") + five + entry(b"y") + END, 10**6) == ""
    with pytest.raises(VerificationError, match="its PAX headers have more than 10 records"):
        followed((five + entry(b"x")) * 3 + END, 10**6)


def test_a_directory_that_is_replaced_is_not_taken_for_what_it_was() -> None:
    replaced = entry(b"d", kind=b"5") + entry(b"d/f") + entry(b"d") + entry(b"d", kind=b"5")
    assert "two entries" in followed(replaced + entry(b"d/f/x") + END, 10**6)
