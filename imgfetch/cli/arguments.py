"""What a text on the command line or in the environment stands for.

What it is read as is imported when there is one, for help should not wait for it.
"""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

from imgfetch import errors
from imgfetch.archive import ustar
from imgfetch.defaults import LONGEST_WAIT, PROGRESS
from imgfetch.text import quoted

if TYPE_CHECKING:
    from imgfetch.oci.platforms import Platform
    from imgfetch.oci.reference import Reference

MAX_JOBS = 64
MAX_RETRIES = 100


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


def base(text: str) -> str | Reference:
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
        raise argparse.ArgumentTypeError(f"{quoted(text)} has a digest, which is no name in an archive")
    return named


def jobs(text: str) -> int:
    """Read a number of jobs."""
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_JOBS):  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number from 1 to {MAX_JOBS}")
    return int(text)


def retries(text: str) -> int:
    """Read a number of attempts."""
    if not (text.isascii() and text.isdigit() and int(text[:4]) <= MAX_RETRIES and len(text) < 9):  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number from 0 to {MAX_RETRIES}")
    return int(text)


def seconds(text: str) -> float:
    """Read a time in seconds."""
    match = re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text)
    if match is None or not 0 < float(text) <= LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number of seconds up to {LONGEST_WAIT:.0f}")
    return float(text)


def size(text: str) -> int:
    """Read a number of bytes."""
    match = re.fullmatch(r"([0-9]{1,15})(?:\.([0-9]{1,3}))? ?([kKMGT]i?)?B?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no size, such as 500MB or 10GiB")
    whole, part, unit = match[1], match[2] or "", (match[3] or "").upper()
    power = "KMGT".index(unit[0]) + 1 if unit else 0
    base = 1024 if unit.endswith("I") else 1000
    return int(int(f"{whole}{part}") * base**power // 10 ** len(part))


def span(text: str) -> int:
    """Read a time in seconds, such as 12h."""
    match = re.fullmatch(r"([0-9]{1,6})(s|min|h|d)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no time, such as 90min, 12h or 30d")
    return int(match[1]) * {"s": 1, "min": 60, "h": 3600, "d": 86400}[match[2]]


def override(text: str) -> tuple[str, str]:
    """Read a token server as announced, and the one to ask."""
    from urllib.parse import urlsplit  # noqa: PLC0415

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
        raise argparse.ArgumentTypeError(f"{quoted(text)} is none of {', '.join(PROGRESS)}")
    return text


def flag(text: str) -> bool:
    """Read 0 or 1."""
    if text not in ("0", "1"):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is neither 0 nor 1")
    return text == "1"


def epoch(text: str) -> int:
    """Read seconds since 1970."""
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= ustar.MAX_OCTAL):  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number of seconds since 1970 that fits in a tar")
    return int(text)


def _with_hint(error: errors.ImgfetchError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)
