"""The names of an archive's images at another registry.

``docker.io/library/alpine:3.20`` becomes ``REGISTRY/PREFIX/library/alpine:3.20``: the registry's name is left out, and
the rest is appended.  A `Rewrite` replaces the beginning of a name, the registry's included, before that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple, Self

from imgfetch.errors import InvalidReferenceError
from imgfetch.oci.digest import Digest
from imgfetch.oci.names import one_or_many
from imgfetch.oci.reference import Reference, is_tag, parse_location
from imgfetch.text import quoted

_NO_REGISTRY = re.compile(r"(?!localhost(?:/|$))[a-z0-9_-]+(?:/[a-z0-9._/-]*)?$")


class Rewrite(NamedTuple):
    """A replacement of the beginning of names, which ends before a slash or with the name."""

    old: str
    new: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``OLD=NEW``, such as ``quay.io/x=team/x``.

        Raises:
            InvalidReferenceError: the text is malformed.
        """
        old, sign, new = text.partition("=")
        old, new = old.rstrip("/"), new.strip("/")
        if not sign or not old:
            raise InvalidReferenceError(
                f"{quoted(text)} is not a valid rewrite", hint="write OLD=NEW, such as quay.io/x=team/x"
            )
        return cls(old, new)

    def applied(self, name: str) -> str | None:
        """Return the new path of a name such as ``quay.io/x/y``, or ``None`` if it begins otherwise."""
        if name != self.old and not name.startswith(f"{self.old}/"):
            return None
        return f"{self.new}{name[len(self.old) :]}".strip("/")


class Destination(NamedTuple):
    """A registry that receives images, the beginning of their names there, and rewrites.

    Attributes:
        registry: host and port.
        prefix: the beginning of all repositories, perhaps empty.
        rewrites: the longest one that fits a name is applied.
    """

    registry: str
    prefix: str = ""
    rewrites: tuple[Rewrite, ...] = ()

    @classmethod
    def parse(cls, text: str, rewrites: str | Rewrite | Iterable[str | Rewrite] = ()) -> Self:
        """Read ``REGISTRY[/PREFIX]``.

        Raises:
            InvalidReferenceError: it, or a rewrite, is malformed.
        """
        _refuse_others(text)
        several: tuple[str | Rewrite, ...] = one_or_many(rewrites)
        parsed = [Rewrite.parse(each) if isinstance(each, str) else each for each in several]
        longest_first = sorted(parsed, key=lambda rewrite: len(rewrite.old), reverse=True)
        return cls(*parse_location(text.rstrip("/")), tuple(longest_first))

    def __str__(self) -> str:
        """Return ``REGISTRY[/PREFIX]``."""
        return f"{self.registry}/{self.prefix}".rstrip("/")

    def of(self, name: str, digest: Digest) -> Reference:
        """Return the reference here for a name in an archive: a full name, a bare tag, or nothing.

        Without a repository, the image gets the prefix as its repository; without a tag, its digest.

        Raises:
            InvalidReferenceError: the result is not a valid reference, or there is no repository for it.
        """
        if "/" in name:
            source = Reference.parse(name)
            path, tag = self._path(source), source.tag
        else:
            path, tag = "", name if is_tag(name) else None
        repository = "/".join(filter(None, (self.prefix, path)))
        if not repository:
            raise InvalidReferenceError(
                f"the archive gives no name to {name or digest}", hint=f"add one: {self.registry}/NAME"
            )
        target = Reference.parse(f"{self.registry}/{repository}")
        return Reference(target.registry, target.repository, tag, None if tag else digest)

    def repositories(self, names: Iterable[str]) -> tuple[str, ...]:
        """Return the repositories here for full names in an archive; other names are left out."""
        found: dict[str, None] = {}
        for name in names:
            with suppress(InvalidReferenceError):
                path = self._path(Reference.parse(name))
                found["/".join(filter(None, (self.prefix, path)))] = None
        return tuple(found)

    def _path(self, source: Reference) -> str:
        rewritten = (rewrite.applied(source.name) for rewrite in self.rewrites)
        return next((path for path in rewritten if path is not None), source.repository)


def _refuse_others(text: str) -> None:
    """Report a destination that other tools would accept: a URL, the name of one image, or one at Docker Hub."""
    if "://" in text:
        raise InvalidReferenceError("a destination is not a URL", hint="leave out the scheme: write REGISTRY[/PREFIX]")
    if ":" in text.partition("/")[2].partition("@")[0]:
        raise InvalidReferenceError(
            "a destination has no tag",
            hint="images keep their names and tags: write REGISTRY[/PREFIX], and change a name with --rewrite OLD=NEW",
        )
    if _NO_REGISTRY.match(text):
        raise InvalidReferenceError(
            f"the destination {quoted(text)} has no registry",
            hint=f"write REGISTRY[/PREFIX]; Docker Hub's is docker.io/{text}",
        )
