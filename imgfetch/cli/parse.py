"""Convert texts on the command line and in the environment to values.

Numbers are plain decimal: ASCII digits without a sign, an underscore or a leading zero.  A number is compared with its
bounds as a whole.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from imgfetch import errors
from imgfetch.defaults import LONGEST_WAIT, MIN_RATE, ZSTD_WINDOWS
from imgfetch.text import closest, did_you_mean, quoted

if TYPE_CHECKING:
    from imgfetch.archive.wanted import Wanted
    from imgfetch.oci.platforms import Platform
    from imgfetch.oci.reference import Reference

_WHOLE = "(0|[1-9][0-9]{0,18})"  # Python refuses to convert thousands of digits
_FRACTION = r"(?:\.([0-9]{1,3}))?"
_HOST = re.compile(r"(?!\.)[^/]*[.:][^/]*/|localhost/")
_ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.zst")
_BARE_REGISTRY = re.compile(r"(?:localhost|[^/@:]*\.[^/@:]*|\[[^/@]*\]):[0-9]{2,5}/?")
_MAX_SIZE = 2**63 - 1
_MAX_SPAN = 999_999 * 86400
_MAX_SHARDS = 10_000  # as many as a list has lines


def image(text: str) -> Reference:
    """Convert the name of an image, unless a file has that name."""
    if _is_here(text) and not is_archive(text):
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} is a file here; did you mean -i {quoted(text)}? For an image, write its registry as well"
        )
    if is_archive(text):
        raise argparse.ArgumentTypeError(
            f"{quoted(text)} looks like a file, not an image; to write it, use -o {quoted(text)}"
        )
    return reference(text)


def reference(text: str) -> Reference:
    """Convert the name of an image or a repository."""
    from imgfetch.oci.reference import Reference  # noqa: PLC0415

    if is_archive(text):
        raise argparse.ArgumentTypeError(f"{quoted(text)} looks like a file, not an image")
    if _BARE_REGISTRY.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is only a registry; write {text.rstrip('/')}/REPOSITORY")
    try:
        return Reference.parse(text)
    except errors.InvalidReferenceError as error:
        raise argparse.ArgumentTypeError(_with_hint(error)) from None


def registry(text: str) -> str:
    """Convert the name of a registry, which may be a URL."""
    from imgfetch.oci.reference import DOCKER_HUB, parse_location  # noqa: PLC0415

    name = re.sub("^https?://", "", text).rstrip("/")
    if name in ("index.docker.io/v1", "index.docker.io", "registry-1.docker.io"):
        return DOCKER_HUB
    try:
        found, path = parse_location(f"{name}/x")
    except errors.InvalidReferenceError as error:
        raise argparse.ArgumentTypeError(_with_hint(error)) from None
    if path != "x":
        raise argparse.ArgumentTypeError(f"must be HOST or HOST:PORT, not {quoted(text)}")
    return found.lower()


def file(text: str) -> str:
    """Convert the path of an archive; ``-`` is stdin."""
    from imgfetch.inputs import STDIN  # noqa: PLC0415

    return STDIN if text == "-" else text


def file_or_reference(text: str) -> str | Reference:
    """Convert the name of an image, or the path of an archive."""
    from imgfetch.archive.compressed import looks_like_file  # noqa: PLC0415

    return file(text) if text == "-" or looks_like_file(text) else reference(text)


def wanted(text: str) -> str | Wanted:
    """Convert the name of an image in an archive, or a digest; the path of a file is returned as it is."""
    from imgfetch.archive.wanted import Wanted  # noqa: PLC0415

    if _is_here(text) or is_archive(text):
        return text
    try:
        return Wanted.parse(text)
    except errors.InvalidReferenceError as error:
        raise argparse.ArgumentTypeError(_with_hint(error)) from None


def platforms(text: str) -> list[Platform]:
    """Convert platforms separated by commas, each once."""
    from imgfetch.oci.platforms import Platform  # noqa: PLC0415

    try:
        return list(dict.fromkeys(map(Platform.parse, text.split(","))))
    except errors.InvalidPlatformError as error:
        raise argparse.ArgumentTypeError(_with_hint(error)) from None


def name(text: str) -> Reference:
    """Convert an image's name in an archive."""
    from imgfetch.oci import names  # noqa: PLC0415

    try:
        return names.name(reference(text))
    except errors.InvalidReferenceError as error:
        raise argparse.ArgumentTypeError(_with_hint(error)) from None


def directory(text: str) -> Path:
    """Convert the path of a directory."""
    if not text:
        raise argparse.ArgumentTypeError("must be a directory, not an empty text")
    return Path(text)


def whole(least: int, most: int) -> Callable[[str], int]:
    """Return a function that converts a whole number within bounds."""

    def read(text: str) -> int:
        is_plain = re.fullmatch(_WHOLE, text)
        if not is_plain or not least <= int(text) <= most:
            kind = "" if is_plain else "a plain decimal number "
            raise argparse.ArgumentTypeError(f"must be {kind}between {least} and {most}, not {quoted(text)}")
        return int(text)

    return read


def shard(text: str) -> tuple[int, int]:
    """Convert a shard such as 3/16: its number, from 1 on, and the number of shards."""
    match = re.fullmatch(f"{_WHOLE}/{_WHOLE}", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]) <= _MAX_SHARDS:
        raise argparse.ArgumentTypeError(
            f"must be N/COUNT, such as 3/16, with N from 1 to COUNT, and COUNT up to {_MAX_SHARDS}, not {quoted(text)}"
        )
    return int(match[1]), int(match[2])


def seconds(text: str) -> float:
    """Convert a time in seconds."""
    if not re.fullmatch(_WHOLE + _FRACTION, text) or not 0 < float(text) <= LONGEST_WAIT:
        raise argparse.ArgumentTypeError(
            f"must be a plain decimal number of seconds above 0 and up to {LONGEST_WAIT:.0f}, not {quoted(text)}"
        )
    return float(text)


def size(text: str, *, form: str = "a size below 8 EiB, such as 500MB or 10GiB") -> int:
    """Convert a number of bytes."""
    match = re.fullmatch(rf"{_WHOLE}{_FRACTION} ?([kKMGT]i?)?B?", text)
    if match:
        number, fraction, unit = match[1], match[2] or "", (match[3] or "").upper()
        power = "KMGT".index(unit[0]) + 1 if unit else 0
        count = int(number + fraction) * (1024 if unit.endswith("I") else 1000) ** power // 10 ** len(fraction)
        if count <= _MAX_SIZE:
            return int(count)
    raise argparse.ArgumentTypeError(f"must be {form}, not {quoted(text)}")


def rate(text: str) -> int:
    """Convert a number of bytes a second; the unit may be written as progress shows it, as in 10 MB/s."""
    count = size(text.removesuffix("/s"), form="a number of bytes a second, such as 500k or 10M")
    if count < MIN_RATE:
        raise argparse.ArgumentTypeError(f"must be {MIN_RATE} bytes a second or more, not {quoted(text)}")
    return count


def window(text: str) -> int:
    """Convert the size of a zstd window to the next power of two, so that 256M are 256 MiB."""
    form = "a size from 1M to 2G, such as 512M"
    count = 1 << (size(text, form=form) - 1).bit_length()
    smallest, largest = ZSTD_WINDOWS
    if not smallest <= count <= largest:
        raise argparse.ArgumentTypeError(f"must be {form}, not {quoted(text)}")
    return count


def span(text: str) -> int:
    """Convert a time such as 12h to seconds."""
    match = re.fullmatch(rf"{_WHOLE}(s|min|h|d)", text)
    if match:
        length = int(match[1]) * {"s": 1, "min": 60, "h": 3600, "d": 86400}[match[2]]
        if length <= _MAX_SPAN:
            return length
    raise argparse.ArgumentTypeError(f"must be a time up to 999999d, such as 90min, 12h or 30d, not {quoted(text)}")


def override(text: str) -> tuple[str, str]:
    """Convert HOST=URL: a token server as announced, and its replacement."""
    from imgfetch.http.origin import Origin  # noqa: PLC0415

    announced, equals, url = text.partition("=")
    try:
        if announced and equals and Origin.of(url) and not urlsplit(url).path.strip("/"):
            return announced.lower(), url
    except errors.TransportError:
        pass
    # The text after the sign may contain a password. See docs/registries.md#secrets-in-messages.
    raise argparse.ArgumentTypeError(f"must be HOST[:PORT]=http[s]://HOST[:PORT], not {quoted(announced)}=…")


def overrides(text: str) -> list[tuple[str, str]]:
    """Convert several of them, separated by spaces."""
    return [override(part) for part in text.split()]


def one_of(names: Sequence[str]) -> Callable[[str], str]:
    """Return a function that checks a name."""

    def check(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(
                f"must be one of {', '.join(names)}, not {quoted(text)}{did_you_mean(closest(text, names))}"
            )
        return text

    return check


def flag(text: str) -> bool:
    """Convert 0 or 1."""
    if text not in ("0", "1"):
        raise argparse.ArgumentTypeError(f"must be 0 or 1, not {quoted(text)}")
    return text == "1"


def is_archive(text: str) -> bool:
    """Return whether a text has the form of an archive's name."""
    return text.endswith(_ARCHIVES) and not _HOST.match(text)


def _is_here(text: str) -> bool:
    """Return whether a text is the path of a file rather than an image; no image at the top of Docker Hub has a dot."""
    return "." in Path(text).name and not _HOST.match(text) and Path(text).is_file()


def _with_hint(error: errors.ImgfetchError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)
