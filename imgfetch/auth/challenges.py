"""Parser of the ``WWW-Authenticate`` header (RFC 9110, sections 5.6 and 11.6.1).

It follows the grammar because registries and the proxies in front of them send several challenges in one line or in
several, quote commas, and spell names in any case (docs/registries.md#challenges)::

    challenges  := challenge { "," challenge }
    challenge   := scheme [ token68 | parameter { "," parameter } ]
    parameter   := token "=" ( token | quoted-string )
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from imgfetch.text import ServerText

MAX_HEADER = 64 * 1024
"""The most characters that are read, of all lines together."""

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_SEPARATORS = re.compile(r"[\s,]*")
_PARAMETER = re.compile(rf"({_WORD})[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"|({_WORD}|[^\s,\"]+))(?=[\s,]|$)")
_SCHEME = re.compile(rf"({_WORD})(?:[ \t]+(?=\S)|(?=[\s,]|$))")
_TOKEN68 = re.compile(r"([A-Za-z0-9\-._~+/]+=*)(?=[ \t]*(?:,|$))")
_ESCAPE = re.compile(r"\\(.)")
_NEXT = re.compile(r"[^,]*")


class Challenge(NamedTuple):
    """One way to authenticate.

    Attributes:
        scheme: lower-case, such as ``bearer``.
        parameters: by lower-case name, such as ``realm``; the first of two wins.
    """

    scheme: str
    parameters: Mapping[str, ServerText] = {}

    def parameter(self, name: str) -> ServerText:
        """Return a parameter, or an empty text."""
        return self.parameters.get(name, ServerText(""))


def parse(lines: Sequence[ServerText]) -> tuple[Challenge, ...]:
    """Return all challenges in a header's lines; malformed parts are skipped."""
    challenges: list[Challenge] = []
    left = MAX_HEADER
    for line in (each.as_sent for each in lines):
        challenges += _parse_line(line[:left])
        left = max(left - len(line), 0)
    return tuple(challenges)


def _parse_line(line: str) -> list[Challenge]:
    challenges: list[Challenge] = []
    position = _skip(_SEPARATORS, line, 0)
    while position < len(line):
        match = _SCHEME.match(line, position)
        if match is None:
            position = _skip(_SEPARATORS, line, max(_skip(_NEXT, line, position), position + 1))
            continue
        parameters, position = _parse_parameters(line, match.end())
        challenges.append(Challenge(match[1].lower(), parameters))
    return challenges


def _parse_parameters(line: str, position: int) -> tuple[dict[str, ServerText], int]:
    parameters: dict[str, ServerText] = {}
    token68 = _TOKEN68.match(line, position)
    if token68 is not None and line[position - 1 : position].isspace():
        return parameters, _skip(_SEPARATORS, line, token68.end())
    position = _skip(_SEPARATORS, line, position)
    while (match := _PARAMETER.match(line, position)) is not None:
        quoted, plain = match[2], match[3]
        value = plain if quoted is None else _ESCAPE.sub(r"\1", quoted)
        parameters.setdefault(match[1].lower(), ServerText(value))
        position = _skip(_SEPARATORS, line, match.end())
    return parameters, position


def _skip(pattern: re.Pattern[str], line: str, position: int) -> int:
    match = pattern.match(line, position)
    return match.end() if match else position
