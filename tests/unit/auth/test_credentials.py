"""The credentials for a registry."""

from __future__ import annotations

import base64
import json
import os
import threading
from pathlib import Path

import pytest

from imgfetch.auth.credentials import Credentials, Login, files
from imgfetch.inputs import MAX_SETTINGS
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.credential_helpers import read_helpers
from tests.stories import Log
from tests.threads import together
from tests.tools import in_time

SECRET = "hunter2-s3cret"
HUB = "https://index.docker.io/v1/"


def auth(username: str = "alice", password: str = SECRET) -> dict[str, object]:
    """Return an entry as ``docker login`` writes it."""
    return {"auth": base64.b64encode(f"{username}:{password}".encode()).decode()}


def auths(*keys: str, **config: object) -> dict[str, object]:
    """Return a file's content in which each key is its own user name, with ``-`` for what cannot be in one."""
    return {"auths": {key: auth(key.replace(":", "-")) for key in keys}, **config}


class Home:
    """A directory with configuration files and helpers."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.bin.mkdir()
        self.asked = root / "asked"

    def file(self, content: object, name: str = "config.json") -> Path:
        """Write a file: bytes and text as they are, all else as JSON."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, bytes):
            content = (content if isinstance(content, str) else json.dumps(content)).encode()
        path.write_bytes(content)
        return path

    def credentials(self, *contents: object) -> Credentials:
        """Return who looks in files with the contents, in their order."""
        paths = [self.file(content, f"{number}.json") for number, content in enumerate(contents, 1)]
        return Credentials(files=paths, path=str(self.bin))

    def helper(self, name: str, **logins: str) -> None:
        """Write a helper that knows a user name for each key, with ``_`` for what cannot be a Python name."""
        cases = "\n".join(
            f"""{key}) printf '{{"Username":"{user}","Secret":"{SECRET}"}}';;""" for key, user in logins.items()
        )
        self.script(
            name,
            f"""key=$(cat); echo "{name} $key" >> {self.asked}
            case $(printf %s "$key" | tr -c a-z0-9 _) in
            {cases}
            *) echo credentials not found in native keychain; exit 1;;
            esac""",
        )

    def script(self, name: str, script: str) -> None:
        program = self.bin / f"docker-credential-{name}"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)

    def log(self) -> list[str]:
        """Return who was asked for what."""
        return self.asked.read_text().splitlines() if self.asked.exists() else []


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def user(found: Login | None) -> str | None:
    return None if found is None else found.username


# ---- the order ----


def test_files_are_looked_at_in_dockers_then_podmans_order() -> None:
    environment = {"DOCKER_CONFIG": "/d", "XDG_RUNTIME_DIR": "/run/user/1", "XDG_CONFIG_HOME": "/c", "PATH": "/bin"}
    assert files(environment, Path("/home/a")) == (
        Path("/d/config.json"),
        Path("/run/user/1/containers/auth.json"),
        Path("/c/containers/auth.json"),
        Path("/home/a/.dockercfg"),
    )


OF_A_HOME = ["/home/a/.docker/config.json", "/home/a/.config/containers/auth.json", "/home/a/.dockercfg"]


@pytest.mark.parametrize(
    ("environment", "home", "authfile", "found"),
    [
        pytest.param({}, "/home/a", None, OF_A_HOME, id="defaults"),
        pytest.param(
            {"DOCKER_CONFIG": "", "XDG_RUNTIME_DIR": "", "XDG_CONFIG_HOME": "", "REGISTRY_AUTH_FILE": ""},
            "/home/a",
            None,
            OF_A_HOME,
            id="empty is unset",
        ),
        pytest.param({}, None, None, [], id="nothing known"),
        pytest.param({"DOCKER_CONFIG": "/d"}, None, None, ["/d/config.json"], id="no home"),
        pytest.param({"REGISTRY_AUTH_FILE": "/r"}, "/home/a", None, ["/r"], id="REGISTRY_AUTH_FILE alone"),
        pytest.param({"REGISTRY_AUTH_FILE": "/r"}, "/home/a", "/o", ["/o"], id="--authfile alone"),
    ],
)
def test_a_file_that_the_user_named_stands_alone(
    environment: dict[str, str], home: str | None, authfile: str | None, found: list[str]
) -> None:
    places = files(environment, Path(home) if home else None, Path(authfile) if authfile else None)
    assert [str(place) for place in places] == found


def test_the_first_source_with_a_login_gives_it(home: Home) -> None:
    names = ["1.json", "2.json", ".dockercfg"]
    paths = [home.file({"auths": {"quay.io": auth(f"from {name}")}}, name) for name in names[:2]]
    paths.append(home.file({"quay.io": auth("from .dockercfg")}, names[2]))
    inline = json.dumps({"auths": {"quay.io": auth("from inline")}})
    explicit = Login("from the options", SECRET, source="--username", is_explicit=True)
    assert user(Credentials(explicit=explicit, inline=inline, files=paths).find("quay.io", "a/b")) == "from the options"
    assert user(Credentials(inline=inline, files=paths).find("quay.io", "a/b")) == "from inline"
    for position, name in enumerate(names):
        assert user(Credentials(files=paths[position:]).find("quay.io", "a/b")) == f"from {name}"


def test_a_source_without_the_host_leaves_it_to_the_next(home: Home, log: Log) -> None:
    found = Credentials(
        inline=json.dumps(auths("ghcr.io")),
        files=[home.root / "absent", home.file(auths("ghcr.io"), "1"), home.file("", "2"), home.file(auths("quay.io"))],
    ).find("quay.io", "a/b")
    assert found == Login("quay.io", SECRET, source=str(home.root / "config.json"))
    assert log.warnings == []


@pytest.mark.parametrize("registry", ["docker.io", "quay.io", "[::1]:5000"])
def test_an_explicit_login_is_for_every_registry(registry: str) -> None:
    login = Login("alice", SECRET, source="--username", is_explicit=True)
    assert Credentials(explicit=login, inline=json.dumps(auths("quay.io"))).find(registry, "a/b") is login


def test_only_auth_counts_in_the_variable(home: Home, log: Log) -> None:
    home.helper("test", quay_io="helped", ghcr_io="helped")
    inline = {
        "auths": {"quay.io": {"username": "bob", "password": SECRET, "identitytoken": SECRET}, "ghcr.io": auth()},
        "credHelpers": {"quay.io": "test"},
        "credsStore": "test",
    }
    found = Credentials(inline=json.dumps(inline), path=str(home.bin))
    assert found.find("quay.io", "a/b") is None
    assert found.find("ghcr.io", "a/b") == Login("alice", SECRET, source="DOCKER_AUTH_CONFIG")
    assert (home.log(), log.warnings) == ([], [])


@pytest.mark.parametrize("inline", ["", " \n", "{}", '{"auths": null}'])
def test_an_empty_variable_has_no_login(inline: str, log: Log) -> None:
    assert Credentials(inline=inline).find("quay.io", "a/b") is None
    assert log.warnings == []


# ---- keys ----


@pytest.mark.parametrize(
    ("registry", "key"),
    [
        pytest.param("quay.io", "quay.io", id="exact"),
        pytest.param("quay.io", "Quay.IO", id="upper case in the key"),
        pytest.param("QUAY.io", "quay.io", id="upper case in the reference"),
        pytest.param("quay.io", "https://quay.io", id="https"),
        pytest.param("quay.io", "http://quay.io", id="http"),
        pytest.param("quay.io", "HTTPS://Quay.io/v1/", id="a URL in upper case"),
        pytest.param("quay.io", "https://quay.io/v2/", id="a URL of the protocol"),
        pytest.param("quay.io", "https://quay.io/any/path", id="a URL with a path"),
        pytest.param("quay.io", "quay.io/", id="a slash"),
        pytest.param("quay.io", "quay.io/v1/", id="the protocol's path"),
        pytest.param("host:5000", "host:5000", id="port"),
        pytest.param("host:5000", "https://host:5000/v1/", id="a URL with a port"),
        pytest.param("[::1]:5000", "[::1]:5000", id="IPv6"),
        pytest.param("[::1]", "[::1]", id="IPv6 and no port"),
        pytest.param("quay.io", "quay.io/team", id="podman's, a part"),
        pytest.param("quay.io", "quay.io/team/", id="podman's, with a slash"),
        pytest.param("quay.io", "quay.io/team/app", id="podman's, the repository"),
        pytest.param("Quay.io", "quay.io/team/app", id="podman's, in any case"),
    ],
)
def test_a_key_is_for_its_host(home: Home, registry: str, key: str) -> None:
    assert home.credentials(auths(key)).find(registry, "team/app") is not None


KEYS_OF_OTHERS = [
    pytest.param("quay.io.evil.example", "quay.io", id="a longer name"),
    pytest.param("evil-quay.io", "quay.io", id="another beginning"),
    pytest.param("evil.quay.io", "quay.io", id="a subdomain"),
    pytest.param("quay.io", "evil.quay.io", id="a parent domain"),
    pytest.param("quay.i", "quay.io", id="a shorter name"),
    pytest.param("quayXio", "quay.io", id="a dot is a dot"),
    pytest.param("quay.io.evil.example", "https://quay.io", id="a longer name, URL"),
    pytest.param("quay.io.evil.example", "https://quay.io/v1/", id="a longer name, URL with a path"),
    pytest.param("quay.io", "https://quay.io.evil.example/", id="a URL that begins so"),
    pytest.param("quay.io", "https://evil.example/quay.io", id="a URL that ends so"),
    pytest.param("quay.io", "https://evil.example/https://quay.io", id="a URL in a URL"),
    pytest.param("quay.io", "https://https://quay.io", id="two schemes"),
    pytest.param("quay.io", "https://quay.io@evil.example/", id="a user name that looks so"),
    pytest.param("quay.io", "ftp://quay.io", id="another scheme"),
    pytest.param("quay.io", "quay.io#x", id="a fragment"),
    pytest.param("quay.io", "quay.io?x", id="a query"),
    pytest.param("quay.io", " quay.io", id="a space"),
    pytest.param("quay.io", "", id="an empty key"),
    pytest.param("quay.io", "https://", id="a scheme alone"),
    pytest.param("quay.io", "*.io", id="a pattern"),
    pytest.param("host", "host:5000", id="a key with a port"),
    pytest.param("host:5000", "host", id="a key without a port"),
    pytest.param("host:5000", "https://host/v1/", id="a URL without a port"),
    pytest.param("host:5000", "host/team", id="a part, without a port"),
    pytest.param("host:443", "host", id="the port of https, unnamed in the key"),
    pytest.param("host", "host:443", id="the port of https, named in the key"),
    pytest.param("[::1]:5000", "[::1]", id="IPv6 without a port"),
    pytest.param("host:5000", "host:5001", id="another port"),
    pytest.param("host:5000", "host:50", id="a shorter port"),
    pytest.param("host:500", "host:5000", id="a longer port"),
    pytest.param("[::1]:5000", "[::1]:5001", id="another port, IPv6"),
    pytest.param("[::1]", "[:", id="half an address"),
    pytest.param("quay.io", "quay.io/te", id="half a segment"),
    pytest.param("quay.io", "quay.io/team/ap", id="half a repository"),
    pytest.param("quay.io", "quay.io/team/app/more", id="a repository below"),
    pytest.param("quay.io", "quay.io/other", id="another part"),
    pytest.param("quay.io", "quay.io/Team", id="another part by its case"),
    pytest.param("quay.io", "team/app", id="no host"),
    pytest.param("quay.io", HUB, id="Docker Hub's"),
    pytest.param("docker.io", "quay.io", id="for Docker Hub"),
    pytest.param("docker.io", "docker.io.evil.example", id="a longer name than Docker Hub's"),
    pytest.param("docker.io:5000", HUB, id="Docker Hub's name with a port"),
    pytest.param("docker.io:5000", "docker.io", id="Docker Hub's short name with a port"),
    pytest.param("hub.docker.io", HUB, id="no name of Docker Hub"),
]


@pytest.mark.parametrize(("registry", "key"), KEYS_OF_OTHERS)
def test_a_key_is_for_no_other_host(home: Home, registry: str, key: str, log: Log) -> None:
    inline = json.dumps(auths(key))
    assert home.credentials(auths(key)).find(registry, "team/app") is None
    assert Credentials(inline=inline).find(registry, "team/app") is None
    assert log.warnings == []


@pytest.mark.parametrize(
    ("keys", "repository", "taken"),
    [
        pytest.param(["quay.io", "quay.io/a", "quay.io/a/b", "quay.io/a/b/c"], "a/b/c", "quay.io/a/b/c", id="whole"),
        pytest.param(["quay.io", "quay.io/a", "quay.io/a/b"], "a/b/c", "quay.io/a/b", id="two of three"),
        pytest.param(["quay.io", "quay.io/a", "quay.io/a/b"], "a/bc", "quay.io/a", id="whole segments"),
        pytest.param(["quay.io", "quay.io/a"], "b", "quay.io", id="the host"),
        pytest.param(["https://quay.io/v1/", "quay.io"], "a", "quay.io", id="before a URL"),
        pytest.param(["QUAY.IO", "https://quay.io", "quay.io"], "a", "quay.io", id="as it is spelt"),
    ],
)
def test_the_longest_key_counts_then_the_one_spelt_as_the_host(
    home: Home, keys: list[str], repository: str, taken: str
) -> None:
    expected = taken.replace(":", "-")
    assert user(home.credentials(auths(*keys)).find("quay.io", repository)) == expected
    assert user(home.credentials(auths(*reversed(keys))).find("quay.io", repository)) == expected


@pytest.mark.parametrize("registry", ["docker.io", "index.docker.io", "registry-1.docker.io"])
@pytest.mark.parametrize("key", [HUB, "index.docker.io", "docker.io", "registry-1.docker.io", "https://docker.io"])
def test_all_names_of_docker_hub_are_one(home: Home, registry: str, key: str) -> None:
    assert user(home.credentials(auths(key)).find(registry, "library/busybox")) == key.replace(":", "-")


def test_dockers_own_name_of_docker_hub_comes_first(home: Home) -> None:
    keys = [f"{HUB}access-token", "registry-1.docker.io", "docker.io", "index.docker.io", HUB]
    while keys:
        assert user(home.credentials(auths(*keys)).find("docker.io", "library/busybox")) == keys.pop().replace(":", "-")


def test_a_part_of_docker_hub_has_a_login_of_its_own(home: Home) -> None:
    found = home.credentials(auths(HUB, "docker.io/team"))
    assert user(found.find("docker.io", "team/app")) == "docker.io/team"
    assert user(found.find("docker.io", "library/busybox")) == "https-//index.docker.io/v1/"


def test_each_port_of_a_host_has_a_login_of_its_own(home: Home) -> None:
    found = home.credentials(auths("host", "host:5000"))
    assert user(found.find("host", "a/b")) == "host"
    assert user(found.find("host:5000", "a/b")) == "host-5000"
    assert found.find("host:5001", "a/b") is None


# ---- entries ----


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


ALICE = b64("alice:secret")
GUID = "00000000-0000-0000-0000-000000000000"


@pytest.mark.parametrize(
    ("entry", "parts"),
    [
        pytest.param({"auth": ALICE}, ("alice", "secret", "", ""), id="auth"),
        pytest.param({"auth": b64("alice:a:b:c")}, ("alice", "a:b:c", "", ""), id="split at the first colon"),
        pytest.param({"auth": b64("a:bc").rstrip("=")}, ("a", "bc", "", ""), id="no padding, two"),
        pytest.param({"auth": b64("a:bcd").rstrip("=")}, ("a", "bcd", "", ""), id="no padding, one"),
        pytest.param({"auth": b64("alice:secret\n")}, ("alice", "secret", "", ""), id="a line end within"),
        pytest.param({"auth": b64("alice:secret\r\n")}, ("alice", "secret", "", ""), id="a Windows line end within"),
        pytest.param({"auth": b64("alice:secret\0\0")}, ("alice", "secret", "", ""), id="NUL within"),
        pytest.param({"auth": f"{b64('alice:secret')}\n"}, ("alice", "secret", "", ""), id="a line end behind"),
        pytest.param({"auth": "YWxp\nY2U6\r\nc2VjcmV0 "}, ("alice", "secret", "", ""), id="folded lines"),
        pytest.param({"auth": b64("jörg:пароль")}, ("jörg", "пароль", "", ""), id="UTF-8"),
        pytest.param({"auth": b64(b"alice:caf\xe9")}, ("alice", "caf\udce9", "", ""), id="a password in Latin-1"),
        pytest.param({"username": "bob", "password": "x"}, ("bob", "x", "", ""), id="user name and password"),
        pytest.param(
            {"auth": ALICE, "username": "bob", "password": "x"}, ("alice", "secret", "", ""), id="auth before user name"
        ),
        pytest.param({"auth": "", "username": "bob", "password": "x"}, ("bob", "x", "", ""), id="an empty auth"),
        pytest.param({"auth": None, "username": "bob", "password": "x"}, ("bob", "x", "", ""), id="auth is null"),
        pytest.param({"identitytoken": "i"}, ("", "", "i", ""), id="identity token"),
        pytest.param({"auth": b64(f"{GUID}:"), "identitytoken": "i"}, (GUID, "", "i", ""), id="as Azure writes it"),
        pytest.param({"auth": b64("alice:x"), "identitytoken": "i"}, ("alice", "x", "i", ""), id="both"),
        pytest.param({"registrytoken": "r.r-r"}, ("", "", "", "r.r-r"), id="registry token"),
        pytest.param({"auth": b64("<token>:i")}, ("", "", "i", ""), id="<token> in auth"),
        pytest.param({"username": "<token>", "password": "i"}, ("", "", "i", ""), id="<token> as user name"),
        pytest.param({"Auth": b64("alice:x"), "identityToken": "i"}, ("alice", "x", "i", ""), id="any case"),
        pytest.param({**auth("alice", "x"), "email": "a@b", "n": [1]}, ("alice", "x", "", ""), id="more than we know"),
    ],
)
def test_an_entry_is_a_login(home: Home, entry: object, parts: tuple[str, str, str, str]) -> None:
    found = home.credentials({"auths": {"quay.io": entry}}).find("quay.io", "a/b")
    assert found == Login(*parts, source=str(home.root / "1.json"))


@pytest.mark.parametrize(
    "entry",
    [{}, None, {"auth": ""}, {"auth": None}, {"email": "a@b"}, {"username": "", "password": ""}],
    ids=["empty", "null", "an empty auth", "a null auth", "a mail address", "empty parts"],
)
def test_an_empty_entry_is_passed_over_in_silence(home: Home, entry: object, log: Log) -> None:
    found = home.credentials({"auths": {"quay.io/a": entry, "quay.io": entry}}, auths("quay.io"))
    assert user(found.find("quay.io", "a/b")) == "quay.io"
    assert log.warnings == []


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        pytest.param(SECRET, "it is not an object", id="text"),
        pytest.param([SECRET], "it is not an object", id="an array"),
        pytest.param({"auth": [SECRET]}, "one of its fields is not a string", id="auth is an array"),
        pytest.param({"username": "a", "password": 5}, "one of its fields is not a string", id="a number"),
        pytest.param({"auth": f"%{SECRET}"}, "its 'auth' is not base64", id="not base64"),
        pytest.param({"auth": f"é{SECRET}"}, "its 'auth' is not base64", id="not ASCII"),
        pytest.param({"auth": b64(f"a:{SECRET}")[:-3]}, "its 'auth' is not base64", id="cut short"),
        pytest.param({"auth": b64(SECRET)}, "its 'auth' has no ':'", id="no colon"),
        pytest.param({"auth": "===="}, "its 'auth' has no ':'", id="padding alone"),
        pytest.param({"auth": b64(f":{SECRET}")}, "neither a user name with a password", id="no user name"),
        pytest.param({"auth": b64("alice:")}, "neither a user name with a password", id="no password"),
        pytest.param({"password": SECRET}, "neither a user name with a password", id="a password alone"),
        pytest.param({"username": "a:b", "password": SECRET}, "cannot contain ':'", id="a colon in the user name"),
        pytest.param({"auth": b64(b"\xe9:" + SECRET.encode())}, "must be UTF-8", id="a user name in Latin-1"),
        pytest.param({"username": "a", "password": f"\ud800{SECRET}"}, "must be UTF-8", id="half a character"),
        pytest.param({"registrytoken": f"{SECRET}\r\nX: y"}, "a registry token must be", id="a line in a token"),
    ],
)
def test_a_broken_entry_is_told_with_file_and_key_and_passed_over(
    home: Home, entry: object, reason: str, log: Log
) -> None:
    found = home.credentials({"auths": {"quay.io/a": entry, "https://quay.io": entry, "quay.io": auth("good")}})
    for _ in range(3):
        assert user(found.find("quay.io", "a/b")) == "good"
    (warning,) = log.warnings
    assert warning.startswith(f"cannot use the entry 'quay.io/a' of {home.root / '1.json'}: ")
    assert reason in warning
    assert SECRET not in log.text


def test_a_broken_entry_for_another_host_is_not_told(home: Home, log: Log) -> None:
    found = home.credentials({"auths": {"ghcr.io": {"auth": "?"}, "quay.io": auth()}})
    assert user(found.find("quay.io", "a/b")) == "alice"
    assert log.warnings == []


def test_a_key_is_cleaned_before_it_is_told(home: Home, log: Log) -> None:
    home.credentials({"auths": {"https://quay.io/\x1b[31m\n": 5}}).find("quay.io", "a/b")
    (warning,) = log.warnings
    assert warning.isprintable()
    assert r"'https://quay.io/\x1b[31m\x0a'" in warning


# ---- files ----


NO_OBJECT = "'auths' or 'credHelpers' that is not an object"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        pytest.param(
            f'{{"auths":\n  {{"quay.io": {SECRET}', "not JSON: Expecting value (line 2, column 15)", id="value"
        ),
        pytest.param(f'{{"a": "{SECRET}', "Unterminated string starting at (line 1, column 7)", id="cut short"),
        pytest.param(f'{{"a": "\\{SECRET}"}}', "(line 1, column 8)", id="an unknown escape"),
        pytest.param("{}\n{}", "not JSON: Extra data (line 2, column 1)", id="more than one"),
        pytest.param(f'"{SECRET}"', "not a JSON object", id="text"),
        pytest.param("null", "not a JSON object", id="null"),
        pytest.param(b'{"a": "\xff"}', "not UTF-8 (byte 8)", id="not UTF-8"),
        pytest.param('{"a":' * 100_000, "nested too deeply", id="nested"),
        pytest.param(f'{{"a": {"1" * 9999}}}', "not usable JSON", id="a long number"),
        pytest.param({"auths": [SECRET]}, NO_OBJECT, id="auths is an array"),
        pytest.param({"credHelpers": SECRET}, NO_OBJECT, id="credHelpers is text"),
    ],
)
def test_a_broken_file_is_told_with_its_position_and_passed_over(
    home: Home, content: object, reason: str, log: Log
) -> None:
    found = home.credentials(content, auths("quay.io"))
    for registry in ("quay.io", "ghcr.io", "quay.io"):
        assert user(found.find(registry, "a/b")) == (registry if registry == "quay.io" else None)
    (warning,) = log.warnings
    assert warning.startswith(f"{home.root / '1.json'} ")
    assert reason in warning
    assert SECRET not in log.text


def test_a_broken_variable_is_told_by_its_name(log: Log) -> None:
    assert Credentials(inline=f'{{"auths": {SECRET}').find("quay.io", "a/b") is None
    assert Credentials(inline='{"auths": "\udcff"}').find("quay.io", "a/b") is None
    first, second = log.warnings
    assert first.startswith("DOCKER_AUTH_CONFIG is not JSON: Expecting value (line 1, column 11)")
    assert second.startswith("DOCKER_AUTH_CONFIG is not UTF-8 (byte 12)")
    assert SECRET not in log.text


def test_a_file_that_is_too_large_is_told(home: Home, log: Log) -> None:
    assert home.credentials(" " * (MAX_SETTINGS + 1)).find("quay.io", "a/b") is None
    (warning,) = log.warnings
    assert warning.startswith(f"cannot read {home.root / '1.json'}: it is larger than {MAX_SETTINGS} bytes; ")


def test_a_file_of_the_largest_size_is_read(home: Home) -> None:
    content = json.dumps(auths("quay.io"))
    found = home.credentials(content.ljust(MAX_SETTINGS))
    assert user(found.find("quay.io", "a/b")) == "quay.io"


def test_a_file_that_cannot_be_read_is_told(home: Home, log: Log) -> None:
    directory = home.root / "director\x1by"
    directory.mkdir()
    below_a_file = home.file({}, "plain") / "config.json"
    assert Credentials(files=[directory, below_a_file]).find("quay.io", "a/b") is None
    (warning,) = log.warnings
    assert warning.startswith(rf"cannot read {home.root}/director\x1by: ")


def test_a_named_file_that_is_missing_is_told(home: Home, log: Log) -> None:
    missing, below_a_file = home.root / "missing", home.file({}, "plain") / "config.json"
    for file in (missing, below_a_file):
        assert Credentials(files=[file], must_exist=True).find("quay.io", "a/b") is None
    assert [warning.partition(": ")[0] for warning in log.warnings] == [
        f"cannot read {file}" for file in (missing, below_a_file)
    ]


@pytest.mark.parametrize(
    ("environment", "authfile", "is_told"),
    [
        ({"REGISTRY_AUTH_FILE": "/nowhere/auth.json"}, None, True),
        ({}, Path("/nowhere/auth.json"), True),
        ({"DOCKER_CONFIG": "/nowhere"}, None, False),
    ],
    ids=["REGISTRY_AUTH_FILE", "--authfile", "DOCKER_CONFIG"],
)
def test_only_a_directory_of_credentials_may_be_missing(
    environment: dict[str, str], authfile: Path | None, log: Log, *, is_told: bool
) -> None:
    access = RegistryConfig.from_environment(environment, authfile=authfile)
    assert access.credentials.find("quay.io", "a/b") is None
    assert [warning.startswith("cannot read /nowhere/auth.json: No such file") for warning in log.warnings] == [
        True
    ] * is_told


def test_a_file_that_is_a_pipe_is_told_and_not_waited_for(home: Home, log: Log) -> None:
    os.mkfifo(home.root / "config.json")
    with in_time(20):
        assert Credentials(files=[home.root / "config.json"]).find("quay.io", "a/b") is None
    (warning,) = log.warnings
    assert warning.startswith(f"cannot read {home.root / 'config.json'}: it is a named pipe, not a regular file")


def test_a_file_is_read_as_go_reads_it(home: Home) -> None:
    text = '{"auths": {}, "AUTHS": {"quay.io": {"auth": "%s"}, "quay.io": {"auth": "%s"}}}'
    content = b"\xef\xbb\xbf" + (text % (b64("first:x"), b64("last:x"))).encode()
    assert user(home.credentials(content).find("quay.io", "a/b")) == "last"


@pytest.mark.parametrize("content", [{HUB: auth(), "quay.io": auth("bob")}, {"auths": {HUB: auth()}}], ids=str)
def test_the_oldest_file_is_a_map_of_entries(home: Home, content: object) -> None:
    path = home.file(content, ".dockercfg")
    assert user(Credentials(files=[path]).find("docker.io", "library/busybox")) == "alice"


def test_any_other_file_is_no_map_of_entries(home: Home) -> None:
    assert home.credentials({"quay.io": auth()}).find("quay.io", "a/b") is None


def test_nothing_is_read_before_a_login_is_wanted_and_nothing_twice(home: Home) -> None:
    path = home.root / "config.json"
    found = Credentials(files=[path])
    home.file(auths("quay.io"))
    assert user(found.find("quay.io", "a/b")) == "quay.io"
    path.unlink()
    assert user(found.find("quay.io", "c/d")) == "quay.io"


# ---- helpers ----


@pytest.mark.parametrize(
    ("config", "found", "asked"),
    [
        pytest.param({"credsStore": "all"}, "from all", ["all quay.io"], id="credsStore"),
        pytest.param({"credHelpers": {"quay.io": "one"}}, "from one", ["one quay.io"], id="credHelpers"),
        pytest.param(
            {"credHelpers": {"quay.io": "one"}, "credsStore": "all"}, "from one", ["one quay.io"], id="the host's own"
        ),
        pytest.param(
            {"credHelpers": {"ghcr.io": "one"}, "credsStore": "all"}, "from all", ["all quay.io"], id="another's own"
        ),
        pytest.param({"credHelpers": {"https://QUAY.io/v1/": "one"}}, "from one", ["one quay.io"], id="a URL"),
        pytest.param({"credHelpers": {"ghcr.io": "one", "quay.io/a": "one"}}, "quay.io", [], id="not for the host"),
        pytest.param({"credHelpers": {"quay.io": "none"}}, "quay.io", ["none quay.io"], id="not found"),
        pytest.param(
            {"credHelpers": {"quay.io": "none"}, "credsStore": "all"}, "quay.io", ["none quay.io"], id="nobody else"
        ),
        pytest.param({"credHelpers": {"quay.io": ""}, "credsStore": "all"}, "quay.io", [], id="none for the host"),
        pytest.param({"CREDSSTORE": "all"}, "from all", ["all quay.io"], id="any case"),
        pytest.param({"credsStore": None, "credHelpers": None}, "quay.io", [], id="null"),
    ],
)
def test_a_helper_comes_before_the_entries_of_its_file(
    home: Home, config: dict[str, object], found: str, asked: list[str]
) -> None:
    home.helper("all", quay_io="from all")
    home.helper("one", quay_io="from one")
    home.helper("none")
    login = home.credentials(auths("quay.io", **config)).find("quay.io", "a/b")
    assert user(login) == found
    assert home.log() == asked
    assert login is not None
    assert login.password == SECRET


def test_a_login_from_a_helper_says_so(home: Home) -> None:
    home.helper("all", quay_io="alice", ghcr_io="<token>")
    found = home.credentials({"credsStore": "all"})
    assert found.find("quay.io", "a/b") == Login("alice", SECRET, source="docker-credential-all")
    assert found.find("ghcr.io", "a/b") == Login(identity_token=SECRET, source="docker-credential-all")


@pytest.mark.parametrize("registry", ["docker.io", "index.docker.io", "registry-1.docker.io"])
@pytest.mark.parametrize("config", [{"credsStore": "all"}, {"credHelpers": {"docker.io": "all"}}], ids=str)
def test_a_helper_is_asked_for_docker_hub_by_its_key(home: Home, registry: str, config: object) -> None:
    home.helper("all", https___index_docker_io_v1_="hub")
    assert user(home.credentials(config).find(registry, "library/busybox")) == "hub"
    assert home.log() == [f"all {HUB}"]


def global_helpers(home: Home, text: str) -> Credentials:
    """Return who reads ``credential-helpers`` from registries.conf, beside a file with a login for each registry."""
    conf = home.file(text, "registries.conf")
    file = home.file(auths("quay.io", "docker.io"))
    return Credentials(files=[file], helpers=read_helpers([conf]), path=str(home.bin))


@pytest.mark.parametrize(
    ("helpers", "found", "asked"),
    [
        ('["one"]', "from one", ["one quay.io"]),
        ('["one", "two"]', "from one", ["one quay.io"]),
        ('["none", "two"]', "from two", ["none quay.io", "two quay.io"]),
        ('["none", "containers-auth.json", "two"]', "quay.io", ["none quay.io"]),
        ('["containers-auth.json", "one"]', "quay.io", []),
        ('["none"]', "quay.io", ["none quay.io"]),  # podman would not look at the file
        ("[]", "quay.io", []),
    ],
)
def test_podmans_helpers_are_asked_before_or_after_the_files(
    home: Home, helpers: str, found: str, asked: list[str], log: Log
) -> None:
    for name in ("one", "two"):
        home.helper(name, quay_io=f"from {name}")
    home.helper("none")
    assert user(global_helpers(home, f"credential-helpers = {helpers}").find("quay.io", "a/b")) == found
    assert home.log() == asked
    assert log.warnings == []


def test_podmans_helpers_are_asked_after_the_files_for_what_is_in_none(home: Home) -> None:
    home.helper("one", ghcr_io="from one")
    found = global_helpers(home, 'Credential-Helpers = ["containers-auth.json", "one"]')
    assert user(found.find("ghcr.io", "a/b")) == "from one"


def test_podmans_helpers_know_docker_hub_by_its_name(home: Home) -> None:
    home.helper("one", docker_io="hub")
    assert user(global_helpers(home, 'credential-helpers = ["one"]').find("docker.io", "library/busybox")) == "hub"
    assert home.log() == ["one docker.io"]


def test_a_later_list_of_helpers_replaces_an_earlier_one(home: Home) -> None:
    texts = [
        'credential-helpers = ["a"]',
        "",
        'credential-helpers = ["b", "containers-auth.json", "c"]',
        "[[registry]]",
    ]
    files = [home.file(text, f"{number}.conf") for number, text in enumerate(texts)]
    assert read_helpers(files) == (("b",), ("c",), str(files[2]))


@pytest.mark.parametrize("text", ['credential-helpers = "one"', "credential-helpers = [1]"])
def test_a_malformed_list_of_helpers_is_told_and_left_out(home: Home, text: str, log: Log) -> None:
    assert user(global_helpers(home, text).find("quay.io", "a/b")) == "quay.io"
    (warning,) = log.warnings
    assert "credential-helpers" in warning
    assert "registries.conf" in warning


def test_a_failing_helper_of_podman_is_told_with_the_file_and_the_next_source_asked(home: Home, log: Log) -> None:
    assert user(global_helpers(home, 'credential-helpers = ["absent"]').find("quay.io", "a/b")) == "quay.io"
    (warning,) = log.warnings
    assert "docker-credential-absent is not on the PATH (named in " in warning
    assert "registries.conf)" in warning


@pytest.mark.parametrize(("options", "found"), [({}, "from one"), ({"authfile": Path("given.json")}, "given")])
def test_podmans_helpers_count_unless_the_user_names_a_file(
    home: Home, options: dict[str, Path], found: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.root)
    home.helper("one", quay_io="from one")
    home.file({"auths": {"quay.io": auth("given")}}, "given.json")
    conf = home.file('credential-helpers = ["one"]', "registries.conf")
    environment = {"CONTAINERS_REGISTRIES_CONF": str(conf), "PATH": str(home.bin)}
    config = RegistryConfig.from_environment(environment, mirrors_first=None, **options)
    assert user(config.credentials.find("quay.io", "a/b")) == found


def test_a_helper_that_knows_no_login_leaves_it_to_the_entry_then_to_the_next_file(home: Home) -> None:
    home.helper("none")
    found = home.credentials(
        {"auths": {"ghcr.io": {}, "quay.io": auth("quay.io")}, "credsStore": "none"}, auths("ghcr.io")
    )
    assert user(found.find("quay.io", "a/b")) == "quay.io"
    assert user(found.find("ghcr.io", "a/b")) == "ghcr.io"


def test_a_helper_is_asked_once_a_host_whatever_the_file_and_the_repository(home: Home) -> None:
    home.helper("all", quay_io="alice")
    found = home.credentials({"credsStore": "all"}, {"credsStore": "all"})
    for repository in ("a/b", "c/d", "a/b"):
        assert user(found.find("quay.io", repository)) == "alice"
        assert found.find("ghcr.io", repository) is None
    assert home.log() == ["all quay.io", "all ghcr.io"]


@pytest.mark.parametrize(
    ("name", "script", "reason"),
    [
        pytest.param("absent", None, "docker-credential-absent is not on the PATH", id="missing"),
        pytest.param("bad", "echo no keyring; exit 3", "failed (exit status 3) and printed 'no keyring'", id="fails"),
        pytest.param("bad", f"echo {SECRET}", "the output of docker-credential-bad is not JSON", id="garbage"),
        pytest.param("../bad", "exit 0", "'../bad' is not a valid name of a credential helper", id="no name"),
        pytest.param(5, None, "the helper for 'quay.io' in ", id="no text"),
    ],
)
def test_a_failing_helper_is_told_once_and_nothing_else_of_its_file_is_taken(
    home: Home, log: Log, name: object, script: str | None, reason: str
) -> None:
    home.helper("all", quay_io="from all")
    if script is not None:
        home.script("bad", f"cat >> {home.asked}; {script}")
    first = auths("quay.io", HUB, "host", credHelpers={"quay.io": name}, credsStore="all")
    found = home.credentials(first)
    for repository in ("a/b", "c/d", "a/b"):
        assert found.find("quay.io", repository) is None
    (warning,) = log.warnings
    assert reason in warning
    assert str(home.root / "1.json") in warning
    assert warning.endswith("; continuing without its credentials; fix or remove it")
    assert home.log() == ([] if script in (None, "exit 0") else ["quay.io"])
    assert SECRET not in log.text


def test_a_failing_helper_of_docker_does_not_hide_podmans_login(home: Home, log: Log) -> None:
    # the same host's key in the next file; an uninstalled Docker Desktop leaves such a credsStore behind
    found = home.credentials({"credsStore": "absent"}, auths("quay.io"))
    assert user(found.find("quay.io", "a/b")) == "quay.io"
    (warning,) = log.warnings
    assert "docker-credential-absent" in warning


def test_a_failing_helper_fails_for_its_host_only(home: Home) -> None:
    home.helper("all", ghcr_io="alice")
    found = home.credentials({"credHelpers": {"quay.io": "absent"}, "credsStore": "all"})
    assert found.find("quay.io", "a/b") is None
    assert user(found.find("ghcr.io", "a/b")) == "alice"


def test_a_helper_is_not_asked_for_the_host_without_its_port(home: Home) -> None:
    home.helper("all", host="alice")
    found = home.credentials({"credsStore": "all"}, {"credHelpers": {"host": "all"}})
    assert found.find("host:5000", "a/b") is None
    assert home.log() == ["all host:5000"]


def test_without_a_path_no_helper_is_run(home: Home, log: Log) -> None:
    home.helper("all", quay_io="from all")
    path = home.file(auths("quay.io", credsStore="all"))
    assert user(Credentials(files=[path]).find("quay.io", "a/b")) == "quay.io"
    assert (home.log(), log.warnings) == ([], [])


def test_threads_get_the_same_login_and_the_helper_is_asked_once(home: Home, log: Log) -> None:
    home.helper("all", quay_io="alice")
    found = home.credentials({"credHelpers": {"ghcr.io": "absent"}, "credsStore": "all"})
    gate = threading.Barrier(8, timeout=30)
    logins: list[str | None] = []

    def ask() -> None:
        gate.wait()
        logins.extend(user(found.find(registry, "a/b")) for registry in ("quay.io", "ghcr.io"))

    assert together(*[ask] * 8) == []
    assert sorted(map(str, logins)) == ["None"] * 8 + ["alice"] * 8
    assert home.log() == ["all quay.io"]
    assert len(log.warnings) == 1


# ---- what is shown ----


def test_no_secret_is_logged_or_shown(home: Home, log: Log) -> None:
    home.helper("all", quay_io="alice")
    config = auths("ghcr.io", credHelpers={"quay.io": "all"})
    found = Credentials(inline=json.dumps(auths("host")), files=[home.file(config)], path=str(home.bin))
    logins = [found.find(registry, "a/b") for registry in ("quay.io", "ghcr.io", "host", "other")]
    shown = f"{log.text} {found} {found!r} {logins} {found._stores} {[str(login) for login in logins]}"
    assert "credentials for ghcr.io: " in shown
    assert "credentials for other: none" in shown
    for secret in (SECRET, b64(SECRET), *(auth(name)["auth"] for name in ("ghcr.io", "host"))):
        assert str(secret) not in shown
