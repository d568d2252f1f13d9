"""Changes of single members in the text of a JSON object; all other characters stay as they are.

So numbers, duplicate names, escapes, line ends and indentation of other programs survive.  The text must be valid JSON.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import NamedTuple

_SPACE = re.compile(r"[ \t\r\n]*")
_decode = json.JSONDecoder(parse_int=str, parse_float=str).raw_decode


class Member(NamedTuple):
    """A member of an object: its name, and the positions of the name, the value and the value's end."""

    name: str
    begin: int
    start: int
    end: int


def members(text: str, at: int) -> list[Member]:
    """Return the members of the object that begins at a position."""
    found = []
    at = _after_space(text, at + 1)
    while text[at] != "}":
        name, end = _decode(text, at)
        start = _after_space(text, _after_space(text, end) + 1)
        _, end = _decode(text, start)
        found.append(Member(name, at, start, end))
        at = _after_space(text, end)
        if text[at] == ",":
            at = _after_space(text, at + 1)
    return found


def put(text: str, at: int, name: str, value: object, *, indent: str = "", unit: str = "\t") -> str:
    """Return a text in which the object at a position has a member.

    ``indent`` is that of the line with the object's closing brace, and ``unit`` that of one level, for new lines.
    """
    several = members(text, at)
    gap = text[at + 1 : several[0].begin] if several else f"\n{indent}{unit}"
    shown = json.dumps(value, indent=unit).replace("\n", gap) if "\n" in gap else json.dumps(value)
    own = [member for member in several if member.name == name]
    for member in reversed(own):
        text = f"{text[: member.start]}{shown}{text[member.end :]}"
    if own:
        return text
    added = f"{json.dumps(name)}: {shown}"
    if several:
        end = several[-1].end
        return f"{text[:end]},{gap or ' '}{added}{text[end:]}"
    return f"{text[: at + 1]}{gap}{added}\n{indent}{text[text.index('}', at) :]}"


def without(text: str, at: int, is_removed: Callable[[str], bool]) -> str:
    """Return a text in which the object at a position lacks the members with some names."""
    several = members(text, at)
    for index in reversed(range(len(several))):
        if is_removed(several[index].name):
            if index:
                start, end = several[index - 1].end, several[index].end
            else:
                start, end = several[0].begin, several[1].begin if len(several) > 1 else several[0].end
            text = text[:start] + text[end:]
            several = members(text, at)
    return text


def _after_space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None  # noqa: S101  # it matches nothing, too
    return match.end()
