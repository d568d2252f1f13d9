"""The value of a text on the command line or in the environment.

Numbers are plain decimal: ASCII digits without a sign, an underscore or a leading zero.  A number is compared with its
bounds as a whole.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from imgfetch import errors
from imgfetch.defaults import LONGEST_WAIT, PROGRESS
from imgfetch.text import quoted

if TYPE_CHECKING:
    from imgfetch.oci.platforms import Platform
    from imgfetch.oci.reference import Reference

_WHOLE = "(0|[1-9][0-9]{0,18})"  # Python refuses to convert thousands of digits
_FRACTION = r"(?:\.([0-9]{1,3}))?"
_MAX_SIZE = 2**63 - 1
_MAX_SPAN = 999_999 * 86400


def reference(text: str) -> Reference:
    """Read an image's name."""
    from imgfetch.oci.reference import Reference  # noqa: PLC0415

    try:
        return Reference.parse(text)
    except errors.InvalidReferenceError as error:
        raise argparse.ArgumentTypeError(_with_hint(error)) from None


def platform(text: str) -> Platform:
    """Read a platform."""
    from imgfetch.oci.platforms import Platform  # noqa: PLC0415

    try:
        return Platform.parse(text)
    except errors.InvalidPlatformError as error:
        raise argparse.ArgumentTypeError(_with_hint(error)) from None


def file_or_reference(text: str) -> str | Reference:
    """Read a file, or an image's name."""
    from imgfetch.archive.compressed import looks_like_file  # noqa: PLC0415

    return text if looks_like_file(text) else reference(text)


def platforms(text: str) -> list[Platform]:
    """Read platforms with commas between, each once."""
    return list(dict.fromkeys(platform(part) for part in text.split(",")))


def name(text: str) -> Reference:
    """Read a name with no digest."""
    named = reference(text)
    if named.digest:
        raise argparse.ArgumentTypeError(f"{quoted(text)} has a digest, which a name in an archive cannot have")
    return named


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a function that reads a whole number within bounds."""

    def read(text: str) -> int:
        if not re.fullmatch(_WHOLE, text) or not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{quoted(text)} is not a plain decimal number from {least} to {most}")
        return int(text)

    return read


def seconds(text: str) -> float:
    """Read a time in seconds."""
    if not re.fullmatch(_WHOLE + _FRACTION, text) or not 0 < float(text) <= LONGEST_WAIT:
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is not a plain decimal number of seconds above 0 and up to {LONGEST_WAIT:.0f}"
        )
    return float(text)


def size(text: str) -> int:
    """Read a number of bytes."""
    match = re.fullmatch(rf"{_WHOLE}{_FRACTION} ?([kKMGT]i?)?B?", text)
    if match:
        number, fraction, unit = match[1], match[2] or "", (match[3] or "").upper()
        power = "KMGT".index(unit[0]) + 1 if unit else 0
        count = int(number + fraction) * (1024 if unit.endswith("I") else 1000) ** power // 10 ** len(fraction)
        if count <= _MAX_SIZE:
            return int(count)
    raise argparse.ArgumentTypeError(f"{quoted(text)} is not a size below 8 EiB, such as 500MB or 10GiB")


def span(text: str) -> int:
    """Read a time in seconds, such as 12h."""
    match = re.fullmatch(rf"{_WHOLE}(s|min|h|d)", text)
    if match:
        length = int(match[1]) * {"s": 1, "min": 60, "h": 3600, "d": 86400}[match[2]]
        if length <= _MAX_SPAN:
            return length
    raise argparse.ArgumentTypeError(f"{quoted(text)} is not a time up to 999999d, such as 90min, 12h or 30d")


def override(text: str) -> tuple[str, str]:
    """Read a token server as announced, and the one to ask."""
    from imgfetch.http.origin import Origin  # noqa: PLC0415

    announced, equals, url = text.partition("=")
    try:
        if announced and equals and Origin.of(url) and not urlsplit(url).path.strip("/"):
            return announced.lower(), url
    except errors.TransportError:
        pass
    # What stands behind the sign may hold a password by mistake (S13).
    raise argparse.ArgumentTypeError(f"{quoted(announced)}=… is not HOST[:PORT]=http[s]://HOST[:PORT]")


def overrides(text: str) -> list[tuple[str, str]]:
    """Read several of those with spaces between."""
    return [override(part) for part in text.split()]


def progress(text: str) -> str:
    """Read a name of a display."""
    if text not in PROGRESS:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not one of {', '.join(PROGRESS)}")
    return text


def flag(text: str) -> bool:
    """Read 0 or 1."""
    if text not in ("0", "1"):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is not 0 or 1")
    return text == "1"


def _with_hint(error: errors.ImgfetchError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)
