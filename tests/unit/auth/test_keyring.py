"""Credentials that `imgfetch login` stores."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import stat
from pathlib import Path

import pytest

from imgfetch.auth.keyring import Keyring
from imgfetch.auth.login import Login
from imgfetch.errors import AuthenticationError, StorageError
from tests.tools import root

REGISTRY = "registry.example"
LOGIN = Login("me", "open sesame")
ENTRY = {"auth": base64.b64encode(b"me:open sesame").decode()}
HELPER = '#!/bin/sh\ncat > "$0.$1"\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "docker" / "config.json"


@pytest.fixture
def keyring(file: Path, tmp_path: Path) -> Keyring:
    return Keyring(file, str(tmp_path))


def put(file: Path, content: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)


def content(file: Path) -> object:
    return json.loads(file.read_text())


def test_a_new_file_is_for_its_user_only(keyring: Keyring, file: Path) -> None:
    assert keyring.keep(REGISTRY, LOGIN) == str(file)
    assert content(file) == {"auths": {REGISTRY: ENTRY}}
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(file.parent.stat().st_mode)) == (0o600, 0o700)
    assert [path.name for path in file.parent.iterdir()] == ["config.json"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param('{"psFormat": "x"}', {"psFormat": "x", "auths": {REGISTRY: ENTRY}}, id="other members"),
        pytest.param('{"auths": {"a": null}}', {"auths": {"a": None, REGISTRY: ENTRY}}, id="other entries"),
        pytest.param('{"auths": null, "credHelpers": null}', {"auths": {REGISTRY: ENTRY}}, id="null"),
        pytest.param('{"credsStore": null}', {"credsStore": None, "auths": {REGISTRY: ENTRY}}, id="null store"),
        pytest.param('{"AUTHS": {}, "Auths": {}}', {"AUTHS": {}, "Auths": {REGISTRY: ENTRY}}, id="any case"),
        pytest.param('{"a": "\\ud800"}', {"a": "\ud800", "auths": {REGISTRY: ENTRY}}, id="half a character"),
        pytest.param(
            f'{{"auths": {{"{REGISTRY}": {{"identitytoken": "x"}}}}}}', {"auths": {REGISTRY: ENTRY}}, id="replaced"
        ),
    ],
)
def test_the_rest_of_the_file_is_kept(keyring: Keyring, file: Path, before: str, after: object) -> None:
    put(file, before)
    keyring.keep(REGISTRY, LOGIN)
    assert content(file) == after


@pytest.mark.parametrize(
    "before", ["{", "[]", '{"auths": []}', '{"credHelpers": 1}', '{"credsStore": 1}'], ids=lambda text: text
)
def test_a_file_that_cannot_be_understood_stays_as_it_is(keyring: Keyring, file: Path, before: str) -> None:
    put(file, before)
    with pytest.raises(AuthenticationError):
        keyring.keep(REGISTRY, LOGIN)
    with pytest.raises(AuthenticationError):
        keyring.forget(REGISTRY)
    assert file.read_text() == before


@pytest.mark.parametrize("before", ["{", "[]", '{"auths": []}', '{"credsStore": 1}', '{"credsStore": "absent"}'])
def test_a_file_that_cannot_be_used_is_reported_before_there_are_credentials(
    keyring: Keyring, file: Path, before: str
) -> None:
    put(file, before)
    with pytest.raises(AuthenticationError) as raised:
        keyring.require(REGISTRY)
    assert raised.value.hint == f"mend {file}, or pass --authfile FILE"


def test_a_file_that_can_be_used_needs_no_credentials(keyring: Keyring, file: Path, tmp_path: Path) -> None:
    keyring.require(REGISTRY)
    assert not file.parent.exists()
    (tmp_path / "docker-credential-own").write_text(HELPER)
    (tmp_path / "docker-credential-own").chmod(0o755)
    put(file, '{"credsStore": "own"}')
    keyring.require(REGISTRY)


def test_a_place_that_cannot_be_written_is_reported_before_there_are_credentials(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="Not a directory"):
        Keyring(tmp_path / "file" / "config.json", "").require(REGISTRY)
    user = os.geteuid()
    os.seteuid(user or 65534)  # root may write everywhere
    try:
        for place in ("/", "/absent/below"):
            with pytest.raises(StorageError, match=r"cannot write .*/config\.json: / is not writable") as raised:
                Keyring(Path(place, "config.json"), "").require(REGISTRY)
            assert "--authfile" in (raised.value.hint or "")
    finally:
        os.seteuid(user)


def test_a_link_to_a_file_stays(file: Path, tmp_path: Path) -> None:
    put(tmp_path / "real.json", "{}")
    file.parent.mkdir()
    file.symlink_to(tmp_path / "real.json")
    Keyring(file, "").keep(REGISTRY, LOGIN)
    assert file.is_symlink()
    assert content(file) == {"auths": {REGISTRY: ENTRY}}


def test_a_directory_in_place_of_the_file_is_an_error(keyring: Keyring, file: Path) -> None:
    file.mkdir(parents=True)
    with pytest.raises(StorageError, match=r"cannot read .*/config\.json: Is a directory") as raised:
        keyring.keep(REGISTRY, LOGIN)
    assert raised.value.hint is None


def test_the_file_keeps_its_owner(keyring: Keyring, file: Path) -> None:
    root()
    put(file, "{}")
    os.chown(file, 4321, 4322)
    keyring.keep(REGISTRY, LOGIN)
    assert (file.stat().st_uid, file.stat().st_gid, stat.S_IMODE(file.stat().st_mode)) == (4321, 4322, 0o600)


def _keep_many(file: Path, number: int) -> None:
    for port in range(20):
        Keyring(file, "").keep(f"{REGISTRY}:{100 * number + port}", LOGIN)


def test_no_entry_is_lost_when_several_processes_log_in(file: Path) -> None:
    spawn = multiprocessing.get_context("spawn")  # a fork has the locks that other threads hold
    processes = [spawn.Process(target=_keep_many, args=(file, number)) for number in range(1, 4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(120)
        assert process.exitcode == 0
    assert len(json.loads(file.read_text())["auths"]) == 60


def test_a_helper_receives_the_password_and_the_file_an_empty_entry(
    keyring: Keyring, file: Path, tmp_path: Path
) -> None:
    helper = tmp_path / "docker-credential-x"
    helper.write_text(HELPER)
    helper.chmod(0o755)
    put(file, '{"credsStore": "x"}')
    assert keyring.keep(REGISTRY, LOGIN) == "docker-credential-x"
    assert content(Path(f"{helper}.store")) == {"ServerURL": REGISTRY, "Username": "me", "Secret": "open sesame"}
    assert content(file) == {"credsStore": "x", "auths": {REGISTRY: {}}}
    with pytest.raises(AuthenticationError, match="docker-credential-x cannot store a password that is not UTF-8"):
        keyring.keep(REGISTRY, Login("me", "\udcff"))
    assert keyring.forget(REGISTRY)
    assert Path(f"{helper}.erase").read_text() == REGISTRY
    assert content(file) == {"credsStore": "x", "auths": {}}


def test_every_spelling_of_a_registry_is_forgotten_and_nothing_else(keyring: Keyring, file: Path) -> None:
    others = {f"{REGISTRY}:1": ENTRY, f"x.{REGISTRY}": ENTRY}
    put(file, json.dumps({"auths": {REGISTRY: ENTRY, f"https://{REGISTRY}/v2/": ENTRY, **others}, "x": 1}))
    assert keyring.forget(REGISTRY)
    assert content(file) == {"auths": others, "x": 1}
    assert not keyring.forget(REGISTRY)


def test_nothing_is_written_where_there_is_nothing_to_forget(keyring: Keyring, file: Path) -> None:
    assert not keyring.forget(REGISTRY)
    assert not file.parent.exists()
