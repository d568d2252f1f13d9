"""The parts of a tar as bytes, so that one can be changed and all others stay as their writer made them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tests.headers import FIELDS, checked, replaced

BLOCK = 512
FILE, DIRECTORY, SYMBOLIC_LINK = b"0", b"5", b"2"


@dataclass(frozen=True)
class Part:
    """A member.

    Attributes:
        name: its path, without a leading ``./`` and a trailing slash.
        kind: its type.
        head: its header, and extended ones before it.
        content: what follows, without padding.
    """

    name: str
    kind: bytes
    head: bytes
    content: bytes = b""

    @property
    def raw(self) -> bytes:
        return self.head + self.content + bytes(-len(self.content) % BLOCK)

    def containing(self, content: bytes) -> Part:
        """Return it with another content and the size of that, written as before."""
        size = self._own[FIELDS["size"]]
        return self._with(size=b"%011o" % len(content) + size[11:], content=content)

    def named(self, name: str) -> Part:
        """Return it with another name of the same length."""
        own = self._own[FIELDS["name"]].replace(self.name.encode(), name.encode())
        return replace(self._with(name=own), name=name)

    def _with(self, content: bytes | None = None, **fields: bytes) -> Part:
        own = self._own
        for field, value in fields.items():
            own = replaced(own, field, value)
        content = self.content if content is None else content
        return replace(self, head=self.head[:-BLOCK] + checked(own), content=content)

    @property
    def _own(self) -> bytes:
        return self.head[-BLOCK:]


def split(raw: bytes) -> Iterator[Part]:
    """Yield the members of a tar that is in order."""
    at, head, name = 0, b"", ""
    while raw[at : at + BLOCK].strip(b"\0"):
        block = raw[at : at + BLOCK]
        size = int(block[FIELDS["size"]].strip(b" \0") or b"0", 8)
        content = raw[at + BLOCK : at + BLOCK + size]
        end = at + BLOCK + size + -size % BLOCK
        kind = block[FIELDS["type"]].replace(b"\0", FILE)
        if kind in (b"x", b"L"):
            head += raw[at:end]
            name = _long_name(kind, content) or name
        else:
            own = name or _text(block[FIELDS["name"]])
            kind = DIRECTORY if own.endswith("/") else kind
            yield Part(own.rstrip("/").removeprefix("./"), kind, head + block, content)
            head, name = b"", ""
        at = end


def _long_name(kind: bytes, content: bytes) -> str:
    if kind == b"L":
        return _text(content)
    records = dict(line.partition(b" ")[2].split(b"=", 1) for line in content.splitlines())
    return records.get(b"path", b"").decode()


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode()
