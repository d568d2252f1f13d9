"""The ``Content-Range`` header of a 206.

Source: RFC 9110, section 14.4: ``bytes first-last/(complete-length / "*")``.
"""

from __future__ import annotations

import re

_PATTERN = re.compile(r"bytes[ \t]+([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19}|\*)", re.IGNORECASE)


def is_rest(values: list[str], offset: int, size: int) -> bool:
    """Tell whether a 206 holds exactly what follows the first ``offset`` of ``size`` bytes (F48).

    Args:
        values: each ``Content-Range`` line of the answer; there must be one.
        offset: the first byte that was asked for.
        size: the whole length that is expected.
    """
    match = _PATTERN.fullmatch(values[0].strip()) if len(values) == 1 else None
    if match is None:
        return False
    first, last, length = int(match[1]), int(match[2]), match[3]
    return first == offset and last == size - 1 and first <= last and (length == "*" or int(length) == size)
