"""JSON with one meaning for every reader.

Go, the language of registries and engines, matches keys in any case and uses the last of
several; Python matches exactly.  A document that the two read differently could be verified here as one
image and loaded there as another, so it is refused (docs/registries.md#ambiguous-documents).  Only Go reads configs, so
there only the members that decide what is loaded must be unambiguous.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TypeVar

from imgfetch.errors import VerificationError
from imgfetch.text import quoted, sanitize

_T = TypeVar("_T")
_MAX_INT64 = 2**63 - 1
_MAX_DIGITS = 400
_MAX_VALUES = 500_000


class Repeating(dict[str, object]):
    """An object in which keys occur several times; it has the last member of each, and ``earlier`` has the others."""

    def __init__(self, members: Mapping[str, object], earlier: Sequence[tuple[str, object]]) -> None:
        super().__init__(members)
        self.earlier = earlier


def loads(raw: bytes, what: str, *, as_go: bool = False, is_finite: bool = True) -> object:
    """Parse UTF-8 JSON.

    Args:
        raw: the document.
        what: its name in messages.
        as_go: whether to replace other bytes, and to take the last of several members with one key, as Go does.
        is_finite: whether to refuse numbers that Go refuses where it keeps unknown members.

    Raises:
        VerificationError: the document is not JSON, has too many values, is nested too deeply, or repeats a key without
            ``as_go``.
    """
    if count_values(raw) > _MAX_VALUES:
        raise VerificationError(f"{what} has too many values", wanted=f"at most {_MAX_VALUES}", got="more")
    try:
        text = raw.decode("utf-8", "replace" if as_go else "strict")
        pairs = _last if as_go else _unique
        parse_float = _finite if is_finite else float
        return json.loads(
            text, object_pairs_hook=pairs, parse_int=_number, parse_float=parse_float, parse_constant=_no_constant
        )
    except RecursionError:
        raise VerificationError(f"{what} is nested too deeply") from None
    except ValueError as error:
        # Not the cause, because the error contains the document, and perhaps a key as it was sent.
        reason = sanitize(str(error))
        raise VerificationError(f"{what} is not valid JSON ({len(raw)} bytes): {reason}") from None


def count_values(raw: bytes) -> int:
    """Return at least the number of values in a document; each may become an object of some 100 bytes."""
    return sum(raw.count(sign) for sign in b",{[")


@contextmanager
def blaming_the_publisher() -> Iterator[None]:
    """Add a hint to errors about unusable documents that have none."""
    try:
        yield
    except VerificationError as error:
        hint = error.hint or "do not use this image; if the error persists, report it to the publisher"
        raise error.replace(hint=hint) from error.__cause__


class Object(dict[str, object]):
    """A JSON object whose members are read by name and type."""

    def __init__(
        self, value: object, what: str, known: frozenset[str] = frozenset(), *, in_any_case: bool = False
    ) -> None:
        """Check a parsed value.

        Args:
            value: the value, which must be an object.
            what: its name in messages.
            known: the keys that are refused in other spellings.
            in_any_case: whether to accept a known key once in another case, as Go does.

        Raises:
            VerificationError: the value is not an object, or a known key occurs twice or in another case.
        """
        if not isinstance(value, dict):
            raise VerificationError(f"{what} is malformed", wanted="an object", got=shown(value))
        super().__init__()
        self.what = what
        fold = folded if in_any_case else str.casefold
        proper: Mapping[str, str] = {fold(key): key for key in known}
        for key, _ in value.earlier if isinstance(value, Repeating) else ():
            if fold(key) in proper:
                raise VerificationError(f"{what} is ambiguous: readers disagree about the key {_twice(key)}")
        for key, member in value.items():
            name = proper.get(fold(key), key)
            if name != key and (name in value or name in self or not in_any_case):
                raise VerificationError(
                    f"{what} is ambiguous: readers disagree about the key {quoted(key)}, "
                    f"which differs from {name!r} only in case"
                )
            self[name] = member

    def text(self, key: str) -> str:
        """Return a string member."""
        return self._typed(key, str, "a string")

    def count(self, key: str) -> int:
        """Return an integer member from zero to Go's largest, of 64 bits."""
        value = self.get(key)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._malformed(key, "an integer of zero or more", value)
        if value > _MAX_INT64:
            raise self._malformed(key, f"an integer up to {_MAX_INT64}", value)
        return value

    def items_of(self, key: str) -> list[object]:
        """Return an array member."""
        return self._typed(key, list, "an array")

    def texts_of(self, key: str) -> list[str]:
        """Return an array of strings."""
        items = self.items_of(key)
        if odd := [item for item in items if not isinstance(item, str)]:
            raise self._malformed(key, "an array of strings", odd[0])
        return [item for item in items if isinstance(item, str)]

    def members_of(self, key: str) -> dict[str, object]:
        """Return an object member."""
        return self._typed(key, dict, "an object")

    def texts(self, key: str) -> dict[str, str]:
        """Return the string values of an object member, such as annotations."""
        return {name: text for name, text in self.members_of(key).items() if isinstance(text, str)}

    def _typed(self, key: str, kind: type[_T], wanted: str) -> _T:
        """Return a member of a type; absent and null mean an empty one, as in Go."""
        value = self.get(key)
        if value is None:
            return kind()
        if not isinstance(value, kind):
            raise self._malformed(key, wanted, value)
        return value

    def _malformed(self, key: str, wanted: str, value: object) -> VerificationError:
        return VerificationError(f"{key!r} of {self.what} is malformed", wanted=wanted, got=shown(value))


def unknown_keys(members: Object, known: Iterable[str]) -> Iterator[str]:
    """Yield a sentence for each key that is not known."""
    names = set(known)
    for key in members:
        if key not in names:
            yield f"{members.what} has the key {quoted(key)}, which is not known"


def folded(key: str) -> str:
    """Return a key as Go compares it: in lower case, with s for the long s (U+017F) and k for the kelvin (U+212A)."""
    return key.lower().replace("\u017f", "s")


def fields(value: object) -> dict[str, object]:
    """Return the members of an object with their keys in lower case, as Go finds them; none for another value."""
    return {folded(key): member for key, member in value.items()} if isinstance(value, dict) else {}


def every_member(value: Mapping[str, object]) -> list[tuple[str, object]]:
    """Return all members of an object, with the earlier ones of a key that occurs several times."""
    return [*(value.earlier if isinstance(value, Repeating) else ()), *value.items()]


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise ValueError(f"readers disagree about the key {_twice(twice)}")
    return members


def _last(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members: dict[str, object] = {}
    earlier: list[tuple[str, object]] = []
    for key, member in pairs:
        if key in members:
            earlier.append((key, members.pop(key)))
        members[key] = member
    return Repeating(members, earlier) if earlier else members


def _twice(key: str) -> str:
    return f"{key!r}, which occurs twice"


def _number(digits: str) -> int | float:
    """Return an integer, or infinity for one with more digits than Python reads, as no known member has."""
    return int(digits) if len(digits) <= _MAX_DIGITS else float(digits)


def _finite(digits: str) -> float:
    """Return a number, or refuse one that is too large for Go."""
    if math.isinf(value := float(digits)):
        raise ValueError(f"{digits[:20]} is too large")
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not valid JSON")


def shown(value: object) -> str:
    """Summarize a parsed value for a message."""
    if isinstance(value, (dict, list)):
        return "an object" if isinstance(value, dict) else "an array"
    return sanitize(json.dumps(value), 80)
