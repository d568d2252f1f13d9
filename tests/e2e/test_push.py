"""Pushes by the installed command to real registries, read again by other programs."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import engines, tokenserver
from tests.certificates import Certificates
from tests.conftest import Run
from tests.e2e.conftest import Registries
from tests.engines import RealRegistry, output
from tests.images import ARM64, attestation, hello, image, index
from tests.modern import Tree
from tests.signers import SIGNERS, cosign_2
from tests.tokenserver import PASSWORD, USER, TokenServer
from tests.tools import tool

APP = image(hello("shared"), hello("app"))
MANY = index(APP, image(hello("arm64"), platform=ARM64), attestation(APP))
WEB = image(hello("shared"), hello("web"))
HTPASSWD = "alice:$2y$05$POecR6bZM2JxSgcmLWShd.2i4zWbCPNSnrGk/4nu3s24cImN6EG/i\n"  # PASSWORD, by bcrypt


@pytest.fixture
def archive(registries: Registries, run: Run, tmp_path: Path) -> Path:
    """Return an archive with an index and an image, from a registry."""
    registry = registries("docker-registry")
    names = [registry.push("origin/app", "1", MANY), registry.push("origin/web", "1", WEB)]
    done = run("save", *names, "--all-platforms", "-o", str(tmp_path / "y.tar"))
    assert done.returncode == 0, done.stderr.decode()
    return tmp_path / "y.tar"


@pytest.fixture(scope="session")
def tls(tmp_path_factory: pytest.TempPathFactory, made: Certificates) -> Iterator[RealRegistry]:
    """A registry by TLS that knows one user."""
    directory = tmp_path_factory.mktemp("tls-registry")
    (directory / "htpasswd").write_text(HTPASSWD)
    auth = {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}
    with engines.docker_registry(
        directory, auth=auth, certificate=(made.server_cert, made.server_key, made.ca), login=lambda _: ""
    ) as registry:
        yield registry


@pytest.fixture
def tokens(tmp_path: Path) -> Iterator[TokenServer]:
    (tmp_path / "tokens").mkdir()
    with TokenServer(tmp_path / "tokens") as server:
        yield server


@pytest.fixture
def guarded(tmp_path: Path, tokens: TokenServer) -> Iterator[RealRegistry]:
    """A registry that wants tokens."""
    settings = {"realm": tokens.realm, "service": tokenserver.SERVICE, "issuer": tokenserver.ISSUER}
    auth = {"token": {**settings, "rootcertbundle": str(tokens.certificate)}}
    (tmp_path / "guarded").mkdir()
    with engines.docker_registry(tmp_path / "guarded", auth=auth) as registry:
        yield registry


def authfile(tmp_path: Path, host: str, password: str = PASSWORD) -> str:
    auth = base64.b64encode(f"{USER}:{password}".encode()).decode()
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {host: {"auth": auth}}}))
    return str(tmp_path / "auth.json")


def raw(reference: str, *options: str) -> bytes:
    return output(tool("skopeo"), "inspect", "--raw", *options, f"docker://{reference}").encode()


def test_skopeo_and_crane_find_the_digests_of_the_origin(
    archive: Path, registries: Registries, run: Run, modern: Tree, tmp_path: Path
) -> None:
    registry = registries("docker-registry")
    done = run("push", str(archive), f"{registry.host}/copy")
    assert done.returncode == 0, done.stderr.decode()
    for name, built in (("app", MANY), ("web", WEB)):
        reference = f"{registry.host}/copy/origin/{name}:1"
        assert raw(reference, "--tls-verify=false") == built.raw
        assert output(*modern.program("crane"), "digest", "--insecure", reference).strip() == built.digest
    web = f"{registry.host}/copy/origin/web:1"
    output(*modern.program("crane"), "validate", "--insecure", "--remote", web)
    copied = tmp_path / "copied"
    source = f"docker://{registry.host}/copy/origin/app@{MANY.digest}"
    output(tool("skopeo"), "copy", "-q", "--all", "--src-tls-verify=false", source, f"dir:{copied}")
    assert (copied / "manifest.json").read_bytes() == MANY.raw


def test_a_push_by_tls_needs_the_authority_and_the_password(
    archive: Path, tls: RealRegistry, run: Run, made: Certificates, tmp_path: Path
) -> None:
    words = ("push", str(archive), tls.host)
    assert run(*words).returncode == 5
    anonymous = run(*words, "--ca-file", str(made.ca))
    assert anonymous.returncode == 4
    assert "imgfetch login" in anonymous.stderr.decode()
    wrong = run(*words, "--ca-file", str(made.ca), "--authfile", authfile(tmp_path, tls.host, "wrong"))
    assert wrong.returncode == 4
    done = run(*words, "--ca-file", str(made.ca), "--authfile", authfile(tmp_path, tls.host))
    assert done.returncode == 0, done.stderr.decode()
    again = run(*words, "--ca-file", str(made.ca), "--authfile", authfile(tmp_path, tls.host), "--json")
    assert {each["state"] for each in json.loads(again.stdout)["images"]} == {"unchanged"}


def test_a_token_for_a_push_is_for_pull_and_push_and_a_mount_adds_the_other_repository(
    archive: Path, guarded: RealRegistry, tokens: TokenServer, run: Run, tmp_path: Path
) -> None:
    done = run("push", str(archive), guarded.host, "--authfile", authfile(tmp_path, guarded.host), "--json", "-j", "1")
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["mounted"] == len(APP.layers[0].content)
    asked = [request for request, _, _ in tokens.requests]
    assert any("repository%3Aorigin%2Fapp%3Apull%2Cpush" in request for request in asked)
    assert any("origin%2Fweb%3Apull%2Cpush" in each and "origin%2Fapp%3Apull" in each for each in asked)
    assert PASSWORD not in done.stderr.decode()


def test_a_user_without_the_right_to_push_is_told_so(
    archive: Path, guarded: RealRegistry, tokens: TokenServer, run: Run, tmp_path: Path
) -> None:
    tokens.allows_push = False
    done = run("push", str(archive), guarded.host, "--authfile", authfile(tmp_path, guarded.host))
    assert done.returncode == 4, done.stderr.decode()
    assert "alice" in done.stderr.decode()


def backup(reference: str, modern: Tree, tmp_path: Path) -> Path:
    """Return an OCI image layout with an image and everything that refers to it, by oras."""
    target = tmp_path / "layout.tar"
    output(*modern.program("oras"), "backup", "--plain-http", "--include-referrers", "-o", target, reference)
    return target


@pytest.mark.parametrize(
    ("name", "signer"),
    [(name, signer) for name in ("docker-registry", "with referrers") for signer in ("cosign 3", "notation")],
)
def test_a_signature_that_refers_to_its_image_verifies_at_the_new_registry(  # noqa: PLR0917  # two are a case
    name: str, signer: str, registries: Registries, run: Run, modern: Tree, tmp_path: Path
) -> None:
    origin, target, program = registries("with referrers"), registries(name), SIGNERS[signer](tmp_path)
    built = image(hello(f"{name} {signer}"))
    repository = f"push/{signer.replace(' ', '-')}"
    origin.push(repository, "v1", built)
    program.sign(f"{origin.host}/{repository}@{built.digest}")
    archive = backup(f"{origin.host}/{repository}:v1", modern, tmp_path)
    for _ in range(2):
        done = run("push", str(archive), f"{target.host}/moved/{repository}")
        assert done.returncode == 0, done.stderr.decode()
    program.verify(f"{target.host}/moved/{repository}@{built.digest}")


def test_a_signature_under_a_tag_verifies_at_the_new_registry(registries: Registries, run: Run, tmp_path: Path) -> None:
    registry, program = registries("docker-registry"), cosign_2(tmp_path)
    built = image(hello("tagged signature"))
    registry.push("push/tagged", "v1", built)
    reference = f"{registry.host}/push/tagged@{built.digest}"
    program.sign(reference)
    program.run("save", "--allow-http-registry", "--dir", tmp_path / "saved", reference)
    done = run("push", str(tmp_path / "saved"), f"{registry.host}/moved/tagged")
    assert done.returncode == 0, done.stderr.decode()
    program.verify(f"{registry.host}/moved/tagged@{built.digest}")


@pytest.mark.parametrize("name", ["docker-registry", "with referrers"])
def test_an_index_saved_with_all_kinds_of_signatures_verifies_at_the_new_registry(
    name: str, registries: Registries, run: Run, tmp_path: Path
) -> None:
    origin, target = registries("docker-registry"), registries(name)
    built = index(image(hello(f"signed {name}")), image(hello("signed arm64"), platform=ARM64))
    reference = origin.push("push/signed", "v1", built)
    pinned = f"push/signed@{built.digest}"
    signers = [make(tmp_path / key.replace(" ", "-")) for key, make in SIGNERS.items()]
    for signer in signers:
        signer.directory.mkdir()
        signer.sign(f"{origin.host}/{pinned}")
    archive = str(tmp_path / "signed.tar")
    done = run("save", reference, "--all-platforms", "--signatures", "-o", archive)
    assert done.returncode == 0, done.stderr.decode()
    for _ in range(2):
        done = run("push", archive, f"{target.host}/moved", "--json")
        assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["blobs"] == []
    for signer in signers:
        signer.verify(f"{target.host}/moved/{pinned}")
