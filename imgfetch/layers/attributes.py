"""Extended attributes in a PAX header, by Linux's limits (xattr(7)) and by what readers refuse beyond them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from imgfetch.layers.tarheaders import HeaderError, decoded
from imgfetch.text import quoted

_PREFIX = b"SCHILY.xattr."
_MAX_NAME, _MAX_VALUE = 255, 65536
_EXT4 = 4000  # bytes that a value may always have there
_SHOWN = 100
_NAMESPACES = frozenset({b"user", b"trusted", b"security", b"system"})
_SYMBOLIC_LINK, _SPECIAL = b"2", frozenset({b"3", b"4", b"6"})
_CAPABILITIES = b"security.capability"
_CAPABILITY_SIZES = {1: 12, 2: 20, 3: 24}
"""Bytes of a file's capabilities by their version, which is the fourth byte."""
_ACL_VERSION, _ACL_ENTRY = b"\2\0\0\0", 8


def oddity_of_attributes(kind: bytes, records: Mapping[bytes, bytes]) -> str:
    """Describe what some readers refuse in the attributes of a file, if there is anything.

    Raises:
        HeaderError: all readers refuse them.
    """
    found = ""
    for key, value in records.items():
        if key.startswith(_PREFIX) and value:
            name = key.removeprefix(_PREFIX)
            if not 0 < len(name) <= _MAX_NAME or len(value) > _MAX_VALUE:
                raise HeaderError(
                    f"the extended attribute {_shown(name)} has no name, or a name or value that is too long"
                )
            if name in _FORMS and not _FORMS[name](value):
                raise HeaderError(f"the extended attribute {_shown(name)} is malformed")
            readers = "" if found else _refusing(kind, name, value)
            if readers:
                found = f"it has the extended attribute {_shown(name)} on {_what(kind)}, which {readers}"
    return found


def _refusing(kind: bytes, name: bytes, value: bytes) -> str:
    namespace, dot, _ = name.partition(b".")
    if len(value) > _EXT4:
        return f"has {len(value)} bytes: docker, containerd and podman refuse that on ext4"
    if not dot or namespace not in _NAMESPACES or (name == _CAPABILITIES and kind == _SYMBOLIC_LINK):
        return "docker 28's classic store refuses"
    if namespace == b"user" and kind == _SYMBOLIC_LINK:
        return "docker 28's classic store and podman refuse"
    if namespace == b"user" and kind in _SPECIAL:
        return "podman refuses"
    return ""


def _shown(name: bytes) -> str:
    return quoted(decoded(name[:_SHOWN]))


def _what(kind: bytes) -> str:
    return "a symbolic link" if kind == _SYMBOLIC_LINK else "a device or pipe" if kind in _SPECIAL else "a file"


def _is_capabilities(value: bytes) -> bool:
    """Accept one flag, the lowest bit."""
    if _CAPABILITY_SIZES.get(int.from_bytes(value[3:4], "big")) != len(value):
        return False
    return not value[0] & 0xFE and value[1:3] == b"\0\0"


def _is_acl(value: bytes) -> bool:
    return value.startswith(_ACL_VERSION) and len(value) % _ACL_ENTRY == len(_ACL_VERSION)


_FORMS: Mapping[bytes, Callable[[bytes], bool]] = {
    _CAPABILITIES: _is_capabilities,
    b"system.posix_acl_access": _is_acl,
    b"system.posix_acl_default": _is_acl,
}
