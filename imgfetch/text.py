"""Text from the network, made safe to show.

A registry's text may contain terminal escapes, bidirectional controls or line breaks (as in CVE-2021-25743), and repeat
secrets.  `sanitize` is the one door through which such text enters a message.  See docs/registries.md#server-texts.
"""

from __future__ import annotations

import importlib.util
import re
import shlex
import sys
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit, urlunsplit

from imgfetch import redaction

MAX_SHOWN = 500
"""The most characters of a server's text in a message."""

_READ = 8
"""Characters that are read for one that is shown, because secrets are longer than what replaces them."""
_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"})
_SIMILARITY = 0.65  # of sav and save: 0.86, of list and digest: 0.6
_LAST_BYTE = 0xFF
_LAST_BMP = 0xFFFF


class ServerText:
    """Text that a server sent, which every way to show it redacts and makes safe.

    It is not a `str`, so nothing but `shown` and what `str` and f-strings make of it can be put into a message.

    Attributes:
        as_sent: the text, for functions that parse or compare it and show none of it.
    """

    __slots__ = ("as_sent",)

    def __init__(self, text: str) -> None:
        self.as_sent = text

    def shown(self, limit: int = MAX_SHOWN) -> str:
        """Return the text for messages, cut to ``limit``."""
        return sanitize(self.as_sent, limit)

    def __str__(self) -> str:
        return self.shown()

    __repr__ = __str__

    def __bool__(self) -> bool:
        return bool(self.as_sent)


def sanitize(text: str, limit: int = MAX_SHOWN) -> str:
    """Return ``text`` without secrets, every control, format and line-breaking character escaped, cut to ``limit``."""
    # Cut after the redaction: the rest of a secret would not be recognized.
    read = redaction.KNOWN.redacted(text[: _READ * limit])
    shown = "".join(_escaped(character) for character in read[: limit + 1])
    if len(text) > _READ * limit or len(read) > limit or len(shown) > limit:
        return shown[: limit - 1] + "…"
    return shown


def quoted(text: str, limit: int = MAX_SHOWN) -> str:
    """Return ``text``, sanitized, in quotation marks."""
    return f"'{sanitize(text, limit)}'"


def _escaped(character: str) -> str:
    if unicodedata.category(character) not in _UNSAFE_CATEGORIES:
        return character
    point = ord(character)
    if point <= _LAST_BYTE:
        return f"\\x{point:02x}"
    if point <= _LAST_BMP:
        return f"\\u{point:04x}"
    return f"\\U{point:08x}"


def format_size(count: int) -> str:
    """Return a number of bytes for people: ``1.4 MB``, in powers of ten as docker shows them."""
    if count < 1000:  # noqa: PLR2004
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB", "TB"):
        value /= 1000
        if value < 999.5:  # noqa: PLR2004
            return f"{value:.3g} {unit}"
    return f"{value:.0f} TB"


def counted(number: int, noun: str) -> str:
    """Return a number of things, such as ``1 image`` or ``3 images``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def format_some(names: Collection[str], most: int) -> str:
    """Return names for people, and the number of those that are too many: ``a, b and 3 more``."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(list(names)[:most]) + more


def closest(word: str, known: Iterable[str]) -> str:
    """Return the known word that is most like a misspelt one, or an empty text if none is."""
    import difflib  # noqa: PLC0415  # few words are misspelt

    return next(iter(difflib.get_close_matches(word, known, 1, _SIMILARITY)), "")


def did_you_mean(word: str) -> str:
    """Return a question with the `closest` word, or an empty text if there is none."""
    return f"; did you mean '{word}'?" if word else ""


def format_kinds(kinds: Iterable[str]) -> str:
    """Return kinds of things with their numbers: ``2 attestations, 1 model (application/x)``."""
    shown = []
    for kind, count in Counter(kinds).items():
        noun, bracket, rest = kind.partition(" (")
        plural = "s" if count > 1 and " " not in noun.removeprefix("a ").removeprefix("an ") else ""
        shown.append(f"{count} {noun.removeprefix('an ').removeprefix('a ')}{plural}{bracket}{rest}")
    return ", ".join(shown)


def format_age(seconds: float) -> str:
    """Return a time for people, in its largest unit: ``40 s``, ``3 h``, ``12 d``."""
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{int(seconds // length)} {unit}"
    return f"{int(seconds)} s"


_SHOWN_QUERY_KEYS = frozenset(
    {"scope", "service", "client_id", "account", "ns", "n", "last", "digest", "mount", "from"}
)


def secret_values(address: str) -> list[str]:
    """Return the values in a URL's query that `shown_url` does not show and that are long enough for a secret."""
    with suppress(ValueError):
        pairs = parse_qsl(urlsplit(address).query)
        return [value for key, value in pairs if key not in _SHOWN_QUERY_KEYS and len(value) >= redaction.ENOUGH]
    return []


def shown_url(address: str) -> str:
    """Return a URL without secrets: only harmless query parameters (docs/registries.md#secrets-in-messages)."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return "an unreadable URL"
    netloc = parts.netloc.rpartition("@")[2]
    pairs = (pair.partition("=") for pair in re.split("[&;]", parts.query) if pair)
    query = "&".join(
        f"{key}={value}" if key in _SHOWN_QUERY_KEYS else f"{key}=REDACTED" if equals else "REDACTED"
        for key, equals, value in pairs
    )
    return sanitize(urlunsplit((parts.scheme, netloc, parts.path, query, "")))


def installation(extra: str) -> str:
    """Return the hint about an extra that is missing, with the Python of this installation.

    There, imgfetch is installed, so only the libraries of the extra are looked for.  Anywhere else, an index would be
    asked for imgfetch itself, and might have another program of that name.
    """
    python, name = shlex.quote(sys.executable or "python3"), f"'imgfetch[{extra}]'"
    has_pip = importlib.util.find_spec("pip") is not None  # not in an environment of uv
    installer = f"{python} -m pip install" if has_pip else f"uv pip install --python {python}"
    return f"install it with: {installer} {name}"
