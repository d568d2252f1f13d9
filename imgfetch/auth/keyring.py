"""Storage of credentials where docker keeps them: a credential helper, or ``config.json``.

The file keeps its owner and its text but for the entry, is replaced atomically by one process at a time, and is
readable by its user only.  A file that cannot be parsed is an error and stays as it is.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from imgfetch.auth import jsontext
from imgfetch.auth.credentials import HUB_KEY, same_host
from imgfetch.auth.helpers import Helpers, members
from imgfetch.auth.login import Login
from imgfetch.errors import AuthenticationError, StorageError
from imgfetch.files import atomic_write, locked_directory, storage_errors
from imgfetch.inputs import read_settings
from imgfetch.oci.reference import DOCKER_HUB
from imgfetch.text import sanitize

_PRIVATE, _PRIVATE_DIRECTORY = 0o600, 0o700

_Content: TypeAlias = dict[str, dict[str, object]]


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

    def require(self, registry: str) -> None:
        """Raise the error of `keep`, as far as it is known without credentials, before anybody enters some."""
        file = sanitize(str(self._file))
        try:
            if helper := _helper(self._content(self._text()), registry):
                self._helpers.require(helper)
        except AuthenticationError as error:
            raise error.replace(hint=f"mend {file}, or pass --authfile FILE") from None
        parent = next(filter(os.path.exists, self._file.parents))  # a closed directory does not exist
        if not os.access(parent, os.W_OK | os.X_OK, effective_ids=True):
            raise StorageError(
                f"cannot write {file}: {sanitize(str(parent))} is not writable",
                hint="pass --authfile FILE, or set DOCKER_CONFIG to another directory",
                path=self._file,
            )

    def keep(self, registry: str, login: Login) -> str:
        """Store credentials, and return the place for messages."""
        key = _key(registry)
        if helper := _helper(self._content(self._text()), registry):
            self._helpers.store(helper, key, login)
            self._change(lambda text: _with_entry(text, key, {}))
            return f"docker-credential-{sanitize(helper)}"
        pair = f"{login.username}:{login.password}".encode("utf-8", "surrogateescape")
        self._change(lambda text: _with_entry(text, key, {"auth": base64.b64encode(pair).decode()}))
        return sanitize(str(self._file))

    def forget(self, registry: str) -> bool:
        """Remove credentials, and return whether there were any."""
        text = self._text()
        helper = _helper(self._content(text), registry)
        is_erased = bool(helper) and self._helpers.erase(helper, _key(registry))
        is_known = _without_entries(text, registry) != text
        if is_known:
            self._change(lambda text: _without_entries(text, registry))
        return is_erased or is_known

    def _text(self) -> str:
        """Return the file's text, which is a JSON object."""
        with storage_errors(self._file, "read"):
            try:
                raw = read_settings(self._file)
            except FileNotFoundError:
                raw = b""
        if not raw.strip():
            return "{}\n"
        members(raw, sanitize(str(self._file)))
        return raw.decode("utf-8-sig")

    def _content(self, text: str) -> _Content:
        """Return the members of a text; those of credentials are objects."""
        content: _Content = json.loads(text)
        for name in ("auths", "credHelpers"):
            key = _member(content, name)
            if content.get(key) is None:  # or null, as docker accepts
                content.pop(key, None)
            elif not isinstance(content[key], dict):
                raise AuthenticationError(f"'{name}' in {sanitize(str(self._file))} is not an object")
        return content

    def _change(self, change: Callable[[str], str]) -> None:
        """Replace the file, which no other process of imgfetch changes meanwhile."""
        with storage_errors(self._file.parent, "create"):
            self._file.parent.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        with locked_directory(self._file.parent):
            text = self._text()
            self._content(text)
            text = change(text)
            with atomic_write(self._file, mode=_PRIVATE, durable=True) as file:
                with suppress(OSError):  # there is no file yet, or this user must not give files away
                    owner = self._file.lstat()
                    os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
                file.write(text.encode())


def _key(registry: str) -> str:
    return HUB_KEY if registry == DOCKER_HUB else registry


def _helper(content: _Content, registry: str) -> str:
    """Return the name of the helper for a registry, or nothing."""
    own = content.get(_member(content, "credHelpers"), {})
    found: object = content.get(_member(content, "credsStore"), "")
    for key, name in own.items():
        if same_host(key, registry):
            found = name
    if not isinstance(found or "", str):
        raise AuthenticationError("the name of a credential helper is not a string")
    return str(found or "")


def _with_entry(text: str, key: str, entry: Mapping[str, str]) -> str:
    """Return a text with an entry in the last ``auths``, which counts."""
    root = text.index("{")
    first = next(iter(jsontext.members(text, root)), None)
    unit = text[root + 1 : first.begin].strip("\r\n") if first else ""
    unit = unit or "\t"
    auths = next(reversed(_auths(text)), None)
    if auths and text[auths.start] == "{":
        return jsontext.put(text, auths.start, key, entry, indent=unit, unit=unit)
    return jsontext.put(text, root, auths.name if auths else "auths", {key: entry}, unit=unit)


def _without_entries(text: str, registry: str) -> str:
    for auths in reversed(_auths(text)):
        if text[auths.start] == "{":
            text = jsontext.without(text, auths.start, lambda key: same_host(key, registry))
    return text


def _auths(text: str) -> list[jsontext.Member]:
    return [each for each in jsontext.members(text, text.index("{")) if each.name.lower() == "auths"]


def _member(content: Mapping[str, object], name: str) -> str:
    """Return a member's name as the file spells it, because docker accepts any case, and the last one counts."""
    return next((key for key in reversed(list(content)) if key.lower() == name.lower()), name)
