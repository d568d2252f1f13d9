"""An archive in the bytes that a writer wrote, of which a test changes one part."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tests.tarparts import BLOCK, FILE, SYMBOLIC_LINK, Part, split

END = bytes(2 * BLOCK)


@dataclass(frozen=True)
class Archive:
    """A tar in parts, and the parts of its first image.

    Attributes:
        parts: its members.
    """

    parts: tuple[Part, ...]

    @classmethod
    def of(cls, raw: bytes) -> Archive:
        return cls(tuple(split(raw)))

    @property
    def raw(self) -> bytes:
        return b"".join(part.raw for part in self.parts) + END

    def place(self, name: str) -> int:
        """Return the number of a file."""
        return next(number for number, part in enumerate(self.parts) if part.name == name and part.kind == FILE)

    def content(self, name: str) -> bytes:
        return self.parts[self.place(name)].content

    def __contains__(self, name: str) -> bool:
        return any(part.name == name for part in self.parts)

    def document(self, name: str) -> Any:
        return json.loads(self.content(name))

    def changed(self, changes: Mapping[str, bytes]) -> Archive:
        """Return it with other contents of some members."""
        return Archive(
            tuple(
                part.containing(changes[part.name]) if part.name in changes and part.kind == FILE else part
                for part in self.parts
            )
        )

    def without(self, name: str) -> Archive:
        return Archive(tuple(part for part in self.parts if part.name != name))

    def before(self, name: str) -> int:
        """Return how many bytes stand before a file."""
        return sum(len(part.raw) for part in self.parts[: self.place(name)])

    @cached_property
    def item(self) -> dict[str, Any]:
        """The first item of `manifest.json`, without regard to the case of its keys."""
        return {key.lower(): value for key, value in self.document("manifest.json")[0].items()}

    @cached_property
    def manifests(self) -> tuple[str, ...]:
        """The documents from the first entry of `index.json` down to the first image, in a layout."""
        names, below = [], self.document("index.json")["manifests"][0]
        while "config" not in (document := self.document(_path(below))):
            names.append(_path(below))
            below = next(child for child in document["manifests"] if _path(child) in self)
        return (*names, _path(below))

    @property
    def is_docker(self) -> bool:
        return "manifest.json" in self

    @property
    def is_layout(self) -> bool:
        return "index.json" in self

    @property
    def config(self) -> str:
        if self.is_layout:
            return _path(self.document(self.manifests[-1])["config"])
        return str(self.item["config"])

    @property
    def layers(self) -> list[str]:
        """The files of the layers, base first; one occurs as often as the image has it."""
        if self.is_layout:
            return [_path(layer) for layer in self.document(self.manifests[-1])["layers"]]
        return [self._target(name) for name in self.item["layers"]]

    def _target(self, name: str) -> str:
        links = {part.name: part.head for part in self.parts if part.kind == SYMBOLIC_LINK}
        return links[name][-BLOCK:][157:257].strip(b"\0").decode().removeprefix("../") if name in links else name

    def retold(self, changes: Mapping[str, bytes]) -> Archive:
        """Return a layout with other blobs, whose digests and sizes are told anew all the way up."""
        told = self
        while changes:
            names = {name: _blob(content) for name, content in changes.items()}
            parts, more = [], {}
            for part in told.parts:
                if part.name in changes:
                    parts.append(part.containing(changes[part.name]).named(names[part.name]))
                    continue
                content = part.content
                if part.kind == FILE and content[:1] in (b"{", b"["):
                    content = _retelling(content, {old: (names[old], len(changes[old])) for old in changes})
                if content == part.content:
                    parts.append(part)
                elif part.name.startswith("blobs/"):
                    parts.append(part)
                    more[part.name] = content
                else:
                    parts.append(part.containing(content))
            told, changes = Archive(tuple(parts)), more
        return told


def _path(descriptor: Mapping[str, Any]) -> str:
    return "blobs/" + str(descriptor["digest"]).replace(":", "/")


def _blob(content: bytes) -> str:
    return f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def _retelling(raw: bytes, blobs: Mapping[str, tuple[str, int]]) -> bytes:
    """Return a document with the new digests, sizes and paths of some blobs, or the same bytes if it has none."""
    found = False

    def told(value: Any) -> Any:
        nonlocal found
        if isinstance(value, dict):
            value = {key: told(inner) for key, inner in value.items()}
            if "digest" in value and _path(value) in blobs:
                found = True
                name, size = blobs[_path(value)]
                value |= {"digest": name.removeprefix("blobs/").replace("/", ":"), "size": size}
        elif isinstance(value, list):
            value = [told(inner) for inner in value]
        elif isinstance(value, str) and value in blobs:
            found = True
            value = blobs[value][0]
        return value

    document = told(json.loads(raw))
    return json.dumps(document).encode() if found else raw
