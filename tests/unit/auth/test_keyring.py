"""Credentials that `imgfetch login` stores."""

from __future__ import annotations

import base64
import json
import multiprocessing
import os
import random
import stat
from pathlib import Path
from typing import Any

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


def content(file: Path) -> Any:
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
        pytest.param(
            '{"auths": null, "credHelpers": null}', {"auths": {REGISTRY: ENTRY}, "credHelpers": None}, id="null"
        ),
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


OWN = f'"auth": "{ENTRY["auth"]}"'
TEXTS = {
    "no file": ("", f'{{\n\t"auths": {{\n\t\t"{REGISTRY}": {{\n\t\t\t{OWN}\n\t\t}}\n\t}}\n}}\n'),
    "by docker": (
        '{\n\t"auths": {\n\t\t"a": {}\n\t}\n}',
        f'{{\n\t"auths": {{\n\t\t"a": {{}},\n\t\t"{REGISTRY}": {{\n\t\t\t{OWN}\n\t\t}}\n\t}}\n}}',
    ),
    "lines of Windows, two spaces": (
        '{\r\n  "x": [1e999, 1.0E+2, 123456789012345678901234567890]\r\n}\r\n',
        f"""{{\r\n  "x": [1e999, 1.0E+2, 123456789012345678901234567890],\r
  "auths": {{\r\n    "{REGISTRY}": {{\r\n      {OWN}\r\n    }}\r\n  }}\r\n}}\r\n""",
    ),
    "one line": (
        '{"\\u0061uths":{"a":{"auth":"\\/\\u0000"}},"x":1,"x":1e-9}',
        f'{{"\\u0061uths":{{"a":{{"auth":"\\/\\u0000"}}, "{REGISTRY}": {{{OWN}}}}},"x":1,"x":1e-9}}',
    ),
    "an entry twice": (
        f'{{"auths": {{"{REGISTRY}": {{"identitytoken": "x"}}, "a": 1, "{REGISTRY}": 2}} }}',
        f'{{"auths": {{"{REGISTRY}": {{{OWN}}}, "a": 1, "{REGISTRY}": {{{OWN}}}}} }}',
    ),
    "null": ('{ "auths" : null }', f'{{ "auths" : {{"{REGISTRY}": {{{OWN}}}}} }}'),
    "nothing in it": (
        '{\n    "auths": { }\n}',
        f'{{\n    "auths": {{\n        "{REGISTRY}": {{\n            {OWN}\n        }}\n    }}\n}}',
    ),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_login_changes_no_character_but_its_entry(case: str, keyring: Keyring, file: Path) -> None:
    before, after = TEXTS[case]
    file.parent.mkdir()
    file.write_bytes(before.encode())
    keyring.keep(REGISTRY, LOGIN)
    assert file.read_bytes().decode() == after
    keyring.keep(REGISTRY, LOGIN)
    assert file.read_bytes().decode() == after


def by_chance(generator: random.Random, depth: int = 0) -> str:
    """Return the text of a JSON value, with odd spaces, numbers, names and escapes."""
    space = generator.choice(["", " ", "\n", "\r\n\t", "   "])
    kind = generator.randrange(3 if depth < 3 else 1)
    several = [by_chance(generator, depth + 1) for _ in range(generator.randrange(4))] if kind else []
    if kind == 1:
        return f"[{space}{f'{space},'.join(several)}{space}]"
    if kind:
        names = [generator.choice(['"a"', '"auths"', '"\\u0000"', '"}"', '"\\\\"']) for _ in several]
        pairs = (f"{name}{space}:{space}{value}" for name, value in zip(names, several, strict=True))
        return f"{{{space}{f'{space},{space}'.join(pairs)}{space}}}"
    return generator.choice(["1e999", "0", "-1.50", "9" * 40, "null", "true", r'"\ud800\/"', '"é\u2028"', '"{\\""'])


@pytest.mark.parametrize("seed", range(50))
def test_a_logout_after_a_login_leaves_any_file_as_it_was(seed: int, keyring: Keyring, file: Path) -> None:
    generator = random.Random(seed)
    other = f'"{generator.choice(["a", "b"])}"{generator.choice(["", " "])}:{by_chance(generator)}'
    space = generator.choice(["", " ", "\n", "\r\n\t", "   "])
    before = (
        f'{{{space}"x":{by_chance(generator)},{space}"auths":{{{space}{other}{space}}},"y":{by_chance(generator)}}}'
    )
    file.parent.mkdir()
    file.write_bytes(before.encode())
    keyring.keep(REGISTRY, LOGIN)
    auths = content(file)["auths"]
    assert auths[REGISTRY] == ENTRY
    assert keyring.forget(REGISTRY)
    assert file.read_bytes().decode() == before


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f'{{"auths": {{"{REGISTRY}": 1}}}}', '{"auths": {}}'),
        (f'{{"auths": {{\n"{REGISTRY}": 1,\n"a": 1e999,"{REGISTRY}":2}}}}', '{"auths": {\n"a": 1e999}}'),
        (
            f'{{"AUTHS": {{"{REGISTRY}": 1, "b": 1}}, "auths": {{"a": 1 , "{REGISTRY}": 2 }}}}',
            '{"AUTHS": {"b": 1}, "auths": {"a": 1 }}',
        ),
    ],
)
def test_a_logout_removes_every_entry_and_nothing_else(before: str, after: str, keyring: Keyring, file: Path) -> None:
    put(file, before)
    assert keyring.forget(REGISTRY)
    assert file.read_text() == after


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
