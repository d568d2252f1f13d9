"""Content digests.

``sha256:`` with 64 lower-case hexadecimal digits, or ``sha512:`` with 128: the registered
algorithms of the OCI image specification ("Digests").  Nothing else reaches a URL or a file
name (docs/registries.md#digests-from-headers).
"""

from __future__ import annotations

import hashlib
import re
import sys
from dataclasses import dataclass
from typing import Self

from imgfetch.errors import VerificationError
from imgfetch.text import sanitize

_PATTERN = re.compile(r"(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128})")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """An algorithm, ``sha256`` or ``sha512``, and an encoded hash."""

    algorithm: str
    encoded: str

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read ``algorithm:encoded``.

        Raises:
            VerificationError: the text is malformed, or names an unregistered algorithm.
        """
        match = _PATTERN.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            shown = sanitize(text) if isinstance(text, str) else type(text).__name__
            raise VerificationError(
                "not a valid digest", wanted="sha256:<64 hex digits> or sha512:<128 hex digits>", got=shown
            )
        return cls(sys.intern(match[1] or match[3]), match[2] or match[4])

    @classmethod
    def of(cls, content: bytes, algorithm: str = "sha256") -> Self:
        """Return the digest of ``content``."""
        return cls(algorithm, hashlib.new(algorithm, content).hexdigest())

    def hasher(self) -> Hasher:
        """Return a new hasher for this digest's algorithm."""
        return Hasher(self.algorithm)

    def matches(self, hasher: Hasher) -> bool:
        """Return whether the hashed content has this digest."""
        return hasher.digest == self

    def __str__(self) -> str:
        """Return ``algorithm:encoded``."""
        return f"{self.algorithm}:{self.encoded}"


class Hasher:
    """Hashes content that arrives in pieces."""

    def __init__(self, algorithm: str) -> None:
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm)

    def update(self, data: bytes | memoryview) -> None:
        """Hash more content."""
        self._hash.update(data)

    @property
    def digest(self) -> Digest:
        """The digest of the content so far."""
        return Digest(self._algorithm, self._hash.hexdigest())
