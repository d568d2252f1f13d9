"""Types of JSON values as Go's ``encoding/json`` decodes them into a struct.

Null is none of them: Go leaves a member that is null as it was, which is the same as absent.
Sources: Go's ``encoding/json``, ``time.Parse`` and ``time.Time.UnmarshalJSON``, from Go 1.19 to 1.27.
"""

from __future__ import annotations

import calendar
import re

from imgfetch.oci.strictjson import every_member

MARK = "\ufffe"
"""Stands for the backslash of an escape in a string that `marked` has kept."""
_MIN_INT64, _MAX_INT64 = -(2**63), 2**63 - 1
_MONTHS, _HOURS, _MINUTES = 12, 24, 60
_TIME = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d)T(?P<hour>\d\d?):(?P<minute>\d\d):(?P<second>\d\d)(?:[.,]\d+)?"
    r"(?:Z|[+-](?P<zone_hour>\d\d):(?P<zone_minute>\d\d))",
    re.ASCII,
)


def marked(raw: bytes) -> bytes:
    """Return JSON with strings that keep their escapes, except those of quotation marks and backslashes."""
    return re.sub(rb'\\([^"\\])|\\.', lambda found: MARK.encode() + found[1] if found[1] else found[0], raw)


def unmarked(text: str) -> str:
    """Return a text with the escapes in the form of the document."""
    return text.replace(MARK, "\\")


def is_object(value: object) -> bool:
    """Return whether Go reads it as a struct."""
    return isinstance(value, dict)


def is_array(value: object) -> bool:
    """Return whether Go reads it as a slice, if the items are right."""
    return isinstance(value, list)


def is_text(value: object) -> bool:
    """Return whether Go reads it as a string."""
    return isinstance(value, str)


def is_flag(value: object) -> bool:
    """Return whether Go reads it as a bool."""
    return isinstance(value, bool)


def is_integer(value: object) -> bool:
    """Return whether Go reads it as an int64, which 1.0 and 1e3 are not."""
    return isinstance(value, int) and not isinstance(value, bool) and _MIN_INT64 <= value <= _MAX_INT64


def are_texts(value: object) -> bool:
    """Return whether Go reads it as a slice of strings."""
    return isinstance(value, list) and all(item is None or isinstance(item, str) for item in value)


def are_words(value: object) -> bool:
    """Return whether docker's ``strslice`` reads it."""
    return isinstance(value, str) or are_texts(value)


def is_set(value: object) -> bool:
    """Return whether Go reads it as a map of empty structs."""
    return isinstance(value, dict) and all(item is None or isinstance(item, dict) for _, item in every_member(value))


def is_map(value: object) -> bool:
    """Return whether Go reads it as a map of strings."""
    return isinstance(value, dict) and all(item is None or isinstance(item, str) for _, item in every_member(value))


def has_name_of_podman(value: object) -> bool:
    """Return whether podman reads the name of an architecture, perhaps with a variant, back from its own text."""
    return re.fullmatch(r"[\w.-]*(/[\w.-]+)?", str(value), re.ASCII) is not None


def is_time(value: object) -> bool:
    """Return whether some version of Go reads it as a time, if the offset from UTC and escapes do not matter."""
    match = _matched(value)
    if match is None:
        return False
    year, month, day = int(match["year"]), int(match["month"]), int(match["day"])
    if not 1 <= month <= _MONTHS or not 1 <= day <= calendar.monthrange(year, month)[1]:
        return False
    return int(match["hour"]) < _HOURS and int(match["minute"]) < _MINUTES and int(match["second"]) < _MINUTES


def has_no_escape(value: object) -> bool:
    """Return whether Go before 1.27 reads a time, which compares the document's own characters."""
    return MARK not in str(value)


def has_known_offset(value: object) -> bool:
    """Return whether Go 1.20 and later read a time; earlier versions accept any offset."""
    hour, minute = _offset(value)
    return hour <= _HOURS and minute <= _MINUTES


def has_usual_offset(value: object) -> bool:
    """Return whether Go can write a time that it has read."""
    hour, minute = _offset(value)
    return hour < _HOURS and minute < _MINUTES


def _offset(value: object) -> tuple[int, int]:
    match = _matched(value)
    return (int(match["zone_hour"] or 0), int(match["zone_minute"] or 0)) if match else (0, 0)


def _matched(value: object) -> re.Match[str] | None:
    text = value if isinstance(value, str) else ""
    return _TIME.fullmatch(re.sub(f"{MARK}u([0-9a-fA-F]{{4}})", lambda found: chr(int(found[1], 16)), text))
