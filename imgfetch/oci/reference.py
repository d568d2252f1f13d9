"""Image references.

The grammar is the distribution project's (``distribution/reference: reference.go``)::

    reference  := name [ ":" tag ] [ "@" digest ]
    name       := [ domain "/" ] path
    domain     := host [ ":" port ]
    host       := domain-name | IPv4 address | "[" IPv6 address "]"
    path       := component { "/" component }
    component  := alphanumeric { separator alphanumeric }
    separator  := "_" | "__" | "." | one or more "-"
    tag        := word character { word character | "." | "-" }, at most 128
    digest     := algorithm ":" hexadecimal

A first component is a domain if it has a ``.`` or ``:``, an upper-case letter, or is ``localhost``;
without one the domain is ``docker.io``, where a path of one component belongs to ``library/``.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Self

from imgfetch.errors import InvalidReferenceError, VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.text import quoted, sanitize

DOCKER_HUB = "docker.io"
DEFAULT_TAG = "latest"
MAX_REPOSITORY = 255
MAX_REFERENCE = 4096
"""Characters that are looked at; no valid reference is nearly as long."""

_MAX_FILE_NAME = 255 - len(".tar.zst")
"""Bytes of a file name without a suffix that file systems accept with one."""
_SHORT = 12
"""Digits of a digest in a file name, as docker shows them."""
_HUB_NAMES = frozenset({DOCKER_HUB, "index.docker.io"})
_HUB_NAMESPACE = "library"

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?")
_COMPONENT = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_PATH = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_IMAGE_ID = re.compile(r"[a-f0-9]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's full name.

    Attributes:
        registry: host and port, such as ``quay.io`` or ``localhost:5000``; Docker Hub is ``docker.io``.
        repository: the path within the registry, such as ``library/busybox``.
        digest: takes precedence over the tag.
    """

    registry: str
    repository: str
    tag: str | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference as ``docker pull`` does, with the same grammar and defaults.

        Source: ``ParseNormalizedNamed`` of distribution/reference.

        Raises:
            InvalidReferenceError: the text is malformed; the message names the invalid part.
        """
        if not text:
            raise InvalidReferenceError("the reference is empty", hint="write [REGISTRY/]REPOSITORY[:TAG][@DIGEST]")
        if len(text) > MAX_REFERENCE:
            raise InvalidReferenceError(f"the reference is too long: {len(text)} characters")
        _refuse_lookalikes(text)
        rest, at, digest_text = text.partition("@")
        digest = _digest(digest_text, text) if at else None
        registry, rest = _split_registry(rest)
        repository, colon, tag = rest.partition(":")
        if not repository:
            raise _invalid(text, "the repository is missing")
        _check_registry(registry, text)
        _check_repository(repository, text)
        if colon and not _TAG.fullmatch(tag):
            raise _invalid(
                text,
                f"{tag!r} is not a valid tag: use up to 128 letters, digits, '_', '.' and '-', and no '.' or '-' first",
            )
        if registry == DOCKER_HUB and "/" not in repository:
            repository = f"{_HUB_NAMESPACE}/{repository}"
        if len(repository) > MAX_REPOSITORY:
            raise _invalid(text, f"the repository has {len(repository)} characters, more than {MAX_REPOSITORY}")
        return cls(registry, repository, tag or None, digest)

    @property
    def name(self) -> str:
        """``registry/repository``."""
        return f"{self.registry}/{self.repository}"

    @property
    def target(self) -> str:
        """The end of the manifest's URL: the digest, else the tag, else ``latest``."""
        return str(self.digest) if self.digest else self.tag or DEFAULT_TAG

    @property
    def file_name(self) -> str:
        """A file name without a suffix, such as ``alpine_3.20`` or ``quay.io_team_app_1@0a4eaa0eecf5``.

        Different references may have the same one.  Readers such as podman cannot open a path with a colon.  A name
        that is too long for a file ends in a hash of the whole name.
        """
        digest = f"@{self.digest.encoded[:_SHORT]}" if self.digest else ""
        name = f"{replace(self, digest=None)}{digest}".removeprefix(f"{DOCKER_HUB}/").removeprefix(f"{_HUB_NAMESPACE}/")
        name = name.replace("/", "_").replace(":", "_")
        if len(name) <= _MAX_FILE_NAME:
            return name
        end = f"_{hashlib.sha256(str(self).encode()).hexdigest()[:32]}"
        return name[: _MAX_FILE_NAME - len(end)] + end

    def with_default_tag(self) -> Self:
        """Return the reference, with the tag ``latest`` if it has neither tag nor digest."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def __str__(self) -> str:
        """Return the canonical name, ``registry/repository[:tag][@digest]``."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def is_tag(text: str) -> bool:
    """Return whether a text is a valid tag."""
    return _TAG.fullmatch(text) is not None


def parse_location(text: str) -> tuple[str, str]:
    """Split the start of a name, ``registry[/path]``; the path may be empty.

    Raises:
        InvalidReferenceError: the text is malformed.
    """
    if "@" in text:
        raise _has_login()
    first, _, path = text.partition("/")
    registry, rest = _split_registry(f"{first}/")
    if rest:
        raise _not_a_registry(first, text)
    _check_registry(registry, text)
    if path:
        _check_repository(path, text)
    if len(path) >= MAX_REPOSITORY:
        raise _invalid(text, f"the path has {len(path)} characters, which leaves no room for a repository")
    return registry, path


def _split_registry(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    is_registry = "." in first or ":" in first or first == "localhost" or first.lower() != first
    if not slash or not is_registry:
        return DOCKER_HUB, name
    return (DOCKER_HUB if first in _HUB_NAMES else first), rest


def _check_registry(registry: str, text: str) -> None:
    if not _DOMAIN.fullmatch(registry):
        raise _not_a_registry(registry, text)


def _not_a_registry(registry: str, text: str) -> InvalidReferenceError:
    return _invalid(text, f"{registry!r} is not a valid registry: use a host name or address, with an optional port")


def _check_repository(repository: str, text: str) -> None:
    if repository.lower() != repository:
        raise _invalid(text, f"the repository {repository!r} must be lower-case")
    for component in repository.split("/"):
        if not component:
            raise _invalid(text, f"the repository {repository!r} has an empty part")
        if not _PATH.fullmatch(component):
            raise _invalid(
                text,
                f"{component!r} in the repository is not valid: use lower-case letters and digits, "
                "separated by '.', '_', '__' or '-'",
            )


def _digest(digest: str, text: str) -> Digest:
    try:
        return Digest.parse(digest)
    except VerificationError as error:
        raise _invalid(text, str(error)) from None


def _refuse_lookalikes(text: str) -> None:
    """Report mistakes that the grammar alone would accept or misname (docs/registries.md#secrets-in-messages)."""
    if _IMAGE_ID.fullmatch(text):
        raise _invalid(text, "64 hexadecimal digits are an image ID, not a name")
    if text.startswith("[") and "/" not in text:
        raise _invalid(text, "the repository is missing")
    if "://" in text:
        raise InvalidReferenceError(
            "a reference is not a URL", hint="leave out the scheme: write REGISTRY/REPOSITORY[:TAG]"
        )
    before, at, after = text.rpartition("@")
    if at and ("/" in after or "@" in before):  # a digest has no slash and occurs once
        raise _has_login()


def _has_login() -> InvalidReferenceError:
    return InvalidReferenceError(
        "a name cannot contain a user name or password",
        hint="log in with imgfetch login REGISTRY, and leave the credentials out of the name",
    )


def _invalid(text: str, reason: str) -> InvalidReferenceError:
    return InvalidReferenceError(f"invalid reference {quoted(text)}: {sanitize(reason)}")
