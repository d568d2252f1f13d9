"""Lists of references, for ``--images``."""

from __future__ import annotations

import pytest

from imgfetch.cli import context
from imgfetch.errors import InvalidReferenceError


def test_a_list_has_comments_blank_lines_and_a_byte_order_mark() -> None:
    lines = ["\ufeffquay.io/x/y:1 # the first\r\n", "\n", "   # nothing\n", "\tz\n"]
    assert list(map(str, context.read_list(lines, "list"))) == ["quay.io/x/y:1", "docker.io/library/z"]


@pytest.mark.parametrize(
    ("lines", "said"),
    [(["x", "two words"], "line 2 of list"), (["x" * 20_000], "too long"), (["\x1b[31m"], "line 1 of list")],
    ids=["words", "long", "escape"],
)
def test_a_bad_line_is_told_with_its_number_and_no_control_characters(lines: list[str], said: str) -> None:
    with pytest.raises(InvalidReferenceError, match=said) as raised:
        context.read_list(lines, "list")
    assert "\x1b" not in str(raised.value)


def test_there_is_an_end_to_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(context, "MAX_LINES", 2)
    with pytest.raises(InvalidReferenceError, match="too long"):
        context.read_list(["x", "y", "z"], "list")
