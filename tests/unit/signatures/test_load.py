"""Policies come from files; without the libraries, or with another file, the error says so."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from sigstore import models
from sigstore.models import TransparencyLogEntry

from imgfetch.errors import StorageError, UnsupportedError
from imgfetch.signatures.load import CertificateIdentity, load_policy
from imgfetch.text import installation
from tests.authority import IDENTITY, ISSUER, Authority, new_key
from tests.signing import public_pem


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "cosign.pub"
    path.write_bytes(public_pem(new_key()))
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / "trusted_root.json"
    path.write_bytes(Authority().trusted_root())
    return path


def test_all_keys_and_the_identity_are_required(key: Path, root: Path) -> None:
    policy = load_policy([key, str(key)], CertificateIdentity(root, IDENTITY, issuer_regexp="^https://"))
    assert policy.names == (*[f"key {key}"] * 2, f"the identity '{IDENTITY}' (issuer matching '^https://')")


def test_without_a_key_and_an_identity_there_is_no_policy() -> None:
    with pytest.raises(ValueError, match="would accept everything"):
        load_policy()


@pytest.mark.parametrize("library", ["cryptography", "sigstore"])
def test_without_the_libraries_the_extra_is_named(
    library: str, key: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(sys.modules):
        if name.split(".")[0] == library or name.startswith("imgfetch.signatures.key"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    keys = [key] if library == "cryptography" else []
    identity = CertificateIdentity(root, IDENTITY, ISSUER) if library == "sigstore" else None
    with pytest.raises(UnsupportedError, match=f"without the library {library}") as caught:
        load_policy(keys, identity)
    assert caught.value.hint == installation("signatures")


@pytest.mark.parametrize("name", ["_verify", "_verify_set"])
def test_another_version_of_the_library_is_refused_and_not_the_signatures(
    name: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(TransparencyLogEntry, name)
    with pytest.raises(UnsupportedError, match=rf"^sigstore {version('sigstore')} has no TransparencyLogEntry.{name}$"):
        load_policy([], CertificateIdentity(root, IDENTITY, ISSUER))


def test_a_library_that_has_moved_its_parts_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "imgfetch.signatures.keyless", raising=False)
    monkeypatch.delattr(models, "TrustedRoot")
    with pytest.raises(UnsupportedError, match=r"cannot import name 'TrustedRoot' from 'sigstore\.models'"):
        load_policy([], CertificateIdentity(root, IDENTITY, ISSUER))


def test_a_missing_file_is_an_error_with_its_option(tmp_path: Path, key: Path) -> None:
    with pytest.raises(StorageError, match=r"^--key .*/missing: No such file"):
        load_policy([key, tmp_path / "missing"], None)
    with pytest.raises(StorageError, match=r"^--trusted-root .*/missing: No such file"):
        load_policy([], CertificateIdentity(tmp_path / "missing", IDENTITY, ISSUER))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b'{"mediaType": "x"}',
        Authority().trusted_root(tlogs=[]),
        Authority().trusted_root(certificateAuthorities=[]),
        Authority().trusted_root().replace(b'"ctlogs"', b'"tlogs"'),
    ],
    ids=["empty", "no members", "an array", "no authority", "no log", "no certificate", "a key that occurs twice"],
)
def test_a_malformed_trusted_root_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "trusted_root.json"
    path.write_bytes(content)
    with pytest.raises(
        StorageError, match=r"--trusted-root .*trusted_root\.json: not a valid trusted root: "
    ) as caught:
        load_policy([], CertificateIdentity(path, IDENTITY, ISSUER))
    assert caught.value.hint == "--trusted-root expects a trusted_root.json, as cosign trusted-root create writes it"
