"""The ``Retry-After`` header, in both of its forms.

Source: RFC 9110, section 10.2.3: ``Retry-After = HTTP-date / delay-seconds``.
"""

from __future__ import annotations

import time
from email.utils import mktime_tz, parsedate_tz

MAX_DIGITS = 12


def parse(text: str, now: float | None = None) -> float | None:
    """Return the seconds to wait, or ``None`` where the header is absent, in the past, or says nothing (2.0).

    Args:
        text: the header's value.
        now: seconds since 1970; by default the time that it is.
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text) if len(text) <= MAX_DIGITS else None
    try:
        parsed = parsedate_tz(text)
        if parsed is None:
            return None
        seconds = mktime_tz(parsed) - (time.time() if now is None else now)
    except (ValueError, OverflowError, TypeError, IndexError, AttributeError):
        return None
    return seconds if seconds > 0 else None
