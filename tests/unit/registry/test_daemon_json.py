"""docker's daemon.json says which registries are insecure, and which proxies there are."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest

from imgfetch.http import proxies
from imgfetch.oci.reference import Reference
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.daemon_json import DockerConfig, find_daemon_json, read_daemon_json
from imgfetch.registry.mirror_rules import Mirrors, read
from tests.stories import Log
from tests.tools import in_time

SYSTEM, ROOTLESS, DESKTOP = "etc/docker/daemon.json", "home/.config/docker/daemon.json", "home/.docker/daemon.json"


def configured(tmp_path: Path, content: object) -> DockerConfig:
    file = tmp_path / "daemon.json"
    file.write_text(json.dumps(content))
    return read_daemon_json(file)


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let names below example.com be at 10.1.2.3, and those below example.net at fd00::5; return those looked up."""
    asked: list[str] = []

    def look_up(host: str, *_: object, **_options: object) -> list[object]:
        asked.append(host)
        found = {"example.com": "10.1.2.3", "example.net": "fd00::5"}.get(host.partition(".")[2], "")
        if not found and not host[0].isdigit():
            raise socket.gaierror
        return [(None, None, None, "", (found or host, 0))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.mark.parametrize(
    ("entry", "registry", "is_insecure"),
    [
        ("registry.example", "registry.example", True),
        ("registry.example", "registry.example:5000", False),
        ("registry.example:5000", "registry.example:5000", True),
        ("registry.example:5000", "registry.example", False),
        ("Registry.Example", "registry.EXAMPLE", True),
        ("http://registry.example", "registry.example", True),
        ("https://registry.example:5000", "registry.example:5000", True),
        ("registry.example", "cache.registry.example", False),
        ("example", "registry.example", False),
        ("[fd00::5]:5000", "[fd00::5]:5000", True),
        ("docker.io", "docker.io", False),
        ("10.0.0.0/8", "10.9.9.9:5000", True),
        ("10.0.0.0/8", "11.0.0.1", False),
        ("10.1.2.77/24", "one.example.com", True),
        ("10.1.2.0/24", "two.example.com:5000", True),
        ("10.1.3.0/24", "three.example.com", False),
        ("fd00::/8", "four.example.net", True),
        ("10.0.0.0/8", "nowhere.invalid", False),
        ("0.0.0.0/0", "docker.io", False),
    ],
)
def test_a_registry_is_insecure_by_its_name_or_its_address(
    tmp_path: Path, entry: str, registry: str, *, is_insecure: bool, names: list[str]
) -> None:
    mirrors = read(docker=configured(tmp_path, {"insecure-registries": [entry]}), registries_conf=())
    (place,) = mirrors.endpoints(Reference(registry, "team/app"))
    assert place.insecure == is_insecure
    assert not names or "/" in entry.removeprefix("http://").removeprefix("https://")  # a name alone needs no DNS


def test_a_mirror_may_be_insecure_and_the_registry_not(tmp_path: Path) -> None:
    content = {"registry-mirrors": ["https://mirror.example"], "insecure-registries": ["mirror.example"]}
    mirrors = read(docker=configured(tmp_path, content), registries_conf=())
    found = {place.registry: place.insecure for place in mirrors.endpoints(Reference.parse("busybox"))}
    assert found == {"mirror.example": True, "docker.io": False}


@pytest.mark.parametrize("entry", ["", "registry.example/path", "10.0.0.0/33", "user:s3cret@host", "a b", 7, None])
def test_an_entry_that_is_no_registry_is_left_out_with_a_warning(tmp_path: Path, log: Log, entry: object) -> None:
    mirrors = read(docker=configured(tmp_path, {"insecure-registries": [entry, "fine.example"]}), registries_conf=())
    assert mirrors.insecure.includes("fine.example")
    assert not mirrors.insecure.networks
    if isinstance(entry, str):
        (warning,) = log.warnings
        assert f"insecure registry 1 in {tmp_path / 'daemon.json'}" in warning


# ---- proxies ----

BOTH = {"http-proxy": "http://one.example", "https-proxy": "http://two.example:3128", "no-proxy": "near.example,*.x"}


@pytest.mark.parametrize(
    ("environment", "url", "shown", "variable"),
    [
        ({}, "https://far.example/", "two.example:3128", "https-proxy in daemon.json"),
        ({}, "http://far.example/", "one.example:80", "http-proxy in daemon.json"),
        ({}, "https://near.example/", "", ""),
        ({}, "https://localhost/", "", ""),
        ({"HTTPS_PROXY": "http://mine.example"}, "https://far.example/", "mine.example:80", "HTTPS_PROXY"),
        ({"https_proxy": "http://mine.example"}, "https://far.example/", "mine.example:80", "https_proxy"),
        ({"ALL_PROXY": "http://mine.example"}, "http://far.example/", "mine.example:80", "ALL_PROXY"),
        ({"HTTPS_PROXY": "http://mine.example"}, "http://far.example/", "one.example:80", "http-proxy in daemon.json"),
        ({"HTTPS_PROXY": ""}, "https://far.example/", "two.example:3128", "https-proxy in daemon.json"),
        ({"NO_PROXY": "far.example"}, "https://far.example/", "", ""),
        ({"NO_PROXY": "far.example"}, "https://near.example/", "two.example:3128", "https-proxy in daemon.json"),
    ],
)
def test_dockers_proxy_counts_where_the_environment_has_none(
    environment: dict[str, str], url: str, shown: str, variable: str
) -> None:
    proxy = proxies.from_environment(environment, BOTH, "daemon.json").choose(url)
    assert (proxy.shown if proxy else "", proxy.variable if proxy else "") == (shown, variable)


@pytest.mark.parametrize("content", [{"proxies": None}, {"proxies": {}}, {"proxies": {"https-proxy": " "}}])
def test_a_daemon_json_without_proxies_has_none(tmp_path: Path, log: Log, content: object) -> None:
    assert configured(tmp_path, content).proxies == {}
    assert log.warnings == []


@pytest.mark.parametrize("content", [{"proxies": []}, {"proxies": {"https-proxy": 7}}, {"insecure-registries": "a.b"}])
def test_a_malformed_member_is_one_warning_and_the_file_counts_as_absent(
    tmp_path: Path, log: Log, content: dict[str, object]
) -> None:
    assert configured(tmp_path, {**content, "registry-mirrors": ["https://mirror.example"]}) == DockerConfig()
    (warning,) = log.warnings
    assert str(tmp_path / "daemon.json") in warning


# ---- where it is ----


@pytest.mark.parametrize(
    ("there", "found"),
    [
        ([], SYSTEM),
        ([SYSTEM], SYSTEM),
        ([SYSTEM, DESKTOP], DESKTOP),
        ([SYSTEM, ROOTLESS], ROOTLESS),
        ([ROOTLESS, DESKTOP], ROOTLESS),
        (["other/docker/daemon.json"], SYSTEM),
    ],
)
def test_the_users_file_comes_before_the_systems(tmp_path: Path, there: list[str], found: str) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    assert find_daemon_json({}, tmp_path / "home", system=tmp_path / SYSTEM) == tmp_path / found


def test_rootless_docker_follows_xdg_config_home(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/daemon.json").touch()
    environment = {"XDG_CONFIG_HOME": str(tmp_path)}
    assert find_daemon_json(environment, None) == tmp_path / "docker/daemon.json"
    assert find_daemon_json({}, None, system=tmp_path / "x") == tmp_path / "x"


def test_a_pipe_in_the_users_place_is_not_waited_for(tmp_path: Path, log: Log) -> None:
    (tmp_path / "docker").mkdir()
    os.mkfifo(tmp_path / "docker/daemon.json")
    with in_time(20):
        assert read_daemon_json(find_daemon_json({"XDG_CONFIG_HOME": str(tmp_path)}, None)) == DockerConfig()
    (warning,) = log.warnings
    assert "named pipe" in warning


@pytest.mark.parametrize("mirrors_first", [(), None], ids=["mirrors", "no mirrors"])
def test_the_configuration_has_all_that_the_file_says(tmp_path: Path, mirrors_first: tuple[str, ...] | None) -> None:
    (tmp_path / "docker").mkdir()
    content = {"registry-mirrors": ["https://m.example"], "insecure-registries": ["i.example"], "proxies": BOTH}
    (tmp_path / "docker/daemon.json").write_text(json.dumps(content))
    environment = {"XDG_CONFIG_HOME": str(tmp_path), "CONTAINERS_REGISTRIES_CONF": "/dev/null"}
    config = RegistryConfig.from_environment(environment, mirrors_first=mirrors_first)
    assert isinstance(config.mirrors, Mirrors)
    assert config.mirrors.insecure.includes("i.example")
    assert config.mirrors.urls == (() if mirrors_first is None else ("https://m.example",))
    (place,) = config.mirrors.endpoints(Reference("i.example", "app"))
    assert config.at(place).trust.is_insecure("i.example", 443)
    proxy = config.proxies.choose("https://far.example/")
    assert proxy is not None
    assert proxy.variable == f"https-proxy in {tmp_path / 'docker/daemon.json'}"
