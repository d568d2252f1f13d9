"""Rules that rewrite an image's name, as Go's ``Regexp.ReplaceAllString`` applies them."""

from __future__ import annotations

import re
import warnings
from typing import NamedTuple

from imgfetch.errors import UnsupportedError
from imgfetch.text import quoted

_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))", re.ASCII)
# Classes of POSIX and Unicode, quoted text, ends of a text, repetitions without a least number, flags and groups that
# only one of them has; and repeated groups, of which Go does not keep an empty repetition.
_UNLIKE = re.compile(r"\[\[:|\)[*+{]|\\[pPQEzZC]|\{,|\(\?[^)]*U|\(\?[=!>]|\(\?<[=!]|\(\?\(")


class Rewrite(NamedTuple):
    """A pattern, and the replacement of all its matches, with ``$1``, ``${1}`` and ``${name}`` for groups."""

    pattern: re.Pattern[str]
    replacement: str

    def apply(self, text: str) -> str:
        """Return the text with all matches replaced.

        Unlike in Python, no match is empty at the end of another one, and none begins where an empty one was.
        """
        pieces: list[str] = []
        end = position = 0
        while position <= len(text) and (match := self.pattern.search(text, position)):
            is_counted = match.end() > end or match.start() == 0
            pieces += [text[end : match.start()], self._expanded(match) if is_counted else ""]
            end = match.end()
            position = max(position + 1, end)
        return "".join([*pieces, text[end:]])

    def _expanded(self, match: re.Match[str]) -> str:
        groups = {str(number): text or "" for number, text in enumerate((match[0], *match.groups()))}
        groups |= {name: text or "" for name, text in match.groupdict().items()}
        return _VARIABLE.sub(lambda found: found[1] or groups.get(found[2] or found[3], ""), self.replacement)


def parse_rewrite(pattern: str, replacement: str) -> Rewrite:
    """Compile a rule.

    Raises:
        UnsupportedError: the pattern is malformed, or has another meaning in Go than in Python.
    """
    try:
        if _UNLIKE.search(pattern):
            raise UnsupportedError(f"imgfetch cannot use the pattern {quoted(pattern)}")
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return Rewrite(re.compile(pattern, re.ASCII), replacement)
    except (re.error, Warning, OverflowError, RecursionError):
        raise UnsupportedError(f"the pattern {quoted(pattern)} is malformed") from None
