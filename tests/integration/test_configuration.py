"""The configuration of other tools leads a whole command to their mirrors, with the right secrets."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from imgfetch.registry import registries_yaml
from tests.images import hello, image
from tests.integration.conftest import Command
from tests.loopback import Answer, Loopback

BUILT = image(hello())
SECRET = "hunter2-s3cret"
BASIC = "Basic " + base64.b64encode(f"alice:{SECRET}".encode()).decode()
PLATFORM = ("--platform", "linux/amd64")


def guarded(loopback: Loopback, repository: str) -> None:
    """Serve an image to who has the password, and to nobody else."""
    loopback.add(repository, "1", BUILT)
    for path, answer in list(loopback.answers.items()):
        assert isinstance(answer, Answer)
        loopback.guard(path, BASIC, 'Basic realm="x"', answer)


def test_an_image_comes_from_an_endpoint_of_k3s_under_another_name_and_with_its_password(
    loopback: Loopback, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guarded(loopback, "hub/mirror/team-app")
    file = tmp_path / "registries.yaml"
    file.write_text(
        f"""
mirrors:
  registry.invalid:
    endpoint: ["http://{loopback.host}/v2/hub"]
    rewrite: {{"^team/(.*)": "mirror/team-$1"}}
configs:
  "{loopback.host}":
    auth: {{username: alice, password: {SECRET}}}
"""
    )
    monkeypatch.setattr(registries_yaml, "PATHS", (file,))
    done = command("save", "registry.invalid/team/app:1", "-o", tmp_path / "y.tar", *PLATFORM, "-v", "--no-cache")
    assert done.status == 0, done.err
    assert set(loopback.authorizations) == {None, BASIC}
    assert {path.partition("?")[2] for path in loopback.paths} == {"ns=registry.invalid"}
    assert all(path.startswith("/v2/hub/mirror/team-app/") for path in loopback.paths)
    assert f"using {file}" in done.err
    assert SECRET not in done.err
    assert command("verify", tmp_path / "y.tar", "registry.invalid/team/app:1").status == 0


def test_an_image_comes_from_a_host_of_containerd_that_wants_a_header(
    loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    guarded(loopback, "team/app")
    folder = tmp_path / "certs" / "_default"
    folder.mkdir(parents=True)
    (folder / "hosts.toml").write_text(
        f'[host."http://{loopback.host}"]\n[host."http://{loopback.host}".header]\nAuthorization = "{BASIC}"'
    )
    reference, target = "registry.invalid/team/app:1", tmp_path / "y.tar"
    done = command("save", reference, "-o", target, *PLATFORM, "-v", "--certs-dir", tmp_path / "certs", "--no-cache")
    assert done.status == 0, done.err
    assert set(loopback.authorizations) == {BASIC}
    assert f"using {folder / 'hosts.toml'}" in done.err
    assert BASIC.split()[1] not in done.err


def test_the_files_that_are_used_are_named(
    loopback: Loopback, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("CONTAINERS_REGISTRIES_CONF", str(tmp_path / "registries.conf"))
    (tmp_path / "registries.conf").write_text("")
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "daemon.json").write_text("{}")
    err = command("digest", loopback.add("app", "1", BUILT), "-v").err
    assert f"using {tmp_path / 'docker' / 'daemon.json'}\n" in err
    assert f"using {tmp_path / 'registries.conf'}\n" in err


@pytest.mark.parametrize("options", [(), ("--no-mirror",)], ids=["", "--no-mirror"])
def test_a_server_of_containerd_is_asked_instead_of_the_registry(
    loopback: Loopback, command: Command, tmp_path: Path, options: tuple[str, ...]
) -> None:
    with Loopback() as other:
        other.add("team/app", "1", BUILT)
        folder = tmp_path / "certs" / loopback.host
        folder.mkdir(parents=True)
        (folder / "hosts.toml").write_text(f'server = "http://{other.host}"')
        done = command("digest", f"{loopback.host}/team/app:1", "--certs-dir", tmp_path / "certs", *options)
        assert (done.status, bool(loopback.paths), bool(other.paths)) == (
            (3, True, False) if options else (0, False, True)
        )
