"""The spellings of a secret in which servers repeat it, and a reader that recognizes each of them."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, quote_plus, unquote, unquote_plus

PASSWORD = "hünter2/=+&<k> \"w\" 'x' pass~word"
"""A password with all characters that some spelling changes."""
ENOUGH = 24
"""The number of characters that must not be readable in a row."""


def _units(text: str) -> list[int]:
    raw = text.encode("utf-16-be")
    return [int.from_bytes(raw[at : at + 2]) for at in range(0, len(raw), 2)]


def _twice(spell: Callable[[str], str]) -> Callable[[str], str]:
    return lambda text: spell(spell(text))


def _percent(text: str) -> str:
    return quote(text, safe="")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


SPELLINGS: Mapping[str, Callable[[str], str]] = {
    "plain": str,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON with escaped slashes": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "JSON of Go": lambda text: (
        json.dumps(text, ensure_ascii=False)[1:-1]
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
    ),
    "JSON in numbers": lambda text: "".join(f"\\u{unit:04X}" for unit in _units(text)),
    "JSON within JSON": _twice(lambda text: json.dumps(text)[1:-1]),
    "a URL": _percent,
    "a URL in lower case": lambda text: re.sub("%..", lambda match: match[0].lower(), _percent(text)),
    "a URL within a URL": _twice(_percent),
    "a form": quote_plus,
    "HTML": html.escape,
    "HTML in numbers": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "HTML in hexadecimal numbers": lambda text: "".join(f"&#x{ord(character):X};" for character in text),
    "HTML within JSON": lambda text: json.dumps(html.escape(text))[1:-1],
    "base64": _base64,
    "base64 without padding": lambda text: _base64(text).rstrip("="),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64 of more": lambda text: _base64(f"my password: {text}"),
    "base64 in a URL": lambda text: _percent(_base64(text)),
    "Latin-1": lambda text: text.encode().decode("latin-1"),
    "Python": lambda text: repr(text.encode())[2:-1],
    "upper case": str.upper,
    "lower case": lambda text: text.encode().decode("latin-1").lower(),
    "its beginning": lambda text: text[:24],
    "its end": lambda text: text[-24:],
    "its middle": lambda text: text[3:27],
}

_READERS: tuple[Callable[[str], str], ...] = (
    html.unescape,
    unquote,
    unquote_plus,
    lambda text: text.replace("\\/", "/").replace('\\"', '"').replace("\\'", "'"),
    lambda text: re.sub(r"\\u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text),
    lambda text: re.sub(r"\\x([0-9a-fA-F]{2})", lambda match: chr(int(match[1], 16)), text),
    lambda text: text.replace("\\\\", "\\"),
    lambda text: text.encode("utf-8", "surrogatepass").decode("latin-1").encode("latin-1").decode("utf-8", "replace"),
)


def readings(text: str) -> set[str]:
    """Return what a patient reader makes of a text: up to three decodings, one after the other, and base64 in it."""
    found = {text}
    for _ in range(3):
        found |= {read(each) for each in found for read in _READERS}
    for each in list(found):
        for word in re.findall(r"[A-Za-z0-9+/_-]{8,}", each):
            for start in range(4):
                cut = word[start:].translate(str.maketrans("-_", "+/"))
                raw = base64.b64decode(cut[: len(cut) // 4 * 4])
                found |= {raw.decode("utf-8", "replace"), raw.decode("latin-1")}
    return found


def shows(text: str, secret: str, enough: int = ENOUGH) -> bool:
    """Return whether a reader finds enough of a secret in a text."""
    secret = secret.lower()
    pieces = {secret[at : at + enough] for at in range(max(len(secret) - enough, 0) + 1)}
    pieces |= {piece.encode().decode("latin-1") for piece in pieces}
    return any(piece in reading.lower() for reading in readings(text) for piece in pieces)
