"""Storage of credentials where docker keeps them: a credential helper, or ``config.json``.

The file keeps every member that imgfetch does not know, is replaced atomically, and is readable by its user only.  A
file that cannot be parsed is an error and stays as it is.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from pathlib import Path

from imgfetch.auth.credentials import HUB_KEY, same_host
from imgfetch.auth.helpers import Helpers, members
from imgfetch.auth.login import Login
from imgfetch.errors import AuthenticationError
from imgfetch.files import atomic_write, storage_errors
from imgfetch.inputs import read_settings
from imgfetch.oci.reference import DOCKER_HUB
from imgfetch.text import sanitize

_PRIVATE, _PRIVATE_DIRECTORY = 0o600, 0o700


class Keyring:
    """The credentials in one file and the helpers that it names.

    Its methods raise an `AuthenticationError` for a malformed file or a failing helper, and a `StorageError` if the
    file cannot be read or written.

    Args:
        file: a ``config.json``, which need not exist; a link to it is followed.
        path: ``$PATH``, to find helpers in.
    """

    def __init__(self, file: Path, path: str) -> None:
        self._file = Path(os.path.realpath(file))
        self._helpers = Helpers(path)

    def keep(self, registry: str, login: Login) -> str:
        """Store credentials, and return the place for messages."""
        content = self._read()
        key = _key(registry)
        if helper := _helper(content, registry):
            self._helpers.store(helper, key, login)
            self._write(_with_entry(content, key, {}))
            return f"docker-credential-{sanitize(helper)}"
        pair = f"{login.username}:{login.password}".encode("utf-8", "surrogateescape")
        self._write(_with_entry(content, key, {"auth": base64.b64encode(pair).decode()}))
        return sanitize(str(self._file))

    def forget(self, registry: str) -> bool:
        """Remove credentials, and return whether there were any."""
        content = self._read()
        helper = _helper(content, registry)
        is_erased = bool(helper) and self._helpers.erase(helper, _key(registry))
        auths = _member(content, "auths")
        known = content.get(auths, {})
        left = {key: entry for key, entry in known.items() if not same_host(key, registry)}
        if len(left) < len(known):
            self._write({**content, auths: left})
        return is_erased or len(left) < len(known)

    def _read(self) -> dict[str, dict[str, object]]:
        """Return the file's members; those of credentials are objects."""
        with storage_errors(self._file, "read"):
            try:
                raw = read_settings(self._file)
            except FileNotFoundError:
                raw = b""
        if not raw.strip():
            return {}
        members(raw, sanitize(str(self._file)))
        content: dict[str, dict[str, object]] = json.loads(raw.decode("utf-8-sig"))
        for name in ("auths", "credHelpers"):
            key = _member(content, name)
            if not isinstance(content.get(key, {}), dict):
                raise AuthenticationError(f"{sanitize(str(self._file))} has an '{name}' that is not an object")
        return content

    def _write(self, content: Mapping[str, object]) -> None:
        with storage_errors(self._file.parent, "create"):
            self._file.parent.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        with atomic_write(self._file, mode=_PRIVATE, durable=True) as file:
            file.write(f"{json.dumps(content, indent=chr(9), ensure_ascii=False)}\n".encode())


def _key(registry: str) -> str:
    return HUB_KEY if registry == DOCKER_HUB else registry


def _helper(content: Mapping[str, Mapping[str, object]], registry: str) -> str:
    """Return the name of the helper for a registry, or nothing."""
    own = content.get(_member(content, "credHelpers"), {})
    found: object = content.get(_member(content, "credsStore"), "")
    for key, name in own.items():
        if same_host(key, registry):
            found = name
    if not isinstance(found, str):
        raise AuthenticationError("the name of a credential helper is not a string")
    return found


def _with_entry(
    content: Mapping[str, Mapping[str, object]], key: str, entry: Mapping[str, str]
) -> dict[str, Mapping[str, object]]:
    auths = _member(content, "auths")
    kept = {name: value for name, value in content.get(auths, {}).items() if name != key}
    return {**content, auths: {**kept, key: entry}}


def _member(content: Mapping[str, object], name: str) -> str:
    """Return a member's name as the file spells it, because docker accepts any case."""
    return next((key for key in content if key.lower() == name.lower()), name)
