"""The secrets of this process, which no text from outside may show (docs/registries.md#secrets-in-messages).

Servers repeat what was sent to them, in other spellings, and cut.  So secrets are looked for in a text as it is, and
without each layer of its escapes.  These rules apply:

* The first and last `ENOUGH` characters of a secret, and any 24 of its characters in a row, are as secret as all of it.
* A secret, its base64 at any offset, and UTF-8 that was read as Latin-1 are one secret.
* Spaces count as ``+``, the alphabet of base64 for URLs as the usual one, and letters in any case are equal.
* A secret of fewer than `ENOUGH` characters is removed where all of it occurs; of fewer than `WORD` characters, only
  as a word; and of fewer than `LEAST` not at all, because such a text is everywhere.

Every step takes linear time, also for a token and a text that were made for each other.
"""

from __future__ import annotations

import binascii
import re
import threading
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress

MASK = "REDACTED"
ENOUGH, WORD, LEAST = 16, 8, 4
_STRIDE = 8
MAX_PASSING = 256 * 1024
"""Characters of the passing secrets that are remembered, such as signatures in URLs."""
_LAYERS = 4

_ESCAPE = (
    r"(?:%[0-9A-Fa-f]{2})+"  # of URLs and forms
    r"|(?:\\u[dD][89abAB][0-9A-Fa-f]{2})?\\u[0-9A-Fa-f]{4}|\\x[0-9A-Fa-f]{2}|\\[^ux]"  # of JSON, with surrogates
    r"|&(?:#[0-9]{1,12}|#[xX][0-9A-Fa-f]{1,12}|[A-Za-z]{2,12});?"  # of HTML
)
_CONTROLS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_FOLDED = str.maketrans(" -_", "++/") | {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}


class Secrets:
    """A set of secrets; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forms: dict[str, frozenset[str]] = {}
        self._passing: dict[str, None] = {}
        self._length = 0  # of those that are passing
        self._index = _Index()

    def note(self, *secrets: str, passing: bool = False) -> None:
        """Add secrets, before anything can repeat them; those that are ``passing`` may be forgotten for others."""
        with self._lock:
            for secret in secrets:
                if len(secret) < LEAST or secret in self._forms:
                    continue
                self._forms[secret] = forms = frozenset(_forms(secret))
                self._index.add(forms)
                if passing:
                    self._passing[secret] = None
                    self._length += len(secret)
            if self._length > MAX_PASSING:
                self._forget_oldest()

    def note_login(self, username: str, password: str) -> None:
        """Add a password; one that is too short to be noticed alone, with its user name."""
        pair = f"{username}:{password}"
        self.note(password if len(password) >= LEAST else pair, _base64(_utf8(pair)))

    def forget(self) -> None:
        """Remove all secrets."""
        with self._lock:
            self._forms, self._passing, self._length, self._index = {}, {}, 0, _Index()

    def redacted(self, text: str) -> str:
        """Return ``text`` with `MASK` in place of each secret, in whatever spelling."""
        if not self._forms:
            return text
        pieces, position = [], 0
        for start, end in _joined(self._index.spans(text)):
            pieces += [text[position:start], MASK]
            position = end
        return "".join([*pieces, text[position:]])

    def _forget_oldest(self) -> None:
        """Remove the older half of the passing secrets, because a new index for each would take long."""
        while self._length > MAX_PASSING // 2:
            secret = next(iter(self._passing))
            self._length -= len(secret)
            del self._passing[secret], self._forms[secret]
        index = _Index()
        index.add(set[str]().union(*self._forms.values()))
        self._index = index


class _Index:
    """All forms of secrets, to which one thread may add while others search.

    Attributes:
        long: those of at least `ENOUGH` characters, one behind the other.
        windows: the places in ``long`` of their windows of `ENOUGH` characters, of which each `_STRIDE`-th is enough.
        short: all others, by their length.
    """

    def __init__(self) -> None:
        self.long = ""
        self.windows: dict[str, int] = {}
        self.short: dict[int, set[str]] = {}

    def add(self, forms: Collection[str]) -> None:
        """Add forms of secrets."""
        long = [form for form in forms if len(form) >= ENOUGH]
        length = len(self.long)
        self.long += "".join(long)  # before the windows, which lead there
        for form in long:
            last = len(form) - ENOUGH
            self.windows |= {form[start : start + ENOUGH]: length + start for start in (*range(0, last, _STRIDE), last)}
            length += len(form)
        for form in forms:
            if len(form) < ENOUGH:
                self.short.setdefault(len(form), set()).add(form)

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Yield the secret parts of a text."""
        for reading, offsets in _readings(text):
            folded = reading.translate(_FOLDED)
            for start, end in (*self._runs(folded), *self._words(folded)):
                yield offsets[start], offsets[end]

    def _runs(self, text: str) -> Iterator[tuple[int, int]]:
        for start in range(len(text) - ENOUGH + 1):
            end = start + ENOUGH
            if (place := self.windows.get(text[start:end])) is not None:
                before = _common(
                    text[max(start - _STRIDE, 0) : start][::-1], self.long[max(place - _STRIDE, 0) : place][::-1]
                )
                place += ENOUGH
                yield start - before, end + _common(text[end : end + _STRIDE], self.long[place : place + _STRIDE])

    def _words(self, text: str) -> Iterator[tuple[int, int]]:
        for length, forms in tuple(self.short.items()):
            for start in range(len(text) - length + 1):
                end = start + length
                if text[start:end] in forms and (length >= WORD or _is_word(text, start, end)):
                    yield start, end


KNOWN = Secrets()
"""Those of this process: where a text is shown, nothing else is known of where it came from."""


def _forms(secret: str) -> set[str]:
    """Return the texts that stand for a secret, apart from escapes."""
    raw = _utf8(secret)
    texts = {secret, raw.decode("latin-1"), raw.decode("utf-8", "replace")}
    texts |= {reading for text in list(texts) for reading, _ in _readings(text)}
    texts.add(_base64(raw))
    if len(raw) >= ENOUGH:  # inside other base64, without the characters that depend on what is beside it
        texts |= {_base64(raw[skip : len(raw) - (len(raw) - skip) % 3]) for skip in (1, 2)}
    return {form for text in texts if len(form := text.translate(_FOLDED)) >= LEAST}


def _utf8(text: str) -> bytes:
    with suppress(UnicodeEncodeError):
        return text.encode("utf-8", "surrogateescape")
    return text.encode("utf-8", "replace")


def _base64(raw: bytes) -> str:
    return binascii.b2a_base64(raw, newline=False).decode().rstrip("=")


def _is_word(text: str, start: int, end: int) -> bool:
    beside = text[max(start - 1, 0) : start] + text[end : end + 1]
    return not any(character.isascii() and character.isalnum() for character in beside)


def _common(one: str, other: str) -> int:
    """Return the number of characters with which both texts begin."""
    length = min(len(one), len(other))
    return next((at for at in range(length) if one[at] != other[at]), length)


def _joined(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return spans in order, and those that overlap as one."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined


def _readings(text: str) -> Iterator[tuple[str, Sequence[int]]]:
    """Yield ``text`` as it is and without each layer of escapes, with the offset in ``text`` of each character."""
    offsets: Sequence[int] = range(len(text) + 1)
    yield text, offsets
    for _ in range(_LAYERS):
        reading, offsets = _unescaped(text, offsets)
        if reading == text:
            return
        yield (text := reading), offsets


def _unescaped(text: str, offsets: Sequence[int]) -> tuple[str, list[int]]:
    pieces: list[str] = []
    new: list[int] = []
    position = 0
    for match in re.finditer(_ESCAPE, text):
        start, meaning = match.start(), _meaning(match[0])
        pieces += [text[position:start], meaning]
        new += offsets[position:start]
        for character in meaning:
            new.append(offsets[start])
            start += 3 * len(character.encode("utf-8", "surrogateescape")) if match[0].startswith("%") else 0
        position = match.end()
    return "".join([*pieces, text[position:]]), [*new, *offsets[position:]]


def _meaning(escape: str) -> str:
    if escape.startswith("%"):
        return bytes.fromhex(escape.replace("%", "")).decode("utf-8", "surrogateescape")
    if escape.startswith("&"):
        import html  # noqa: PLC0415  # slow to import

        return html.unescape(escape)
    if len(escape) > len(r"\n"):  # in hexadecimal digits
        units = b"".join(int(digits, 16).to_bytes(2) for digits in re.split(r"\\[ux]", escape)[1:])
        return units.decode("utf-16-be", "surrogatepass")
    return _CONTROLS.get(escape[1], escape[1])
