"""hosts.toml leads to the places to which it leads containerd, in the same order and under the same conditions."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgfetch.errors import UnsupportedError
from imgfetch.http.tls import HostTls
from imgfetch.inputs import MAX_SETTINGS
from imgfetch.oci.reference import Reference
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.client import Registry
from imgfetch.registry.endpoints import Endpoint
from imgfetch.registry.hosts_toml import HostDirectories, hosts_directories
from imgfetch.registry.mirror_rules import Mirrors, read
from imgfetch.registry.mirrored import Mirrored
from imgfetch.registry.settings import MAX_TOML
from imgfetch.text import sanitize
from tests.fakes import FakeRegistry
from tests.stories import Log
from tests.unit.registry.test_mirror_rules import places
from tests.wire import BLOB, CONTENT, Wire

HUB = Reference.parse("busybox:1")
TEAM = Reference.parse("registry.example:5000/team/app:1")
ITSELF = "docker.io/library/busybox upstream"


class Roots:
    """Several ``certs.d``."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def put(self, text: str, folder: str = "docker.io", root: str = "a") -> Path:
        """Write a file, and return its directory."""
        directory = self.path / root / folder
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "hosts.toml").write_text(text, "utf-8")
        return directory

    def read(self) -> Mirrors:
        return read(certs_directories=[self.path / name for name in "abc"])

    def endpoints(self, text: str, reference: Reference = HUB) -> tuple[Endpoint, ...]:
        self.put(text, reference.registry)
        return self.read().endpoints(reference)


@pytest.fixture
def roots(tmp_path: Path) -> Roots:
    return Roots(tmp_path)


# ---- which places, in which order ----


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [ITSELF]),
        ("# nothing", [ITSELF]),
        ('[host."https://a.example"]', ["a.example/library/busybox https", ITSELF]),
        (
            '[host."https://b.example"]\n[host."http://a.example:5000"]\n[host."https://c.example"]',
            [
                "b.example/library/busybox https",
                "a.example:5000/library/busybox http",
                "c.example/library/busybox https",
                ITSELF,
            ],
        ),
        (
            '[host."https://b.example".header]\nx="1"\n[host."https://a.example"]\n',
            ["b.example/library/busybox https", "a.example/library/busybox https", ITSELF],
        ),
        ('server = "https://a.example"', ["a.example/library/busybox https upstream"]),
        ('server = "a.example"', ["a.example/library/busybox https upstream"]),
        ('server = "https://docker.io"', [ITSELF]),
        ('server = "https://registry-1.docker.io"', [ITSELF]),
        ('server = "https://registry-1.docker.io/v2/"', [ITSELF]),
        ('server = "http://docker.io"', ["docker.io/library/busybox http upstream"]),
        ('server = "https://docker.io"\n[host."https://registry-1.docker.io"]', [ITSELF]),  # as in containerd's manual
        (
            '[host."https://registry-1.docker.io"]\n[host."https://a.example"]',
            ["docker.io/library/busybox https", "a.example/library/busybox https", ITSELF],
        ),
        (
            '[host."http://registry-1.docker.io"]',
            ["docker.io/library/busybox http", ITSELF],
        ),
        (
            'server = "https://a.example"\n[host."https://b.example"]\ncapabilities = ["pull", "resolve"]',
            ["b.example/library/busybox https", "a.example/library/busybox https upstream"],
        ),
        (
            '[host."https://b.example"]\ncapabilities = ["pull"]',
            ["b.example/library/busybox https digests", ITSELF],
        ),
        ('[host."https://b.example"]\ncapabilities = ["resolve", "push"]', [ITSELF]),
        ('[host."https://b.example"]\ncapabilities = []', ["b.example/library/busybox https", ITSELF]),
        ('[host."https://b.example"]\ncapabilities = ["PULL"]', ["b.example/library/busybox https digests", ITSELF]),
        ('capabilities = ["push"]', [ITSELF]),  # they are those of a server
        (
            'server = "https://a.example"\ncapabilities = ["push"]\n[host."https://b.example"]',
            ["b.example/library/busybox https upstream"],
        ),
        (
            '[host."https://b.example"]\nskip_verify = true',
            ["b.example/library/busybox https insecure", ITSELF],
        ),
        ("skip_verify = true", ["docker.io/library/busybox insecure upstream"]),
        (
            '[host."http://b.example:5000"]\nskip_verify = true',  # https comes first
            ["b.example:5000/library/busybox insecure", ITSELF],
        ),
        ('[host."harbor:8443"]', ["harbor:8443/library/busybox https", ITSELF]),
        ('[host."http://harbor"]', ["harbor:80/library/busybox http", ITSELF]),
        ('dial_timeout = "1s"\nunknown = 1', [ITSELF]),
    ],
)
def test_hosts_are_asked_in_their_order_and_the_server_last(
    roots: Roots, log: Log, text: str, found: list[str]
) -> None:
    roots.put(text)
    assert places(roots.read(), HUB) == found
    assert log.warnings == []


@pytest.mark.parametrize(
    ("url", "path", "repository"),
    [
        ("https://m.example", "", ""),
        ("https://m.example/", "", ""),
        ("https://m.example/v2", "", ""),
        ("https://m.example/us", "/us", ""),
        ("https://m.example/us/v2/", "/us", ""),
        ("https://m.example//us/../eu/", "/eu", ""),
        ("https://m.example/a/b", "/a/b", ""),
        ("https://m.example/v2/hub", "/v2/hub", ""),
        ("override https://m.example/v2/hub", "", "hub/"),
        ("override https://m.example/v2/a/b", "", "a/b/"),
        ("override https://m.example/x/v2/hub", "/x", "hub/"),
        ("override https://m.example/x/v2", "/x", ""),
        ("override https://m.example/v2", "", ""),
    ],
)
def test_a_path_leads_to_the_api(roots: Roots, url: str, path: str, repository: str) -> None:
    words = url.split()
    mirror, _ = roots.endpoints(f'[host."{words[-1]}"]\noverride_path = {"true" if words[1:] else "false"}')
    assert (mirror.registry, mirror.path, mirror.repository) == ("m.example", path, f"{repository}library/busybox")


@pytest.mark.parametrize(
    "line",
    [
        '[host."https://m.example/path"]\noverride_path = true',  # an API without /v2
        '[host."https://m.example"]\noverride_path = true',
        '[host."https://user:password@m.example"]',
        '[host."https://m.example?a=b"]',
        '[host."https://m.example/%2e%2e"]',
        '[host."https://m.example/A B"]',
        '[host."httpx://m.example"]',
        '[host."https://[::1"]',
        '[host.""]',
    ],
)
def test_a_host_that_cannot_be_asked_is_left_out_with_a_warning(roots: Roots, log: Log, line: str) -> None:
    roots.put(f'{line}\n[host."https://b.example"]')
    assert places(roots.read(), HUB) == ["b.example/library/busybox https", ITSELF]
    (warning,) = log.warnings
    assert "hosts.toml" in warning
    assert "password" not in warning


@pytest.mark.parametrize(
    "text",
    [
        "not toml",
        "server = 1",
        'host = "https://b.example"',
        'host = {"https://b.example" = 1}',
        '[host."https://b.example"]\ncapabilities = "pull"',
        '[host."https://b.example"]\ncapabilities = ["pul"]',
        '[host."https://b.example"]\nskip_verify = "true"',
        '[host."https://b.example"]\nca = 1',
        '[host."https://b.example"]\nca = ["a", 1]',
        '[host."https://b.example"]\nclient = {a = "b"}',
        '[host."https://b.example"]\nclient = [["a", "b", "c"]]',
        '[host."https://b.example"]\nclient = [["a"]]',
        '[host."https://b.example"]\nclient = [1]',
        '[host."https://b.example"]\noverride_path = 1',
        '[host."https://b.example"]\nheader = {a = 1}',
        '[host."https://b.example"]\nheader = {a = ["b", 1]}',
        '[host."https://b.example"]\nheader = {"a b" = "c"}',
        '[host."https://b.example"]\nheader = {a = "b\\r\\nc"}',
        '[host."https://b.example"]\nheader = {HOST = "other.example"}',
        '[host."https://b.example"]\nheader = {Transfer-Encoding = "chunked"}',
        "a = [" + "[" * 5000,
    ],
)
def test_a_file_that_containerd_refuses_counts_as_absent_with_one_warning(roots: Roots, log: Log, text: str) -> None:
    roots.put(f"{text}\n", "docker.io")
    mirrors = roots.read()
    assert places(mirrors, HUB) == places(mirrors, HUB) == [ITSELF]
    (warning,) = log.warnings
    assert "a/docker.io/hosts.toml" in warning


def test_a_file_that_is_too_large_counts_as_absent(roots: Roots, log: Log) -> None:
    assert MAX_TOML < MAX_SETTINGS
    roots.put('server = "https://a.example"\n#' + "a" * MAX_TOML)
    assert places(roots.read(), HUB) == [ITSELF]
    assert len(log.warnings) == 1


def test_where_no_host_may_be_used_to_pull_nobody_is_asked(roots: Roots) -> None:
    roots.put('server = "https://a.example"\ncapabilities = ["push"]')
    with pytest.raises(UnsupportedError, match=r"is blocked by hosts\.toml"):
        roots.read().endpoints(HUB)


# ---- which file ----


@pytest.mark.parametrize(
    ("folders", "found"),
    [
        (["_default"], "_default"),
        (["_default", "registry.example:5000"], "registry.example:5000"),
        (["_default", "registry.example:5000", "registry.example_5000_"], "registry.example_5000_"),
        (["registry.example", "registry.example:443", "docker.io"], ""),
    ],
)
def test_the_directory_is_that_of_the_registry_and_its_port(roots: Roots, folders: list[str], found: str) -> None:
    for number, folder in enumerate(folders):
        roots.put(f'server = "https://n{number}.example"', folder)
    expected = f"n{folders.index(found)}.example/team/app https upstream" if found else f"{TEAM.name} upstream"
    assert places(roots.read(), TEAM) == [expected]


@pytest.mark.parametrize(
    ("first", "found"),
    [
        ("docker.io", "one.example"),
        ("_default", "one.example"),  # though a later root has one for the registry alone
        ("quay.io", "two.example"),
    ],
)
def test_the_first_root_with_a_file_for_the_registry_counts(roots: Roots, first: str, found: str) -> None:
    roots.put('server = "https://one.example"', first, "a")
    roots.put('server = "https://two.example"', "docker.io", "b")
    assert places(roots.read(), HUB) == [f"{found}/library/busybox https upstream"]


def test_a_directory_of_certificates_hides_the_default_of_its_root_only(roots: Roots) -> None:
    roots.put('server = "https://one.example"', "_default", "a")
    (roots.path / "a" / "docker.io").mkdir()
    assert places(roots.read(), HUB) == [ITSELF]
    roots.put('server = "https://two.example"', "_default", "b")
    assert places(roots.read(), HUB) == ["two.example/library/busybox https upstream"]


def test_a_file_is_read_once_and_named_when_it_is_used(roots: Roots, log: Log) -> None:
    file = roots.put('server = "https://one.example"') / "hosts.toml"
    mirrors = roots.read()
    assert places(mirrors, HUB) == ["one.example/library/busybox https upstream"]
    file.unlink()
    assert places(mirrors, "user/app:2") == ["one.example/user/app https upstream"]
    assert [line for line in log.text.splitlines() if "hosts.toml" in line] == [f"INFO using {file}"]


def test_the_roots_are_those_of_containerd_then_of_docker(tmp_path: Path) -> None:
    home, system = Path("/home/user"), Path("/etc")
    of_system = [system / "containerd/certs.d", system / "docker/certs.d"]
    own = [home / ".config/containerd/certs.d", home / ".config/docker/certs.d"]
    found = hosts_directories({}, home, tmp_path)
    assert found == (tmp_path, own[0], of_system[0], own[1], of_system[1])
    assert hosts_directories({}, None) == tuple(of_system)
    assert hosts_directories({"XDG_CONFIG_HOME": "/x"}, home)[0] == Path("/x/containerd/certs.d")


# ---- together with others' ----


def test_podmans_mirrors_come_first_and_its_own_place_of_the_registry_counts(roots: Roots, tmp_path: Path) -> None:
    roots.put('server = "https://server.example"\n[host."https://host.example"]')
    conf = tmp_path / "registries.conf"

    def found(text: str) -> list[str]:
        conf.write_text(text)
        mirrors = read(urls=["https://option.example"], registries_conf=[conf], certs_directories=[roots.path / "a"])
        return [place.partition("/")[0] for place in places(mirrors, HUB)]

    mirror = '[[registry]]\nlocation="docker.io"\n[[registry.mirror]]\nlocation="podman.example"'
    assert found(mirror) == ["option.example", "podman.example", "host.example", "server.example"]
    moved = '[[registry]]\nprefix="docker.io"\nlocation="moved.example"'
    assert found(moved) == ["option.example", "host.example", "moved.example"]
    with pytest.raises(UnsupportedError, match="is blocked by"):
        found('[[registry]]\nlocation="docker.io"\nblocked=true')


# ---- what each host alone gets ----


HOST = """
[host."https://one.example"]
ca = "ca.pem"
client = [["client.cert", "client.key"], "both.pem", ["/abs.pem", ""]]
[host."https://one.example".header]
Authorization = "Basic c2VjcmV0"
X-List = ["a", "b"]
[host."https://two.example:8443"]
ca = ["a.pem", "/b.pem"]
client = "../client.pem"
skip_verify = true
"""


def test_certificates_are_relative_to_the_file_and_headers_one_line(roots: Roots) -> None:
    folder = roots.put(f'ca = "own.pem"\n{HOST}')
    one, two, itself = roots.read().endpoints(HUB)
    pairs = (folder / "client.cert", folder / "client.key"), (folder / "both.pem",) * 2, (Path("/abs.pem"),) * 2
    assert one.tls == HostTls((folder / "ca.pem",), pairs)
    assert one.headers == (("Authorization", "Basic c2VjcmV0"), ("X-List", "a, b"))
    assert two.tls == HostTls((folder / "a.pem", Path("/b.pem")), ((folder / "../client.pem",) * 2,))
    assert (two.headers, itself.headers) == ((), ())
    assert itself.tls == HostTls((folder / "own.pem",))
    assert sanitize("of c2VjcmV0") == "of c2VjcmV0"  # no secret before it is used


def test_each_place_is_trusted_by_its_own_settings_alone(roots: Roots) -> None:
    one, two, itself = roots.endpoints(f"{HOST}\n[host]\n")
    config = RegistryConfig()
    assert config.at(one).trust.hosts == {("one.example", 443): one.tls}
    assert config.at(two).trust.hosts == {("two.example", 8443): two.tls}
    assert config.at(itself).trust == config.trust
    assert [config.at(place).trust.is_insecure("two.example", 8443) for place in (one, two, itself)] == [
        False,
        True,
        False,
    ]
    assert not any(config.at(place).trust.is_insecure("one.example", 443) for place in (one, two, itself))
    assert not config.at(two).trust.is_insecure("two.example", 443)


def test_docker_hubs_own_certificates_are_for_the_host_that_serves_it(roots: Roots) -> None:
    (itself,) = roots.endpoints('ca = "own.pem"')
    assert set(RegistryConfig().at(itself).trust.hosts) == {("registry-1.docker.io", 443)}


def test_a_place_that_is_a_mirror_is_told_for_which_registry(wire: Wire, roots: Roots) -> None:
    mirror, itself = roots.endpoints('[host."https://one.example"]', TEAM)
    assert (mirror.namespace, itself.namespace) == ("registry.example:5000", "")
    hub = roots.endpoints('[host."https://registry-1.docker.io"]\n[host."https://one.example"]')
    assert [place.namespace for place in hub] == ["", "docker.io", ""]
    for url in (f"manifests/{TEAM.tag}", f"blobs/{BLOB.digest}"):
        wire.get(f"https://one.example/v2/team/app/{url}", body=CONTENT)
    with Registry(mirror.registry, scheme=mirror.scheme, namespace=mirror.namespace) as registry:
        registry.manifest(TEAM)
        with registry.blob(TEAM, BLOB, "layer 1"):
            pass
    assert [url.partition("?")[2] for url in wire.urls] == ["ns=registry.example%3A5000"] * 2


STORE, TOKENS = "https://store.example/x", "https://auth.example/token"


def test_headers_go_to_their_own_host_alone(wire: Wire) -> None:
    manifest = "https://one.example/v2/team/app/manifests/1"
    wire.challenge(manifest, f'Bearer realm="{TOKENS}"')
    wire.get(TOKENS, json={"token": "T"})
    wire.redirect(manifest, "https://moved.example/v2/team/app/manifests/1")
    wire.challenge("https://moved.example/v2/team/app/manifests/1", 'Bearer realm="https://moved.example/token"')
    wire.get("https://moved.example/token", json={"token": "M"})
    wire.get("https://moved.example/v2/team/app/manifests/1", body=b"{}")
    with Registry("one.example", headers=[("X-Key", "s3cret-of-one"), ("authorization", "Basic c2VjcmV0")]) as registry:
        registry.manifest(Reference("one.example", "team/app", "1"))
    keyed = [str(request.url) for request in wire.sent if "X-Key" in request.headers]
    assert keyed == [manifest, manifest]
    assert wire.authorizations == ["Basic c2VjcmV0", None, "Bearer T", None, None, "Bearer M"]
    assert "s3cret" not in sanitize("the server says s3cret-of-one")


# ---- who may resolve a tag ----


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ('server = "https://s.example"\ncapabilities = ["pull"]\n[host."https://h.example"]', ["h.example"]),
        ('server = "s.example"\ncapabilities = ["pull"]\n[host."https://h.example"]\ncapabilities = ["pull"]', []),
        ('server = "https://s.example"\n[host."https://h.example"]\ncapabilities = ["pull"]', ["s.example"]),
    ],
)
def test_a_tag_is_resolved_only_where_that_is_allowed(roots: Roots, text: str, asked: list[str]) -> None:
    roots.put(text)
    registries: dict[str, FakeRegistry] = {}
    mirrored = Mirrored(roots.read(), lambda place: registries.setdefault(place.registry, FakeRegistry()))
    with pytest.raises(
        UnsupportedError if not asked else Exception, match="allows no place" if not asked else "not found"
    ):
        mirrored.manifest(HUB)
    assert list(registries) == asked


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[host."https://h.example"]\nca = "h.pem"', Endpoint("docker.io", "library/busybox", is_mirror=False)),
        ('server = "https://s.example"\nca = "s.pem"', Endpoint("docker.io", "library/busybox", is_mirror=False)),
        (
            'server = "https://docker.io/x"\nskip_verify = true',
            Endpoint("docker.io", "library/busybox", is_mirror=False),
        ),
        (
            'server = "https://docker.io"\nca = "/own.pem"\n[host."https://h.example"]',
            Endpoint("docker.io", "library/busybox", is_mirror=False, tls=HostTls((Path("/own.pem"),))),
        ),
    ],
)
def test_without_mirrors_the_registry_itself_keeps_its_settings(roots: Roots, text: str, found: Endpoint) -> None:
    roots.put(text)
    mirrors = Mirrors(hosts=HostDirectories((roots.path / "a",)), are_skipped=True)
    assert mirrors.endpoints(HUB) == (found,)
