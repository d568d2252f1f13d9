"""One command on each side: thirty images with their signatures, moved to registries that cannot see their origin."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from tests import engines, registries
from tests.authority import IDENTITY, ISSUER, Authority
from tests.certificates import Certificates
from tests.e2e.conftest import Started
from tests.e2e.test_access import BASIC, HTPASSWD, push_token, token_auth
from tests.engines import RealRegistry, output
from tests.images import ARM64, Built, attestation, hello, image, index
from tests.readers import Containerd, Docker, Podman
from tests.signers import Cosign, Notation, cosign_2, notation
from tests.signing import bundle_by_certificate, bundled, envelope, manifest, statement
from tests.tokenserver import PASSWORD, USER, TokenServer
from tests.tools import root, tool

IMAGES = 30
LARGE, KEYED, KEYLESS = "team/app-0", "team/app-1", "team/app-2"
"""The image for two platforms with attestations, that signed by a key, and that signed by an identity."""
SHARED = hello("shared")
MANY = index(image(SHARED), image(SHARED, hello("arm64"), platform=ARM64), attestation(image(SHARED)))
TARGETS = ("docker-registry", "TLS and passwords", "tokens", "referrers")


@dataclass(frozen=True)
class Offline:
    """The offline side.

    Attributes:
        bundle: the archive.
        names: the images' names at their origin.
        key: cosign's public key.
        root: the trusted root of the authority.
        cosign: the signer with the key.
        notation: another signer of the same image.
        home: a directory with the credentials of all registries.
        ca: the authority of the registry by TLS.
    """

    bundle: Path
    names: Mapping[str, Built]
    key: Path
    root: Path
    cosign: Cosign
    notation: Notation
    home: Path
    ca: Path

    def run(self, *words: str | Path, offline: bool = False) -> subprocess.CompletedProcess[str]:
        """Run the command; ``offline`` without any network."""
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        line = [*([tool("unshare"), "-n"] if offline else []), sys.executable, "-m", "imgfetch", *map(str, words)]
        environment = {**kept, "HOME": str(self.home), "IMGFETCH_CACHE_DIR": str(self.home / "cache")}
        return subprocess.run(
            line, env=environment, cwd=self.home, capture_output=True, text=True, check=False, timeout=180
        )

    def log_in(self, host: str) -> None:
        """Store the credentials for a registry, for imgfetch, docker, podman and cosign."""
        for directory in (self.home, self.cosign.directory, self.notation.directory):
            file = directory / ".docker" / "config.json"
            file.parent.mkdir(exist_ok=True)
            known = json.loads(file.read_text())["auths"] if file.exists() else {}
            file.write_text(json.dumps({"auths": {**known, host: {"auth": BASIC.split()[1]}}}))


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRegistry]:
    with registries.with_referrers(tmp_path_factory.mktemp("origin")) as registry:
        yield registry


@pytest.fixture(scope="module")
def offline(origin: RealRegistry, tmp_path_factory: pytest.TempPathFactory, made: Certificates) -> Offline:
    root()
    directory = tmp_path_factory.mktemp("offline")
    images = {f"team/app-{number}": image(SHARED, hello(f"image {number}")) for number in range(IMAGES)} | {LARGE: MANY}
    names = {origin.push(name, "v1", built): built for name, built in images.items()}
    signers = [directory / name for name in ("cosign", "notation", "home")]
    for each in signers:
        each.mkdir()
    key, another = cosign_2(signers[0]), notation(signers[1])
    for signer in (key, another):
        signer.sign(f"{origin.host}/{KEYED}@{images[KEYED].digest}")
    authority, leaf = Authority(), None
    leaf = authority.leaf()
    signed = envelope(statement(images[KEYLESS].digest), leaf.key)
    bundle = manifest(bundled(bundle_by_certificate(signed, leaf, authority.log)), subject=images[KEYLESS])
    origin.push(KEYLESS, bundle.built.digest, bundle.built)
    (directory / "root.json").write_bytes(authority.trusted_root())
    (directory / "images.txt").write_text("\n".join(names) + "\n")
    found = Offline(
        directory / "bundle.tar",
        names,
        key.public_key,
        directory / "root.json",
        key,
        another,
        signers[2],
        made.ca,
    )
    done = found.run(
        "save", "-i", directory / "images.txt", "-o", found.bundle, "--all-platforms", "--signatures", "--plain-http"
    )
    assert done.returncode == 0, done.stderr
    return found


def test_the_bundle_verifies_without_a_network(offline: Offline) -> None:
    done = offline.run("verify", offline.bundle, "-i", offline.bundle.parent / "images.txt", offline=True)
    assert (done.returncode, done.stdout.count("ok: ")) == (0, IMAGES + 1), done.stderr  # one for each platform
    identity = ("--certificate-identity", IDENTITY, "--certificate-oidc-issuer", ISSUER, "--trusted-root", offline.root)
    names = {name.partition("/")[2].partition(":")[0]: name for name in offline.names}
    for wanted, policy in ((KEYED, ("--key", offline.key)), (KEYLESS, identity)):
        done = offline.run("verify", offline.bundle, names[wanted], *policy, offline=True)
        assert done.returncode == 0, done.stderr
    for wanted, policy in ((KEYLESS, ("--key", offline.key)), (KEYED, identity)):
        done = offline.run("verify", offline.bundle, names[wanted], *policy, offline=True)
        assert done.returncode == 6, done.stderr


@pytest.fixture(scope="module", params=TARGETS)
def target(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, made: Certificates
) -> Iterator[RealRegistry]:
    directory = tmp_path_factory.mktemp("target")
    if request.param == "referrers":
        with registries.with_referrers(directory) as registry:
            yield registry
    elif request.param == "tokens":
        with (
            TokenServer(directory) as tokens,
            engines.docker_registry(
                directory, auth=token_auth(tokens, tokens.realm), login=push_token(tokens)
            ) as registry,
        ):
            yield registry
    elif request.param == "TLS and passwords":
        (directory / "htpasswd").write_text(HTPASSWD)
        auth = {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}
        certificate = (made.server_cert, made.server_key, made.ca)
        with engines.docker_registry(directory, auth=auth, certificate=certificate, login=lambda _: BASIC) as registry:
            yield registry
    else:
        with engines.docker_registry(directory) as registry:
            yield registry


@pytest.fixture(scope="module")
def pushed(offline: Offline, target: RealRegistry) -> RealRegistry:
    """Return a registry to which the bundle was pushed."""
    offline.log_in(target.host)
    done = offline.run("push", offline.bundle, f"{target.host}/mirror", "--ca-file", offline.ca)
    assert done.returncode == 0, done.stderr
    return target


def test_all_digests_are_those_of_the_origin(offline: Offline, pushed: RealRegistry) -> None:
    found = {}
    for name in offline.names:
        repository = f"mirror/{name.partition('/')[2].removesuffix(':v1')}"
        headers = {"Authorization": pushed.login(repository)} if pushed.login else {}
        url = f"{pushed.base}/v2/{repository}/manifests/v1"
        accept = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json"
        answer = requests.head(url, headers={**headers, "Accept": accept}, verify=pushed.verify, timeout=30)
        found[name] = answer.headers.get("Docker-Content-Digest")
    assert found == {name: built.digest for name, built in offline.names.items()}


def test_a_second_push_sends_no_blob(offline: Offline, pushed: RealRegistry) -> None:
    done = offline.run("push", offline.bundle, f"{pushed.host}/mirror", "--ca-file", offline.ca, "--json")
    assert done.returncode == 0, done.stderr
    assert not [blob for blob in json.loads(done.stdout)["blobs"] if blob["state"] == "sent"]


@pytest.fixture(scope="module")
def samples(offline: Offline, pushed: RealRegistry) -> dict[str, str]:
    """Return three images by their digests, each with the digest of its config on this machine's platform."""
    found = {name.partition("/")[2].partition(":")[0]: built for name, built in offline.names.items()}
    chosen = {name: (found[name].children or (found[name],))[0] for name in (LARGE, KEYED, KEYLESS)}
    return {f"{pushed.host}/mirror/{name}@{found[name].digest}": built.config.digest for name, built in chosen.items()}


def test_docker_pulls_the_images_by_digest(started: Started, offline: Offline, samples: dict[str, str]) -> None:
    docker: Docker = started("docker-28.5")
    for name, config in samples.items():
        docker.run("--config", offline.home / ".docker", "pull", "--platform", "linux/amd64", name)
        assert docker.image_named(name) == config


def test_containerd_pulls_the_images_by_digest(started: Started, samples: dict[str, str], pushed: RealRegistry) -> None:
    containerd: Containerd = started("ctr-2.1")
    way = ("--plain-http",) if pushed.verify is True else ("--local", "--skip-verify")
    way += ("--user", f"{USER}:{PASSWORD}") if pushed.login else ()
    for name in samples:
        containerd.run("images", "pull", *way, "--platform", "linux/amd64", name)
        assert containerd.image_named(name) == name.partition("@")[2]


def test_podman_pulls_the_images_by_digest(started: Started, offline: Offline, samples: dict[str, str]) -> None:
    podman: Podman = started("podman-5.8")
    credentials = offline.home / ".docker" / "config.json"
    for name, config in samples.items():
        output(
            *podman.command,
            "pull",
            "-q",
            "--tls-verify=false",
            "--authfile",
            credentials,
            "--platform",
            "linux/amd64",
            name,
        )
        assert podman.image_named(name) == config


def test_cosign_and_notation_verify_the_signatures(offline: Offline, pushed: RealRegistry) -> None:
    names = {name.partition("/")[2].partition(":")[0]: built for name, built in offline.names.items()}
    keyed = f"{pushed.host}/mirror/{KEYED}@{names[KEYED].digest}"
    assert names[KEYED].digest in offline.cosign.verify(keyed, "--allow-insecure-registry")
    if pushed.verify is True:  # notation speaks plain http to localhost
        offline.notation.verify(keyed)
