"""Programs that sign images and verify signatures, without any network but the registry's on the loopback.

cosign 2.5 is that of Debian's trixie, which writes signatures under tags; cosign 3.1, of the tree of newer engines,
writes bundles as referrers; notation 1.3 writes signatures as referrers.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests import debs, modern
from tests.engines import ConsumerError
from tests.tools import missing

_COMMAND = 120.0  # seconds


@dataclass(frozen=True)
class Signer:
    """A program with a directory of its own.

    Attributes:
        program: its path.
        directory: its home, with its keys.
    """

    program: Path
    directory: Path

    def run(self, *words: str | Path, **variables: str | Path) -> str:
        """Run the program with further environment variables, and return its stdout.

        Raises:
            ConsumerError: it fails.
        """
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "XDG_CONFIG_HOME": str(self.directory / "config"),
            "COSIGN_PASSWORD": "",
            "COSIGN_YES": "true",
            **{name: str(value) for name, value in variables.items()},
        }
        done = subprocess.run(
            [str(word) for word in (self.program, *words)],
            cwd=self.directory,
            env=environment,
            capture_output=True,
            check=False,
            timeout=_COMMAND,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode:
            raise ConsumerError(f"{self.program.name} {words[0]}: {done.stderr.decode()[-2000:]}")
        return done.stdout.decode()


class Cosign(Signer):
    """Cosign with a pair of keys; references must have a digest."""

    @property
    def _key(self) -> Path:
        key = self.directory / "cosign.key"
        if not key.exists():
            self.run("generate-key-pair")
        return key

    @property
    def public_key(self) -> Path:
        """The file with the public key."""
        return self._key.with_suffix(".pub")

    @property
    def is_new(self) -> bool:
        """True for cosign 3, which makes bundles, and leaves out the log only by a configuration."""
        return "--signing-config" in self._help

    def sign(self, reference: str, *options: str | Path) -> None:
        """Sign an image or index in a registry."""
        self.run("sign", "--key", self._key, *self._offline, "--allow-http-registry", *options, reference)

    def attest(self, reference: str, *options: str | Path) -> None:
        """Add an attestation to an image in a registry."""
        predicate = self.directory / "predicate.json"
        predicate.write_text('{"tested": true}')
        about = ("--predicate", predicate, "--type", "custom")
        self.run("attest", "--key", self._key, *about, *self._offline, "--allow-http-registry", *options, reference)

    def verify(self, reference: str, *options: str | Path) -> str:
        """Verify an image in a registry."""
        words = ("--key", self.public_key, "--insecure-ignore-tlog", "--allow-http-registry", *options)
        return self.run("verify", *words, reference)

    def verify_layout(self, layout: Path, *options: str | Path) -> str:
        """Verify an image in an OCI image layout."""
        words = ("--key", self.public_key, "--insecure-ignore-tlog", "--local-image", *options)
        return self.run("verify", *words, layout)

    @property
    def _help(self) -> str:
        return self.run("sign", "--help")

    @property
    def _offline(self) -> tuple[str | Path, ...]:
        """Options for signatures that no transparency log has."""
        if not self.is_new:
            return ("--tlog-upload=false",)
        config = self.directory / "signing-config.json"
        if not config.exists():
            self.run("signing-config", "create", "--out", config)
        return ("--signing-config", config)


class Notation(Signer):
    """Notation with a key and a certificate of its own; references must have a digest."""

    def sign(self, reference: str, *options: str) -> None:
        """Sign an image in a registry."""
        self._prepare()
        self.run("sign", "--insecure-registry", *options, reference)

    def verify(self, reference: str) -> str:
        """Verify an image in a registry."""
        self._prepare()
        return self.run("verify", "--insecure-registry", reference)

    def _prepare(self) -> None:
        config = self.directory / "config" / "notation"
        if config.exists():
            return
        self.run("cert", "generate-test", "--default", "test.example")
        policy = {
            "name": "tests",
            "registryScopes": ["*"],
            "signatureVerification": {"level": "strict"},
            "trustStores": ["ca:test.example"],
            "trustedIdentities": ["*"],
        }
        document = {"version": "1.0", "trustPolicies": [policy]}
        (config / "trustpolicy.json").write_text(json.dumps(document))


def cosign_2(directory: Path) -> Cosign:
    """Return cosign 2.5."""
    return Cosign(debs.unpacked(*debs.COSIGN) / "usr/bin/cosign", directory)


def cosign_3(directory: Path) -> Cosign:
    """Return cosign 3.1, which needs nothing of its tree."""
    program = modern.tree(directory).path / "usr/bin/cosign"
    if not program.exists():
        missing("cosign is not in the tree of newer engines")
    return Cosign(program, directory)


def notation(directory: Path) -> Notation:
    """Return notation 1.3."""
    return Notation(debs.unpacked(*debs.NOTATION) / "usr/bin/notation", directory)


SIGNERS: Mapping[str, Callable[[Path], Cosign | Notation]] = {
    "cosign 2": cosign_2,
    "cosign 3": cosign_3,
    "notation": notation,
}
"""The programs by name; each needs an empty directory of its own."""
