"""JSON that means the same to every reader.

Go, in which registries and engines are written, matches keys in any case and lets the last of
several win; Python matches exactly.  A document that the two read differently could be checked
here as one image and loaded there as another, so it is refused (P65, S23, CVE-2021-41190).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from imgfetch.errors import VerificationError
from imgfetch.text import quoted, sanitize

_MAX_INT64 = 2**63 - 1


def loads(raw: bytes, what: str) -> object:
    """Parse UTF-8 JSON.

    Args:
        raw: the document.
        what: its name in messages.

    Raises:
        VerificationError: it is not JSON, has a key twice, or is nested beyond reason (S29).
    """
    try:
        return json.loads(raw.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_constant)
    except RecursionError:
        raise VerificationError(f"{what} is nested too deeply") from None
    except ValueError as error:
        reason = sanitize(str(error))
        raise VerificationError(f"{what} is not valid JSON ({len(raw)} bytes): {reason}") from error


@contextmanager
def blaming_the_publisher() -> Iterator[None]:
    """Say what to do about a document that is not usable, where nothing better is said (M14)."""
    try:
        yield
    except VerificationError as error:
        raise error.replace(hint=error.hint or "do not use it; if it stays so, tell the publisher") from error.__cause__


class Object(Mapping[str, object]):
    """A JSON object whose members are read by name and type."""

    def __init__(
        self, value: object, what: str, known: frozenset[str] = frozenset(), *, in_any_case: bool = False
    ) -> None:
        """Take a parsed value.

        Args:
            value: what should be an object.
            what: its name in messages.
            known: the keys whose other spellings are refused; by default none are.
            in_any_case: whether a known key may be spelled in another case, as Go reads it, if it is there once.

        Raises:
            VerificationError: it is no object, or has a key that only its case tells from a known one.
        """
        if not isinstance(value, dict):
            raise VerificationError(f"{what} is malformed", wanted="an object", got=shown(value))
        self._members: dict[str, object] = {}
        self.what = what
        folded = _folded if in_any_case else str.casefold
        proper: Mapping[str, str] = {folded(key): key for key in known}
        for key, member in value.items():
            name = proper.get(folded(key), key)
            if name != key and (name in value or name in self._members or not in_any_case):
                raise VerificationError(
                    f"{what} is ambiguous: readers differ over the key {quoted(key)}, "
                    f"which is {name!r} but for its case"
                )
            self._members[name] = member

    def __getitem__(self, key: str) -> object:
        """Return a member."""
        return self._members[key]

    def __iter__(self) -> Iterator[str]:
        """Iterate over the keys."""
        return iter(self._members)

    def __len__(self) -> int:
        """Return the number of members."""
        return len(self._members)

    def text(self, key: str) -> str:
        """Return a string member; absent and null are the empty string, as in Go."""
        value = self._members.get(key)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._malformed(key, "a string", value)
        return value

    def count(self, key: str) -> int:
        """Return a member that is an integer of zero or more, and fits in 64 bits as Go's do."""
        value = self._members.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._malformed(key, "an integer of zero or more", value)
        if value > _MAX_INT64:
            raise self._malformed(key, f"an integer up to {_MAX_INT64}", value)
        return value

    def items_of(self, key: str) -> list[object]:
        """Return an array member; absent and null are an empty one."""
        value = self._members.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self._malformed(key, "an array", value)
        return value

    def members_of(self, key: str) -> dict[str, object]:
        """Return an object member; absent and null are an empty one."""
        value = self._members.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise self._malformed(key, "an object", value)
        return value

    def texts(self, key: str) -> dict[str, str]:
        """Return an object member with the values that are strings, such as annotations."""
        return {name: text for name, text in self.members_of(key).items() if isinstance(text, str)}

    def _malformed(self, key: str, wanted: str, value: object) -> VerificationError:
        return VerificationError(f"{key!r} of {self.what} is malformed", wanted=wanted, got=shown(value))


def _folded(key: str) -> str:
    """Return a key as Go compares it: in lower case, with an s for a long s (U+017F) and a k for a kelvin (U+212A)."""
    return key.lower().replace("\u017f", "s")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"readers differ over the key {twice!r}, which stands twice")
    return members


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def shown(value: object) -> str:
    """Return a parsed value in brief, for a message."""
    if isinstance(value, (dict, list)):
        return {dict: "an object", list: "an array"}[type(value)]
    return sanitize(json.dumps(value), 80)
