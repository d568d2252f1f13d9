"""A page of a list of tags has what can be a tag, and its Link leads to the next page or to an error."""

from __future__ import annotations

import json

import pytest

from imgfetch.errors import RegistryError
from imgfetch.registry import links, tags
from imgfetch.registry.tags import listed, parse_page
from imgfetch.text import ServerText

BASE = "https://registry.example"
LIST = "/v2/x/tags/list"
NEXT = f"{LIST}?last=1"


def following(*lines: str, address: str = BASE + LIST, base: str = BASE) -> str:
    return links.Page(base, f"{LIST}?n=5", address, "the list").following(map(ServerText, lines))


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        ([], ""),
        ([f'<{NEXT}>; rel="next"'], NEXT),
        ([f"<{NEXT}>;REL=Next"], NEXT),
        ([f"<{NEXT}>; rel = next"], NEXT),
        ([f'<{NEXT}>; rel="prev next"'], NEXT),
        (['<?last=1&n=100>; rel="next"'], f"{LIST}?last=1&n=100"),
        (['<list?last=1>; rel="next"'], NEXT),
        (['<./list?last=1>; rel="next"'], NEXT),
        ([f'<//registry.example{NEXT}>; rel="next"'], NEXT),
        ([f'{NEXT}; rel="next"'], NEXT),
        (["?last=1; rel=next"], NEXT),
        ([f"{BASE}{NEXT};rel=next"], NEXT),
        ([f'< {NEXT} >; rel="next"'], NEXT),
        ([f"<http://inside.example{NEXT}>; rel=next"], NEXT),
        ([f"<http://inside.example:8081/artifactory/api{NEXT}>; rel=next"], NEXT),
        ([f"<http://registry.example{NEXT}>; rel=next"], NEXT),
        (["</page/2>; rel=next"], "/page/2"),
        ([f'</style>; rel=preload, <{NEXT}>; rel="next"'], NEXT),
        (["</style>; rel=preload", f'<{NEXT}>; rel="next"'], NEXT),
        ([f'<{NEXT}>; title="one, two; a=b"; rel="next"'], NEXT),
        ([f'</style>; title="a, b"; rel=preload, <{NEXT}>; rel="next"'], NEXT),
        ([f'<{NEXT}>; title="a \\", b"; rel="next"'], NEXT),
        ([f'<{NEXT},2;a=b>; rel="next"'], f"{NEXT},2;a=b"),
        ([f'<{NEXT}#part>; rel="next"'], NEXT),
        ([f'<{NEXT}>; rel="prev"'], ""),
        ([f'<{NEXT}>; rel="prev"; rel="next"'], ""),
        ([f'<{NEXT}>; title="the end; rel=next"'], ""),
        ([f"<{NEXT}>"], ""),
        (['</style>; rel=preload; title="no end'], ""),
    ],
)
def test_the_next_page_is_where_the_link_says(lines: list[str], path: str) -> None:
    assert following(*lines) == path


def test_a_relative_link_belongs_to_the_address_that_sent_the_page() -> None:
    there = "https://registry.example/mirror/v2/x/tags/list?n=5"
    assert following("<?last=1>; rel=next", address=there) == f"/mirror{NEXT}"
    assert following("<?last=1>; rel=next", address="https://cdn.example/v2/x/tags/list") == NEXT


@pytest.mark.parametrize(
    "target", ["?last=1", "/v2/org/x/tags/list?last=1", "https://inside.example/v2/org/x/tags/list?last=1"]
)
def test_a_list_with_another_path_behind_a_redirect_is_requested_by_its_own(target: str) -> None:
    address = "https://moved.example/v2/org/x/tags/list?n=5"
    assert following(f"<{target}>; rel=next", address=address) == NEXT


def test_a_registry_below_a_path_is_asked_below_it() -> None:
    base = f"{BASE}/docker"
    assert following(f"</docker{NEXT}>; rel=next", address=base + LIST, base=base) == NEXT
    assert following(f"<{NEXT}>; rel=next", address=base + LIST, base=base) == NEXT


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("<https://elsewhere.example/next>; rel=next", "leads elsewhere, to https://elsewhere.example/next"),
        ("<https://elsewhere.example/v2/y/tags/list?last=1>; rel=next", "leads elsewhere"),
        ("<page/2>; rel=next", "leads elsewhere"),
        ("<ftp://registry.example/v2/x/tags/list>; rel=next", "leads elsewhere"),
        (f"<https://registry.example.evil.example{NEXT[4:]}>; rel=next", "leads elsewhere"),
        (f"<{NEXT}; rel=next", "malformed"),
        (f"{NEXT}>; rel=next", "malformed"),
        ("<>; rel=next", "malformed"),
        ("<https://[::1/next>; rel=next", "malformed"),
        (f"<{NEXT} HTTP/1.1\r\nX: y>; rel=next", "malformed"),
        (f"<{LIST}?last={'1' * 4000}>; rel=next", "malformed"),
        (f'<{NEXT}>; title="no end, rel=next', "malformed"),
        ("a" * (links.MAX_HEADER + 1), "exceeds 65536 bytes"),
    ],
)
def test_a_next_page_that_cannot_be_requested_is_an_error(line: str, says: str) -> None:
    address = "https://cdn.example/another/path" if line.startswith("<page") else BASE + LIST
    with pytest.raises(RegistryError, match="cannot read the next page of the list") as caught:
        following(line, address=address)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "piece", ["<", ">", "<>", "<,", '"', '\\"', '"\\', '<"', ",", ";", ";rel=", ',"', "<a", 'a="\\";', "\xff"], ids=repr
)
def test_each_character_of_a_link_is_looked_at_a_few_times_only(piece: str) -> None:
    """A pattern that looks at the rest again from each place would take minutes."""
    header = f"{piece * links.MAX_HEADER}"[: links.MAX_HEADER]
    for start in ("", "<", '"', "</v2/x>; a="):
        assert following((start + header)[: links.MAX_HEADER]) == ""


def test_tags_are_what_a_tag_can_be() -> None:
    raw = json.dumps({"name": "x", "tags": ["1", "a" * 129, "-x", "1"]}).encode()
    assert parse_page(raw, "the list") == ("1", "1")


def test_a_list_ends_with_its_last_page() -> None:
    pages = {"/1": tags.Page(("a",), "", "/2"), "/2": tags.Page((), "", "/3"), "/3": tags.Page(("b",), "", "")}
    assert list(listed(pages.__getitem__, "/1", "the list")) == ["a", "b"]


@pytest.mark.parametrize("way", ["itself", "the first page", "the page before"])
def test_a_page_that_leads_to_an_earlier_one_is_an_error(way: str) -> None:
    last = {"itself": "/3", "the first page": "/1", "the page before": "/2"}[way]
    pages = {"/1": tags.Page(("a",), "", "/2"), "/2": tags.Page(("b",), "", "/3"), "/3": tags.Page((), "", last)}
    requests = iter(range(9))
    with pytest.raises(RegistryError, match="does not end"):
        list(listed(lambda path: (next(requests), pages[path])[1], "/1", "the list"))


@pytest.mark.parametrize(
    ("page", "says"),
    [
        (("a",) * 1000, f"more than {tags.MAX_TAGS} tags"),
        (("a" * 128,) * 1000, f"more than {tags.MAX_CHARACTERS} characters"),
        ((), "10000 pages received"),
    ],
    ids=["tags", "characters", "empty pages"],
)
def test_a_list_without_an_end_is_an_error(page: tuple[str, ...], says: str) -> None:
    numbers = iter(range(10**9))
    found: list[str] = []
    with pytest.raises(RegistryError, match=says):
        found.extend(listed(lambda _: tags.Page(page, "", f"/{next(numbers)}"), "/", "the list"))
    assert len(found) <= tags.MAX_TAGS
