"""The user's configuration says where else an image may be had, and in which order."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from imgfetch.errors import InvalidReferenceError, UnsupportedError
from imgfetch.inputs import MAX_SETTINGS
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.registry.daemon_json import read_daemon_json
from imgfetch.registry.endpoints import Endpoint
from imgfetch.registry.mirror_rules import Mirrors, read
from imgfetch.registry.registries_conf import registries_conf_files
from imgfetch.registry.settings import MAX_TOML
from tests.stories import Log
from tests.tools import in_time

HUB = Reference.parse("busybox:1")
QUAY = Reference.parse("quay.io/team/app:1")
DIGEST = f"sha256:{'a' * 64}"


def places(mirrors: Mirrors, reference: str | Reference) -> list[str]:
    """Return the places as names, each with what is special about it."""
    parsed = Reference.parse(reference) if isinstance(reference, str) else reference
    found = []
    for place in mirrors.endpoints(parsed):
        marks = [
            word
            for word, is_so in (
                (place.scheme, bool(place.scheme)),
                ("insecure", place.insecure),
                ("digests", place.by_digest_only),
                ("upstream", not place.is_mirror),
            )
            if is_so
        ]
        found.append(" ".join([f"{place.registry}/{place.repository}", *marks]))
    return found


def configured(tmp_path: Path, *texts: str) -> Mirrors:
    """Return what files of registries.conf with these texts say, read in this order."""
    files = [tmp_path / f"{number}.conf" for number, _ in enumerate(texts)]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text, "utf-8")
    return read(registries_conf=files)


def docker(tmp_path: Path, content: object) -> Mirrors:
    file = tmp_path / "daemon.json"
    file.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return read(docker=read_daemon_json(file), registries_conf=())


def test_nobody_but_the_registry_is_asked_where_nothing_is_configured() -> None:
    assert Mirrors().endpoints(QUAY) == (Endpoint("quay.io", "team/app", is_mirror=False),)


# ---- --mirror ----


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://mirror.example", Endpoint("mirror.example", "library/busybox")),
        ("https://Mirror.Example/", Endpoint("mirror.example", "library/busybox")),
        ("https://mirror.example:443", Endpoint("mirror.example", "library/busybox")),
        ("https://mirror.example:5000", Endpoint("mirror.example:5000", "library/busybox")),
        ("http://mirror.example", Endpoint("mirror.example", "library/busybox", scheme="http")),
        ("http://mirror:5000", Endpoint("mirror:5000", "library/busybox", scheme="http")),
        ("https://[fd00::1]:5000", Endpoint("[fd00::1]:5000", "library/busybox")),
        ("https://harbor.example/hub", Endpoint("harbor.example", "hub/library/busybox")),
        ("https://m.daocloud.io/docker.io/", Endpoint("m.daocloud.io", "docker.io/library/busybox")),
        ("https://harbor.example/v2/hubcache", Endpoint("harbor.example", "hubcache/library/busybox")),
        ("https://harbor.example/v2/", Endpoint("harbor.example", "library/busybox")),
        ("https://harbor.example/hub/v2-cache", Endpoint("harbor.example", "hub/v2-cache/library/busybox")),
        (
            "http://nexus.example:8081/repository/Hub/v2",
            Endpoint("nexus.example:8081", "library/busybox", scheme="http", path="/repository/Hub"),
        ),
        (
            "https://art.example/artifactory/api/docker/hub/v2/",
            Endpoint("art.example", "library/busybox", path="/artifactory/api/docker/hub"),
        ),
        ("docker.io=https://mirror.example", Endpoint("mirror.example", "library/busybox")),
        ("index.docker.io=https://mirror.example/hub", Endpoint("mirror.example", "hub/library/busybox")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_url_leads_to_a_place(url: str, place: Endpoint) -> None:
    assert Mirrors(urls=(url,)).endpoints(HUB) == (place, Endpoint("docker.io", "library/busybox", is_mirror=False))


QUAYS = "quay.io=https://mirror.example"


@pytest.mark.parametrize(
    ("url", "reference", "found"),
    [
        pytest.param("https://mirror.example", "quay.io/team/app", [], id="the Hub's, elsewhere"),
        pytest.param(QUAYS, "quay.io/team/app", ["mirror.example/team/app"], id="named"),
        pytest.param(
            "Quay.IO=https://mirror.example", "quay.io/team/app", ["mirror.example/team/app"], id="name in capitals"
        ),
        pytest.param(QUAYS, "Quay.io/team/app", ["mirror.example/team/app"], id="reference in capitals"),
        pytest.param(QUAYS, "quay.io:8443/team/app", [], id="other port"),
        pytest.param(QUAYS, "docker.io/library/busybox", [], id="the Hub"),
        pytest.param("localhost:5000=http://m:1", "localhost:5000/app", ["m:1/app http"], id="port"),
    ],
)
def test_a_mirror_stands_for_one_registry(url: str, reference: str, found: list[str]) -> None:
    assert places(Mirrors(urls=(url,)), reference) == [*found, f"{reference} upstream"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "mirror.example",
        "ftp://mirror.example",
        "https://",
        "https:///hub",
        "https://mirror.example:x",
        "https://mirror.example:99999",
        "https://mirror_.example",
        "https://mirror.example?ns=docker.io",
        "https://mirror.example/hub?x",
        "https://mirror.example/#x",
        "https://mirror.example/a//b",
        "https://mirror.example/UPPER",
        "https://mirror.example/../v2",
        "https://mirror.example/a//v2",
        "https://mirror.example/a%2Fb/v2",
        "https://mirror.example/v2/UPPER",
        "https://[::1",
        "quay=https://mirror.example",
        "quay.io=mirror.example",
        "=https://mirror.example",
        "quay.io/team=https://mirror.example",
    ],
)
def test_what_is_no_mirrors_url_is_refused(url: str) -> None:
    with pytest.raises(InvalidReferenceError, match="is not a valid mirror") as caught:
        read(urls=[url], registries_conf=())
    assert "http(s)://HOST" in str(caught.value.hint)


@pytest.mark.parametrize(
    "url",
    [
        "https://user:s3cret@mirror.example",
        "https://s3cret@mirror.example/hub",
        "user:s3cret@mirror.example",
        "quay.io=https://user:s3cret@mirror.example",
        "user:s3cret@quay.io=https://mirror.example",
        "user:s3cret=x@mirror.example",
        "https://mirror.example?token=s3cret",
    ],
)
def test_a_login_in_a_mirrors_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidReferenceError, match="with credentials") as caught:
        read(urls=[url], registries_conf=())
    assert "s3cret" not in f"{caught.value} {caught.value.hint}"


def test_the_order_is_options_then_docker_then_registries_conf_then_the_registry(tmp_path: Path) -> None:
    conf = tmp_path / "registries.conf"
    conf.write_text('[[registry]]\nlocation="docker.io"\n[[registry.mirror]]\nlocation="conf.example"')
    daemon = tmp_path / "daemon.json"
    daemon.write_text('{"registry-mirrors": ["https://docker.example", "https://twice.example"]}')
    mirrors = read(
        urls=["https://one.example", "https://twice.example"], docker=read_daemon_json(daemon), registries_conf=[conf]
    )
    assert places(mirrors, "busybox") == [
        "one.example/library/busybox",
        "twice.example/library/busybox",
        "docker.example/library/busybox",
        "conf.example/library/busybox",
        "docker.io/library/busybox upstream",
    ]


# ---- daemon.json ----


def test_dockers_mirrors_stand_for_docker_hub_alone(tmp_path: Path) -> None:
    content = {"registry-mirrors": ["https://one.example/", "http://two.example:5000"], "log-level": "info"}
    mirrors = docker(tmp_path, content)
    assert places(mirrors, "busybox") == [
        "one.example/library/busybox",
        "two.example:5000/library/busybox http",
        "docker.io/library/busybox upstream",
    ]
    assert places(mirrors, QUAY) == ["quay.io/team/app upstream"]


@pytest.mark.parametrize("content", ["", " \n", "{}", '{"registry-mirrors": null}', '{"registry-mirrors": []}'])
def test_a_daemon_json_without_mirrors_says_nothing(tmp_path: Path, log: Log, content: str) -> None:
    assert docker(tmp_path, content) == Mirrors()
    assert log.warnings == []


@pytest.mark.parametrize(
    ("content", "position"),
    [
        pytest.param('{"registry-mirrors": [', "line 1 column 23", id="cut short"),
        pytest.param('{"debug": true,\n "registry-mirrors": x}', "line 2 column 22", id="no JSON"),
        pytest.param("[]", "expected an object", id="no object"),
        pytest.param('{"registry-mirrors": "https://one.example"}', "'registry-mirrors'", id="no array"),
        pytest.param('{"a": ' + "[" * 100_000, "nested too deeply", id="nested"),
    ],
)
def test_a_broken_daemon_json_is_one_warning_with_the_position(
    tmp_path: Path, log: Log, content: str, position: str
) -> None:
    assert docker(tmp_path, content) == Mirrors()
    (warning,) = log.warnings
    assert str(tmp_path / "daemon.json") in warning
    assert position in warning


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        pytest.param(7, "not a valid mirror", id="a number"),
        pytest.param("docker.example", "not a valid mirror", id="no scheme"),
        pytest.param("https://user:s3cret@docker.example", "a URL with credentials", id="a login"),
        pytest.param("quay.io=https://docker.example", "without '='", id="for another registry"),
        pytest.param("https://docker.example/repository//hub/", "not a valid mirror", id="an odd path"),
    ],
)
def test_one_of_dockers_mirrors_that_cannot_be_asked_is_left_out_with_a_warning(
    tmp_path: Path, log: Log, entry: object, words: str
) -> None:
    mirrors = docker(tmp_path, {"registry-mirrors": ["https://one.example", entry, "https://three.example"]})
    assert mirrors.urls == ("https://one.example", "https://three.example")
    (warning,) = log.warnings
    assert f"mirror 2 in {tmp_path / 'daemon.json'}" in warning
    assert words in warning
    assert "s3cret" not in warning


@pytest.mark.parametrize(
    "url", ["https://nexus.example/repository/hub", "https://nexus.example/repository/hub/"], ids=["bare", "slash"]
)
def test_the_path_of_dockers_mirror_comes_before_the_api(tmp_path: Path, url: str) -> None:
    place = Endpoint("nexus.example", "library/busybox", path="/repository/hub")
    assert docker(tmp_path, {"registry-mirrors": [url]}).endpoints(HUB)[0] == place


# ---- registries.conf ----

MANUAL = """
unqualified-search-registries = ["example.com"]

[[registry]]
prefix = "example.com/foo"
insecure = false
blocked = false
location = "internal-registry-for-example.com/bar"

[[registry.mirror]]
location = "example-mirror-0.local/mirror-for-foo"

[[registry.mirror]]
location = "example-mirror-1.local/mirrors/foo"
insecure = true

[[registry]]
location = "registry.com"

[[registry.mirror]]
location = "mirror.registry.com"

[[registry]]
prefix = "*.wild.example"
insecure = true

[[registry.mirror]]
location = "wild-mirror.example"

[[registry]]
prefix = "*.moved.example"
location = "there.example/x"

[[registry]]
prefix = "whole.example/x"
location = "host.example"

[[registry]]
prefix = "tagged.example/a/b:3"
location = "other.example/c:3"

[aliases]
"short" = "quay.io/team/long"
"""


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        (
            "example.com/foo/image:latest",
            [
                "example-mirror-0.local/mirror-for-foo/image",
                "example-mirror-1.local/mirrors/foo/image insecure",
                "internal-registry-for-example.com/bar/image upstream",
            ],
        ),
        (
            "example.com/foo",
            [
                "example-mirror-0.local/mirror-for-foo",
                "example-mirror-1.local/mirrors/foo insecure",
                "internal-registry-for-example.com/bar upstream",
            ],
        ),
        ("example.com/foobar", ["example.com/foobar upstream"]),
        ("example.com/x/foo", ["example.com/x/foo upstream"]),
        ("registry.com/image", ["mirror.registry.com/image", "registry.com/image upstream"]),
        ("Registry.com/image", ["mirror.registry.com/image", "registry.com/image upstream"]),
        ("registry.com:5000/image", ["registry.com:5000/image upstream"]),
        ("xregistry.com/image", ["xregistry.com/image upstream"]),
        ("a.wild.example/x", ["wild-mirror.example/x", "a.wild.example/x insecure upstream"]),
        ("a.b.wild.example:5000/x", ["wild-mirror.example/x", "a.b.wild.example:5000/x insecure upstream"]),
        ("wild.example/x", ["wild.example/x upstream"]),
        ("a.wild.example.com/x", ["a.wild.example.com/x upstream"]),
        ("a.moved.example/y:1", ["there.example/x/y upstream"]),
        ("whole.example/x/y", ["host.example/y upstream"]),
        ("tagged.example/a/b:3", ["other.example/c upstream"]),
        (f"tagged.example/a/b:3@{DIGEST}", ["other.example/c upstream"]),
        ("tagged.example/a/b:4", ["tagged.example/a/b upstream"]),
        ("short", ["docker.io/library/short upstream"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_names_are_rewritten_as_the_manual_page_says(tmp_path: Path, reference: str, found: list[str]) -> None:
    # Compared with skopeo 1.9.3, but that it takes registry.com:5000 for registry.com, and reads no prefix with a tag.
    assert places(configured(tmp_path, MANUAL), reference) == found


def test_a_name_that_is_none_after_rewriting_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedError, match=r"whole\.example/x:1 has no name at host\.example"):
        configured(tmp_path, MANUAL).endpoints(Reference.parse("whole.example/x:1"))


@pytest.mark.parametrize(
    ("reference", "found"),
    [
        ("h.example/a", "top.example/a"),
        ("h.example/n/a", "namespace.example/a"),
        ("h.example/n/r", "repository.example/z"),
        ("h.example/n/r/s", "repository.example/z/s"),
        ("b.c.example/a", "exact.example/a"),
        ("a.b.c.example/a", "longer.example/a"),
        ("x.c.example/a", "wild.example/a"),
    ],
)
def test_the_longest_prefix_counts(tmp_path: Path, reference: str, found: str) -> None:
    rules = {
        "h.example": "top.example",
        "h.example/n": "namespace.example",
        "h.example/n/r/": "repository.example/z/",
        "*.c.example": "wild.example",
        "b.c.example": "exact.example",
        "*.b.c.example": "longer.example",
    }
    text = "\n".join(f'[[registry]]\nprefix="{prefix}"\nlocation="{location}"' for prefix, location in rules.items())
    assert places(configured(tmp_path, text), reference) == [f"{found} upstream"]


HAS_IT = "m.example/library/busybox"
TAG = "docker.io/library/busybox:1"
PINNED = f"docker.io/library/busybox@{DIGEST}"
LISTED = f"docker.io/library/busybox:1@{DIGEST}"  # as the resolver asks for what an index lists


@pytest.mark.parametrize(
    ("setting", "reference", "found"),
    [
        pytest.param("", TAG, [HAS_IT], id="none"),
        pytest.param('pull-from-mirror="all"', PINNED, [HAS_IT], id="all"),
        pytest.param('pull-from-mirror="digest-only"', TAG, [f"{HAS_IT} digests"], id="digest-only by tag"),
        pytest.param('pull-from-mirror="digest-only"', PINNED, [f"{HAS_IT} digests"], id="digest-only"),
        pytest.param('pull-from-mirror="tag-only"', TAG, [HAS_IT], id="tag-only"),
        pytest.param('pull-from-mirror="tag-only"', LISTED, [HAS_IT], id="tag-only below an index"),
        pytest.param('pull-from-mirror="tag-only"', PINNED, [], id="tag-only by digest"),
    ],
)
def test_a_mirror_may_be_for_some_pulls_only(tmp_path: Path, setting: str, reference: str, found: list[str]) -> None:
    text = f'[[registry]]\nlocation="docker.io"\n[[registry.mirror]]\nlocation="m.example"\n{setting}'
    upstream = "docker.io/library/busybox upstream"
    assert places(configured(tmp_path, text), reference) == [*found, upstream]


def test_mirror_by_digest_only_is_for_every_mirror_and_not_for_the_upstream(tmp_path: Path) -> None:
    text = (
        '[[registry]]\nlocation="docker.io"\nmirror-by-digest-only=true\n'
        '[[registry.mirror]]\nlocation="m.example"\n[[registry.mirror]]\nlocation="n.example/hub"'
    )
    assert places(configured(tmp_path, text), TAG) == [
        "m.example/library/busybox digests",
        "n.example/hub/library/busybox digests",
        "docker.io/library/busybox upstream",
    ]


@pytest.mark.parametrize(
    ("prefix", "reference"),
    [
        ("quay.io", "quay.io/team/app:1"),
        ("QUAY.io", "quay.io/team/app:1"),
        ("quay.io", "Quay.io/team/app:1"),
        ("quay.io/team", "quay.io/team/app:1"),
        ("quay.io/team/app", "quay.io/team/app:1"),
        ("quay.io/team/app:latest", "quay.io/team/app"),
        (f"quay.io/team/app@{DIGEST}", f"quay.io/team/app@{DIGEST}"),
        ("*.io", "quay.io:8443/team/app:1"),
    ],
)
def test_what_is_blocked_is_refused_and_the_file_named(tmp_path: Path, prefix: str, reference: str) -> None:
    mirrors = configured(tmp_path, f'[[registry]]\nprefix="{prefix}"\nblocked=true')
    mirrors = replace(mirrors, urls=("quay.io=https://mirror.example",))
    parsed = Reference.parse(reference)
    with pytest.raises(UnsupportedError) as caught:
        mirrors.endpoints(parsed)
    assert f"{parsed} is blocked by {tmp_path / '0.conf'}" in str(caught.value)


def test_a_later_file_replaces_what_an_earlier_one_says_of_a_prefix(tmp_path: Path) -> None:
    first = '[[registry]]\nlocation="a.example"\nblocked=true\n[[registry]]\nprefix="b.example"\nlocation="b1.example"'
    second = (
        '[[registry]]\nlocation="a.example"\ninsecure=true\n[[registry]]\nprefix="c.example"\nlocation="c2.example"'
    )
    mirrors = configured(tmp_path, first, second)
    assert places(mirrors, "a.example/x") == ["a.example/x insecure upstream"]
    assert places(mirrors, "b.example/x") == ["b1.example/x upstream"]
    assert places(mirrors, "c.example/x") == ["c2.example/x upstream"]


def test_within_a_file_the_first_of_a_prefix_counts(tmp_path: Path) -> None:
    text = '[[registry]]\nprefix="a.example"\nlocation="{}.example"\n'
    assert places(configured(tmp_path, text.format("one") + text.format("two")), "a.example/x") == [
        "one.example/x upstream"
    ]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(
            '[[registry]]\nlocation="quay.io"\n[[registry]]\nlocation="quay.io"\nblocked=true', id="once, not once"
        ),
        pytest.param(
            '[[registry]]\nlocation="quay.io"\nblocked=true\n[[registry]]\nlocation="quay.io/"', id="with a slash"
        ),
        pytest.param(
            '[[registry]]\nprefix="quay.io"\nlocation="a.example"\n'
            '[[registry]]\nprefix="b.example"\nlocation="a.example"\nblocked=true',
            id="as the location of another name",
        ),
        pytest.param('[[registry]]\nlocation="quay.io"\nblocked=true\ninsecure=1', id="in a malformed table"),
        pytest.param(
            '[[registry]]\nlocation="quay.io"\nblocked=true\n[[registry]]\nlocation="https://a.example"',
            id="beside a malformed table",
        ),
        pytest.param('registry=[7, {location="quay.io", blocked=true}]', id="beside a number"),
        pytest.param('[[registry]]\nprefix="quay.io"\nblocked=true', id="without a location"),
        pytest.param(
            '[registries.block]\nregistries=["quay.io"]\n[[registry]]\nlocation="c.example"', id="in both formats"
        ),
    ],
)
def test_what_a_file_blocks_is_blocked_though_podman_refuses_the_file(tmp_path: Path, log: Log, text: str) -> None:
    mirrors = configured(tmp_path, text)
    with pytest.raises(UnsupportedError, match="is blocked by"):
        mirrors.endpoints(QUAY)
    (warning,) = log.warnings
    assert warning.startswith(f"ignoring {tmp_path / '0.conf'}: ")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('[[registry]]\nLocation="quay.io"\nBLOCKED=true', id="keys in capitals"),
        pytest.param('[[Registry]]\nlocation="quay.io"\nblocked=true', id="a table in capitals"),
        pytest.param(
            '[[registry]]\nprefix="quay.io"\nlocation="a.example"\n'
            '[[registry]]\nprefix="Quay.io"\nlocation="b.example"\nblocked=true',
            id="one of two with the same prefix",
        ),
        pytest.param(
            '[registries.block]\nregistries=["quay.io"]\n[registries.insecure]\nregistries=["quay.io"]', id="version 1"
        ),
    ],
)
def test_what_podman_reads_as_blocked_is_blocked_without_a_warning(tmp_path: Path, log: Log, text: str) -> None:
    with pytest.raises(UnsupportedError, match="is blocked by"):
        configured(tmp_path, text).endpoints(QUAY)
    assert log.warnings == []


def test_version_1_of_the_format_is_read_in_a_main_file_and_refused_in_an_addition(tmp_path: Path, log: Log) -> None:
    text = '[registries.search]\nregistries=["b.example"]\n[registries.insecure]\nregistries=["a.example"]\n'
    assert places(configured(tmp_path, text), "a.example/x") == ["a.example/x insecure upstream"]
    assert log.warnings == []
    addition = tmp_path / "registries.conf.d" / "1.conf"
    addition.parent.mkdir()
    addition.write_text(text)
    assert read(registries_conf=[addition]) == Mirrors()
    (warning,) = log.warnings
    assert "only a main file may have" in warning


def table(body: str) -> str:
    return f'[[registry]]\nprefix="fine.example"\nlocation="other.example"\n[[registry]]\n{body}'


def a_rule(body: str) -> str:
    location = "" if body.startswith("location=") else 'location="a.example"\n'
    return table(f'prefix="a.example"\n{location}{body}')


@pytest.mark.parametrize(
    ("text", "position"),
    [
        pytest.param('[[registry]]\nprefix = "a.example\n', "line 2, column", id="cut short"),
        pytest.param("registry = 1979-05-27T07:32:00Z", "'registry'", id="a time"),
        pytest.param("[registry]", "'registry'", id="a table"),
        pytest.param("registry = [7]", "[[registry]] 1", id="a number"),
        pytest.param(table("insecure=true"), "the prefix of [[registry]] 2", id="neither prefix nor location"),
        pytest.param(table('prefix="https://a.example"'), "the prefix of [[registry]] 2", id="a URL"),
        pytest.param(table('prefix="*.a.example/x"'), "the prefix of [[registry]] 2", id="a wildcard with a path"),
        pytest.param(table('prefix="*.a.example:5000"'), "the prefix of [[registry]] 2", id="a wildcard with a port"),
        pytest.param(table("prefix=7"), "'prefix' of [[registry]] 2", id="a prefix that is a number"),
        pytest.param(
            table('Location="a.example"\nlocation="b.example"'), "the key 'Location'", id="a key in two spellings"
        ),
        pytest.param(
            a_rule('location="https://b.example"'), "the location of [[registry]] 2", id="a location that is a URL"
        ),
        pytest.param(a_rule('location="bare/x"'), "the location of [[registry]] 2", id="a location without a host"),
        pytest.param(
            a_rule('location="user:s3cret@b.example/x"'), "the location of [[registry]] 2", id="a location with a login"
        ),
        pytest.param(a_rule('location="b.example/X"'), "the location of [[registry]] 2", id="a location in capitals"),
        pytest.param(a_rule('blocked="true"'), "'blocked' of [[registry]] 2", id="a string for a boolean"),
        pytest.param(a_rule("insecure=1"), "'insecure' of [[registry]] 2", id="a number for a boolean"),
        pytest.param(
            a_rule("mirror-by-digest-only=1979-05-27"),
            "'mirror-by-digest-only' of [[registry]] 2",
            id="a date for a boolean",
        ),
        pytest.param(
            a_rule("[[registry.mirror]]"),
            "the location of mirror 1 of [[registry]] 2",
            id="a mirror without a location",
        ),
        pytest.param(
            a_rule('[[registry.mirror]]\nlocation="m.example"\npull-from-mirror="never"'),
            "'pull-from-mirror' of mirror 1 of [[registry]] 2",
            id="an unknown kind of pull",
        ),
        pytest.param(table('prefix="a.example"'), "[[registry]] 2 has no location", id="no location"),
        pytest.param(
            table('location="a.example"\npull-from-mirror="all"'),
            "'pull-from-mirror' of [[registry]] 2 belongs into",
            id="pull-from-mirror outside a mirror",
        ),
        pytest.param(
            a_rule('mirror-by-digest-only=true\n[[registry.mirror]]\nlocation="m.example"\npull-from-mirror="all"'),
            "'pull-from-mirror' of mirror 1 of [[registry]] 2 contradicts",
            id="both ways to say which pulls",
        ),
        pytest.param(
            table('location="other.example"\ninsecure=true'),
            "'insecure' of 'other.example' is true in one [[registry]], false in another",
            id="insecure and not",
        ),
        pytest.param(table('prefix="*.a.example@x"'), "the prefix of [[registry]] 2", id="a wildcard with a digest"),
        pytest.param(
            '[registries.insecure]\nregistries=["a.example"]\n[[registry]]\nlocation="c.example"',
            "version 1 of the format, which only a main file may have, alone",
            id="both formats",
        ),
        pytest.param('[registries.insecure]\nregistries="a.example"', "'registries'", id="the old format, malformed"),
        pytest.param("a = " + "[" * 100_000, "it is nested too deeply", id="nested"),
        pytest.param("a" + ".a" * 5_000 + " = 1", "it is nested too deeply", id="dotted"),
        pytest.param("a = " + "9" * 5_000, "it has a number of too many digits", id="a long number"),
    ],
)
def test_a_broken_registries_conf_counts_as_absent_with_one_warning(
    tmp_path: Path, log: Log, text: str, position: str
) -> None:
    mirrors = configured(tmp_path, text, '[[registry]]\nlocation="b.example"\nblocked=true')
    assert [rule.prefix for rule in mirrors.rules] == ["b.example"]
    (warning,) = log.warnings
    assert str(tmp_path / "0.conf") in warning
    assert position in warning
    assert "s3cret" not in warning


def test_bytes_that_are_no_text_are_one_warning(tmp_path: Path, log: Log) -> None:
    file = tmp_path / "registries.conf"
    file.write_bytes(b"# \xff")
    assert read(registries_conf=[file]) == Mirrors()
    (warning,) = log.warnings
    assert "position 2" in warning


def test_what_cannot_be_read_is_one_warning_each(tmp_path: Path, log: Log) -> None:
    assert read(docker=read_daemon_json(tmp_path), registries_conf=[tmp_path]) == Mirrors()
    assert len(log.warnings) == 2


def test_a_pipe_is_one_warning_each_and_not_waited_for(tmp_path: Path, log: Log) -> None:
    os.mkfifo(tmp_path / "pipe")
    with in_time(20):
        assert read(docker=read_daemon_json(tmp_path / "pipe"), registries_conf=[tmp_path / "pipe"]) == Mirrors()
    assert len(log.warnings) == 2
    assert all(each.startswith(f"ignoring {tmp_path}/pipe: it is a named pipe, not a") for each in log.warnings)


def test_a_file_that_is_too_large_is_one_warning(tmp_path: Path, log: Log) -> None:
    file = tmp_path / "settings"
    file.write_text(" " * MAX_SETTINGS + "\n")
    assert read(docker=read_daemon_json(file), registries_conf=[file]) == Mirrors()
    assert log.warnings == [f"ignoring {file}: it is larger than {limit} bytes" for limit in (MAX_SETTINGS, MAX_TOML)]


def test_what_is_absent_is_no_matter(tmp_path: Path, log: Log) -> None:
    mirrors = read(docker=read_daemon_json(tmp_path / "daemon.json"))
    assert mirrors == Mirrors()
    assert log.text == ""


def test_a_named_file_that_is_absent_is_warned_of(tmp_path: Path, log: Log) -> None:
    environment = {"CONTAINERS_REGISTRIES_CONF": str(tmp_path / "typo")}
    read(registries_conf=registries_conf_files(environment, None, system=tmp_path))
    assert log.warnings == [f"ignoring {tmp_path / 'typo'}: No such file or directory"]


# ---- which files of registries.conf ----

SYSTEM_ONES = ["etc/registries.conf", "etc/registries.conf.d/10.conf", "etc/registries.conf.d/9.conf"]
USERS = ["home/.config/containers/registries.conf", "home/.config/containers/registries.conf.d/1.conf"]
NAMED = ["named.conf"]


@pytest.mark.parametrize(
    ("there", "named", "found"),
    [
        pytest.param([], False, [], id="none"),
        pytest.param(SYSTEM_ONES, False, SYSTEM_ONES, id="the system's"),
        pytest.param(SYSTEM_ONES + USERS, False, USERS, id="the user's"),
        pytest.param(SYSTEM_ONES + USERS[1:], False, SYSTEM_ONES + USERS[1:], id="the user's additions"),
        pytest.param(SYSTEM_ONES + USERS + NAMED, True, NAMED + SYSTEM_ONES[1:] + USERS[1:], id="a named one"),
        pytest.param(SYSTEM_ONES + USERS, True, NAMED + SYSTEM_ONES[1:] + USERS[1:], id="named but absent"),
        pytest.param(
            [*SYSTEM_ONES, "etc/registries.conf.d/README", "etc/registries.conf.d/a/b.conf"],
            False,
            SYSTEM_ONES,
            id="other files",
        ),
    ],
)
def test_the_files_are_those_of_the_manual_page(
    tmp_path: Path, there: list[str], *, named: bool, found: list[str]
) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    environment = {"CONTAINERS_REGISTRIES_CONF": str(tmp_path / "named.conf") if named else ""}
    files = registries_conf_files(environment, tmp_path / "home", system=tmp_path / "etc")
    assert [str(file.relative_to(tmp_path)) for file in files] == found


def test_the_systems_files_are_read_once_by_a_user_without_a_home(tmp_path: Path) -> None:
    (tmp_path / "registries.conf.d").mkdir()
    (tmp_path / "registries.conf.d" / "a.conf").touch()
    assert registries_conf_files({}, None, system=tmp_path) == (tmp_path / "registries.conf.d" / "a.conf",)


def test_a_folder_that_has_the_name_of_a_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "registries.conf.d" / "a.conf").mkdir(parents=True)
    assert registries_conf_files({}, None, system=tmp_path) == ()


def test_a_digest_asks_the_same_places_as_a_tag() -> None:
    mirrors = Mirrors(urls=("https://mirror.example",))
    assert mirrors.endpoints(replace(HUB, tag=None, digest=Digest.parse(DIGEST))) == mirrors.endpoints(HUB)
