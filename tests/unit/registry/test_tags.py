"""A page of a list of tags has what can be a tag, and its Link leads to the next one."""

from __future__ import annotations

import json

import pytest

from imgfetch.registry.tags import Page

NEXT = "/v2/x/tags/list?last=1"


@pytest.mark.parametrize(
    ("links", "following"),
    [
        ([], ""),
        ([f'<{NEXT}>; rel="next"'], NEXT),
        ([f"<{NEXT}>;REL=Next"], NEXT),
        ([f"<http://inside.example{NEXT}>; rel=next"], NEXT),
        ([f'</style>; rel=preload, <{NEXT}>; rel="next"'], NEXT),
        (["</style>; rel=preload", f'<{NEXT}>; rel="next"'], NEXT),
        ([f'<{NEXT}>; title="one, two; a=b"; rel="next"'], NEXT),
        ([f'<{NEXT};a=b>; rel="next"'], f"{NEXT};a=b"),
        ([f'<{NEXT}>; rel="prev"'], ""),
        (['<https://elsewhere.example/next>; rel="next"'], ""),
        ([f'<{NEXT}>; title="no end, rel=next'], ""),
    ],
)
def test_the_next_page_is_where_the_link_says(links: list[str], following: str) -> None:
    page = Page.parse(b'{"name": "x", "tags": ["1"]}', links, "https://registry.example", "the list")
    assert page.following == following


def test_tags_are_what_a_tag_can_be() -> None:
    raw = json.dumps({"name": "x", "tags": ["1", "a" * 129, "-x", "1"]}).encode()
    assert Page.parse(raw, [], "https://registry.example", "the list").tags == ("1", "1")
