"""Policies from the files and texts of a command line.

The libraries are an extra, `imgfetch[signatures]`, and slow to import, so only a policy imports them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from imgfetch.errors import StorageError, UnsupportedError
from imgfetch.inputs import read_settings
from imgfetch.signatures.policy import Policy, Signer
from imgfetch.text import installation, sanitize


class CertificateIdentity(NamedTuple):
    """An identity that must have signed, as certificates name it; a pattern has Go's syntax, and is searched for.

    Attributes:
        trusted_root: the file with the authorities and logs, in sigstore's JSON.
        identity: the email address or URI.
        issuer: the URL of the issuer that checked it.
        identity_regexp: a pattern for it instead.
        issuer_regexp: a pattern for the issuer instead.
    """

    trusted_root: str | os.PathLike[str]
    identity: str = ""
    issuer: str = ""
    identity_regexp: str = ""
    issuer_regexp: str = ""


def load_policy(keys: Sequence[str | os.PathLike[str]] = (), identity: CertificateIdentity | None = None) -> Policy:
    """Read public keys and a trusted root, and return the policy that requires a signature by each.

    Args:
        keys: files with public keys in PEM form.
        identity: an identity in certificates.

    Raises:
        ValueError: there is neither a key nor an identity.
        StorageError: a file cannot be read, or has other content.
        UnsupportedError: a pattern is malformed, or the libraries are not installed.
    """
    try:
        signers: list[Signer] = [_key(Path(path)) for path in keys]
        return Policy([*signers, *([_keyless(identity)] if identity else [])])
    except ModuleNotFoundError as error:
        raise UnsupportedError(
            f"cannot verify signatures without the library {error.name}",
            hint=installation("signatures"),
        ) from None
    except ImportError as error:
        raise UnsupportedError(
            f"cannot verify signatures with this version of a library: {error}",
            hint=installation("signatures"),
        ) from None


def _key(path: Path) -> Signer:
    from imgfetch.signatures.keys import Key  # noqa: PLC0415

    return Key(str(path), _content("--key", path))


def _keyless(wanted: CertificateIdentity) -> Signer:
    from imgfetch.signatures.identity import Identity, Wanted  # noqa: PLC0415
    from imgfetch.signatures.keyless import Keyless  # noqa: PLC0415

    subject = Wanted.parse(wanted.identity, wanted.identity_regexp)
    identity = Identity(subject, Wanted.parse(wanted.issuer, wanted.issuer_regexp))
    path = Path(wanted.trusted_root)
    return Keyless(identity, _content("--trusted-root", path), str(path))


def _content(option: str, path: Path) -> bytes:
    try:
        return read_settings(path)
    except OSError as error:
        raise StorageError(f"{option} {sanitize(str(path))}: {error.strerror}", path=path) from error
