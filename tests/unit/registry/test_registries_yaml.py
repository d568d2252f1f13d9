"""registries.yaml of k3s and rke2 leads to the places to which it leads k3s, and its secrets to their own hosts."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from imgfetch.http.tls import HostTls
from imgfetch.oci.reference import Reference
from imgfetch.registry import registries_yaml
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.mirror_rules import Mirrors, read
from imgfetch.registry.registries_yaml import MAX_PLACES, MAX_YAML, RegistriesYaml, read_registries_yaml
from imgfetch.text import installation
from tests.stories import Log
from tests.tools import in_time
from tests.unit.registry.test_mirror_rules import places

HUB = Reference.parse("rancher/pause:3.6")
ITSELF = "docker.io/rancher/pause upstream"
SECRET = "hunter2-s3cret"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "registries.yaml"


def mirrors(file: Path, text: str) -> Mirrors:
    file.write_text(text, "utf-8")
    return read(k3s=read_registries_yaml([file]))


def content(file: Path, text: str) -> RegistriesYaml:
    file.write_text(text, "utf-8")
    return read_registries_yaml([file])


# ---- mirrors ----


MIRROR = "mirrors:\n  docker.io:\n    endpoint:\n"
REWRITE = "    rewrite:\n"
INSECURE = "{tls: {insecure_skip_verify: true}}"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [ITSELF]),
        ("# nothing", [ITSELF]),
        ("mirrors:\nconfigs:\n", [ITSELF]),
        ("mirrors: ~\nconfigs: null", [ITSELF]),
        ("mirrors:\n  docker.io:\n", [ITSELF]),
        ("mirrors:\n  docker.io: {endpoint: }\n", [ITSELF]),
        ("mirrors: {docker.io: {endpoint: [m.example]}}", ["m.example/rancher/pause https", ITSELF]),
        (
            f"{MIRROR}    - https://b.example:5000\n    - http://a.example\n",
            ["b.example:5000/rancher/pause https", "a.example/rancher/pause http", ITSELF],
        ),
        (f"{MIRROR}    - localhost:5000\n", ["localhost:5000/rancher/pause http", ITSELF]),
        (f"{MIRROR}    - 127.0.0.1:443\n", ["127.0.0.1/rancher/pause https", ITSELF]),
        (f"{MIRROR}    - https://m.example/v2/hub\n", ["m.example/hub/rancher/pause https", ITSELF]),
        (f"{MIRROR}    - https://m.example/v2/\n", ["m.example/rancher/pause https", ITSELF]),
        ('mirrors: {"*": {endpoint: ["https://m.example"]}}', ["m.example/rancher/pause https", ITSELF]),
        (
            'mirrors: {"*": {endpoint: [a.example]}, docker.io: {endpoint: [b.example]}}',
            ["b.example/rancher/pause https", ITSELF],
        ),
        ('mirrors: {"*": {endpoint: [a.example]}, docker.io: {endpoint: []}}', [ITSELF]),
        ("mirrors: {index.docker.io: {endpoint: [a.example]}}", ["a.example/rancher/pause https", ITSELF]),
        ("mirrors: {quay.io: {endpoint: [a.example]}}", [ITSELF]),
        ('mirrors: {"*": {endpoint: [a.example]}}\nconfigs: {docker.io: {tls: {ca_file: /ca}}}', [ITSELF]),
        (
            'mirrors: {"*": {endpoint: [a.example]}}\nconfigs: {docker.io: {}}',
            ["a.example/rancher/pause https", ITSELF],
        ),
        (f"{MIRROR}    - https://registry-1.docker.io\n", [ITSELF]),
        (
            f'{MIRROR}    - https://m.example\n{REWRITE}      "^rancher/(.*)": "mirror/rancher-images/$1"\n',
            ["m.example/mirror/rancher-images/pause https", ITSELF],
        ),
        (
            f'{MIRROR}    - https://m.example/v2/hub\n{REWRITE}      "x": "y"\n      "(.*)": "a/$1"\n      ".*": "n"',
            ["m.example/hub/a/rancher/pause https", ITSELF],
        ),
        (
            f'{MIRROR}    - https://m.example\n{REWRITE}      ".*": "Not A Name"\n      "pause": "break"\n',
            ["m.example/rancher/break https", ITSELF],
        ),
        (
            f'{MIRROR}    - https://docker.io\n    - m.example\n{REWRITE}      "pause": "break"\n',
            ["docker.io/rancher/pause https", "m.example/rancher/break https", ITSELF],
        ),
        (
            f"{MIRROR}    - http://m.example:5000\nconfigs: {{'m.example:5000': {INSECURE}}}",
            ["m.example:5000/rancher/pause", ITSELF],  # https comes first
        ),
        (
            "base: &base [https://m.example]\nmirrors: {docker.io: {endpoint: *base}}",
            ["m.example/rancher/pause https", ITSELF],
        ),
    ],
)
def test_endpoints_are_asked_in_their_order_and_the_registry_last(
    file: Path, log: Log, text: str, found: list[str]
) -> None:
    assert places(mirrors(file, text), HUB) == found
    assert log.warnings == []


def test_an_endpoint_is_told_for_which_registry_it_stands(file: Path) -> None:
    found = mirrors(file, "mirrors: {docker.io: {endpoint: [m.example, docker.io, n.example]}}").endpoints(HUB)
    assert [place.namespace for place in found] == ["docker.io", "", "docker.io", ""]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{MIRROR}    - https://m.example/no/api\n    - b.example\n", "endpoint 1 of mirror 'docker.io'"),
        (f"{MIRROR}    - https://u:{SECRET}@m.example\n    - b.example\n", "a URL with credentials"),
        (f"{MIRROR}    - ftp://m.example\n    - b.example\n", "ftp://m.example"),
        (f'{MIRROR}    - b.example\n{REWRITE}      "(": "x"\n', "the pattern '(' is malformed"),
        (f'{MIRROR}    - b.example\n  "a b": {{endpoint: [c.example]}}\n', "mirror 'a b'"),
        (f'{MIRROR}    - b.example\nconfigs: {{"a b": {{auth: {{username: u, password: {SECRET}}}}}}}', "config 'a b'"),
        (f'{MIRROR}    - b.example\nconfigs: {{"*": {{auth: {{username: u, password: {SECRET}}}}}}}', "name it"),
    ],
)
def test_a_part_that_cannot_be_used_is_left_out_with_a_warning(file: Path, log: Log, text: str, says: str) -> None:
    assert places(mirrors(file, text), HUB) == ["b.example/rancher/pause https", ITSELF]
    (warning,) = log.warnings
    assert says in warning
    assert str(file) in warning
    assert SECRET not in log.text


# ---- malformed and hostile files ----


@pytest.mark.parametrize(
    "text",
    [
        "- a list",
        "just a text",
        f"password: [{SECRET}\n",
        f"a: b: {SECRET}",
        "mirrors: [a]",
        "mirrors: {docker.io: [a]}",
        "mirrors: {docker.io: {endpoint: https://m.example}}",
        "mirrors: {docker.io: {endpoint: [[a]]}}",
        "mirrors: {docker.io: {rewrite: [a]}}",
        "mirrors: {docker.io: {rewrite: {a: [b]}}}",
        "configs: [a]",
        "configs: {m.example: a}",
        "configs: {m.example: {tls: [a]}}",
        f"configs: {{m.example: {{auth: {{username: u, password: [{SECRET}]}}}}}}",
        "configs: {m.example: {tls: {insecure_skip_verify: perhaps}}}",
        "configs: {m.example: {tls: {cert_file: a}}}",
        "configs: {m.example: {tls: {key_file: a}}}",
        "a: *nothing",
        "base: &a {docker.io: {endpoint: [m.example]}}\nmirrors: {<<: *a}",
        "? [a, b]\n: c",
        "a: \x00",
        "[" * 20_000,
        "{a: " * 5_000,
        "#" + "a" * MAX_YAML,
    ],
)
def test_a_file_that_k3s_refuses_counts_as_absent_with_one_warning(file: Path, log: Log, text: str) -> None:
    assert content(file, text) == RegistriesYaml()
    (warning,) = log.warnings
    assert str(file) in warning
    assert SECRET not in log.text


def test_bytes_that_are_no_text_are_one_warning(file: Path, log: Log) -> None:
    file.write_bytes(b"\xff")
    assert read_registries_yaml([file]) == RegistriesYaml()
    assert len(log.warnings) == 1


@in_time(30)
def test_aliases_that_multiply_take_neither_time_nor_memory(file: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 60)]
    began = time.process_time()
    found = content(file, "\n".join([*lines, "mirrors: {docker.io: {endpoint: [m.example]}, quay.io: {x: *a59}}"]))
    assert set(found.mirrors) == {"docker.io", "quay.io"}
    assert time.process_time() - began < 20


@pytest.mark.parametrize(
    "shared", ["endpoint: [" + "m.example," * 1500 + "]", "rewrite: {a: b, c: d, e: f, g: h, i: j}"]
)
def test_aliases_do_not_multiply_endpoints_and_rewrites(file: Path, log: Log, shared: str) -> None:
    text = f"shared: &shared {{{shared}}}\nmirrors:\n" + "".join(f"  r{at}.example: *shared\n" for at in range(1000))
    assert content(file, text) == RegistriesYaml()
    (warning,) = log.warnings
    assert warning == f"ignoring {file}: it has more than {MAX_PLACES} endpoints and rewrites"


def test_tags_construct_nothing(file: Path, tmp_path: Path, log: Log) -> None:
    text = f"mirrors: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']\nconfigs: !!python/name:os.system ''"
    assert content(file, text) == RegistriesYaml()
    assert not (tmp_path / "made").exists()
    assert len(log.warnings) == 1


def test_without_pyyaml_there_is_one_warning_that_names_it(
    file: Path, log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert content(file, "mirrors: {docker.io: {endpoint: [m.example]}}") == RegistriesYaml()
    (warning,) = log.warnings
    assert f"ignoring {file}: it needs PyYAML ({installation('yaml')})" in warning
    file.unlink()
    assert read_registries_yaml([file]) == RegistriesYaml()
    assert len(log.warnings) == 1


def test_the_first_file_counts_and_is_named(file: Path, tmp_path: Path, log: Log) -> None:
    second = tmp_path / "rke2.yaml"
    second.write_text("mirrors: {quay.io: {endpoint: [m.example]}}")
    assert set(read_registries_yaml([file, second]).mirrors) == {"quay.io"}
    assert f"INFO using {second}" in log.text
    file.write_text("")
    assert read_registries_yaml([file, second]) == RegistriesYaml(file=str(file))


def test_a_file_that_only_root_may_read_is_no_warning(file: Path, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text("mirrors: [")
    monkeypatch.setattr(registries_yaml.os, "access", lambda *_: False)
    assert read_registries_yaml([file]) == RegistriesYaml()
    assert log.warnings == []
    assert f"ignoring {file}: permission denied" in log.text


# ---- what is for a host alone ----


CONFIGS = f"""
configs:
  m.example:5000:
    auth: {{username: alice, password: {SECRET}}}
    tls: {{ca_file: /ca.pem, cert_file: client.cert, key_file: client.key}}
  docker.io:
    auth: {{identity_token: {SECRET}}}
    tls: {{ca_file: hub.pem, insecure_skip_verify: no}}
  n.example:
    auth: {{auth: "YWxpY2U6aHVudGVyMi1zM2NyZXQ="}}
    tls: {{insecure_skip_verify: Yes}}
  o.example:
    auth: ~
    tls:
"""


def test_certificates_are_for_their_host_and_port(file: Path) -> None:
    found, folder = content(file, CONFIGS), file.parent
    assert found.hosts == {
        ("m.example", 5000): HostTls((Path("/ca.pem"),), ((folder / "client.cert", folder / "client.key"),)),
        ("registry-1.docker.io", 443): HostTls((folder / "hub.pem",)),
    }
    assert found.insecure == {"n.example:443"}


@pytest.fixture
def config(file: Path, monkeypatch: pytest.MonkeyPatch) -> RegistryConfig:
    file.write_text(CONFIGS)
    monkeypatch.setattr(registries_yaml, "PATHS", (file,))
    return RegistryConfig.from_environment({})


def test_a_host_that_is_not_verified_is_so_at_its_port_alone(config: RegistryConfig) -> None:
    assert config.trust.is_insecure("n.example", 443)
    for host, port in (("n.example", 8443), ("m.example", 5000), ("sub.n.example", 443), ("registry-1.docker.io", 443)):
        assert not config.trust.is_insecure(host, port)


@pytest.mark.parametrize(
    ("registry", "found"),
    [
        ("m.example:5000", ("alice", SECRET, "")),
        ("n.example", ("alice", SECRET, "")),
        ("docker.io", ("", "", SECRET)),
        ("m.example", None),
        ("m.example:443", None),
        ("n.example:5000", None),
        ("o.example", None),
        ("evil-m.example:5000", None),
        ("quay.io", None),
    ],
)
def test_credentials_are_for_their_host(
    config: RegistryConfig, registry: str, found: tuple[str, str, str] | None
) -> None:
    login = config.credentials.find(registry, "team/app")
    assert (login and (login.username, login.password, login.identity_token)) == found
    assert login is None or login.source.endswith("registries.yaml")


def test_credentials_of_docker_and_podman_come_first_and_a_named_file_stands_alone(
    config: RegistryConfig, tmp_path: Path
) -> None:
    del config
    (tmp_path / "config.json").write_text('{"auths": {"m.example:5000": {"username": "bob", "password": "p"}}}')
    first = RegistryConfig.from_environment({"DOCKER_CONFIG": str(tmp_path)}).credentials
    assert [login and login.username for login in map(first.find, ("m.example:5000", "n.example"), "ab")] == [
        "bob",
        "alice",
    ]
    alone = RegistryConfig.from_environment({}, authfile=tmp_path / "config.json").credentials
    assert alone.find("n.example", "a") is None
    assert RegistryConfig.from_environment({}, anonymous=True).credentials.find("n.example", "a") is None


def test_without_mirrors_the_certificates_and_credentials_still_count(config: RegistryConfig) -> None:
    without = RegistryConfig.from_environment({}, mirrors_first=None)
    assert without.trust == config.trust
    assert without.credentials.find("n.example", "a") is not None
    assert places(without.mirrors, HUB) == [ITSELF]


def test_containerds_hosts_come_before_those_of_k3s(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "certs.d" / "docker.io"
    folder.mkdir(parents=True)
    (folder / "hosts.toml").write_text('server = "https://s.example"\n[host."https://h.example"]')
    k3s = content(file, "mirrors: {docker.io: {endpoint: [k.example]}}")
    found = places(read(certs_directories=[folder.parent], k3s=k3s), HUB)
    assert [place.partition("/")[0] for place in found] == ["h.example", "k.example", "s.example"]
