"""Platforms: operating system, architecture and variant.

Names are Go's (``GOOS``, ``GOARCH``), as in the OCI image specification; machine names such as
``x86_64`` are accepted too.  An image fits a machine of the same architecture with the same or a later
variant (``arm/v6`` runs on ``arm/v7``), and never a machine of another architecture.
"""

from __future__ import annotations

import platform as machine
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, Self

from imgfetch.errors import InvalidPlatformError
from imgfetch.text import closest, did_you_mean, quoted, sanitize

_TEXT = re.compile(
    r"(?P<os>[A-Za-z0-9_-]+)/(?P<architecture>[A-Za-z0-9_-]+)"
    r"(?:/(?P<variant>[A-Za-z0-9_.-]+))?(?::(?P<os_version>[A-Za-z0-9_.-]+))?"
)

_ARCHITECTURES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "i386": ("386", ""),
    "i486": ("386", ""),
    "i586": ("386", ""),
    "i686": ("386", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv5tel": ("arm", "v5"),
    "armv6l": ("arm", "v6"),
    "armv7l": ("arm", "v7"),
    "armv8l": ("arm", "v7"),
    "loongarch64": ("loong64", ""),
}
_OSES = {"macos": "darwin"}
_KNOWN_OSES = frozenset(
    {"aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl", "netbsd"}
    | {"openbsd", "plan9", "solaris", "windows", "zos"}
)
_KNOWN_ARCHITECTURES = frozenset(
    {"386", "amd64", "amd64p32", "arm", "armbe", "arm64", "arm64be", "loong64", "mips", "mipsle", "mips64", "mips64le"}
    | {"mips64p32", "mips64p32le", "ppc", "ppc64", "ppc64le", "riscv", "riscv64", "s390", "s390x", "sparc", "sparc64"}
    | {"wasm"}
)
"""Go's names, as containerd lists them; others are valid, but not alone."""
_DEFAULT_VARIANTS = {"arm": "v7", "arm64": "v8", "amd64": "v1"}
"""The implied variant of an architecture without one (containerd's ``platforms`` package)."""


class Members(Protocol):
    """A JSON object with text members, such as `strictjson.Object`."""

    what: str

    def text(self, key: str, /) -> str:
        """Return a member, or an empty text."""


@dataclass(frozen=True, slots=True)
class Platform:
    """An operating system and an architecture.

    Attributes:
        os: ``linux``, ``windows``, …
        architecture: ``amd64``, ``arm64``, ``arm``, …
        variant: ``v6``, ``v7``, ``v8``, … or empty.
        os_version: Windows' build, such as ``10.0.20348.2227``, or empty.
    """

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``OS/ARCH[/VARIANT][:OSVERSION]``; without ``OS/``, it is linux, and ``OS`` alone is for this machine.

        Source: containerd/platforms, ``Parse``, which docker uses.

        Raises:
            InvalidPlatformError: the text is malformed.
        """
        words = text.strip()
        name = _OSES.get(words.lower(), words.lower())
        if name in _KNOWN_OSES:
            return cls(name, default().architecture, default().variant)
        first = words.partition("/")[0]
        match = _TEXT.fullmatch(f"linux/{words}" if _is_architecture(first) else words)
        if match is None:
            suggestion = did_you_mean(closest(first.lower(), (*_KNOWN_ARCHITECTURES, *_ARCHITECTURES, *_KNOWN_OSES)))
            raise InvalidPlatformError(
                f"not a valid platform: {quoted(text)}{suggestion}",
                hint="write OS/ARCH[/VARIANT], such as linux/arm64 or linux/arm/v7",
            )
        return cls(match["os"], match["architecture"], match["variant"] or "", match["os_version"] or "").normalized()

    @classmethod
    def from_json(cls, members: Members) -> Self:
        """Read the members that name a platform, in any characters, as readers do.

        Raises:
            VerificationError: a member is not a string.
        """
        return cls(*map(members.text, ("os", "architecture", "variant", "os.version"))).normalized()

    def normalized(self) -> Self:
        """Return the platform with Go's names and without a default variant, except for ``arm``."""
        os = self.os.lower()
        architecture = self.architecture.lower()
        architecture, variant = _ARCHITECTURES.get(architecture, (architecture, ""))
        variant = self.variant.lower() or variant
        if variant.isdigit():
            variant = f"v{variant}"
        if architecture != "arm" and variant == _DEFAULT_VARIANTS.get(architecture):
            variant = ""
        return type(self)(_OSES.get(os, os), architecture, variant, self.os_version)

    def fit(self, wanted: Platform) -> int | None:
        """Rate content for this platform on ``wanted``: 0 is exact, higher is worse, ``None`` does not run."""
        here, there = self.normalized(), wanted.normalized()
        if (here.os, here.architecture) != (there.os, there.architecture):
            return None
        if there.os_version and not _same_build(here.os_version, there.os_version):
            return None
        if here.variant == there.variant:
            return 0
        return _steps_down(here.architecture, here.variant, there.variant)

    def suggestion(self, others: Iterable[str]) -> str:
        """Return a question whether one of other platforms is meant, if this one has an unknown name."""
        if self.os in _KNOWN_OSES and _is_architecture(self.architecture):
            return ""
        return did_you_mean(closest(str(self), others))

    @property
    def is_known(self) -> bool:
        """True if it names a machine; attestations use ``unknown/unknown``."""
        return bool(self.os and self.architecture) and "unknown" not in (self.os, self.architecture)

    def __str__(self) -> str:
        """Return ``OS/ARCH[/VARIANT][:OSVERSION]``, safe to show."""
        variant = f"/{self.variant}" if self.variant else ""
        version = f":{self.os_version}" if self.os_version else ""
        return sanitize(f"{self.os}/{self.architecture}{variant}{version}")


def _is_architecture(text: str) -> bool:
    """Return whether a text is the known name of an architecture."""
    name = text.lower()
    return name in _ARCHITECTURES or name in _KNOWN_ARCHITECTURES


def default() -> Platform:
    """Return linux on this machine's architecture, as docker would."""
    return Platform("linux", machine.machine() or "amd64").normalized()


def _same_build(version: str, wanted: str) -> bool:
    """Compare Windows versions to the precision of ``wanted``."""
    return version == wanted or version.startswith(f"{wanted}.")


def _steps_down(architecture: str, variant: str, wanted: str) -> int | None:
    """Return how many variants below ``wanted`` this one is."""
    fallback = _DEFAULT_VARIANTS.get(architecture)
    if fallback is None:
        return None
    have, want = _version(variant or fallback), _version(wanted or fallback)
    if have is None or want is None or have > want:
        return None
    return (want[0] - have[0]) * 100 + want[1] - have[1]


def _version(variant: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"v(\d{1,3})(?:\.(\d{1,2}))?", variant)
    return (int(match[1]), int(match[2] or 0)) if match else None
