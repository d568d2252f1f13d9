"""Mirrors are asked first and believed last, and the registry itself has the last word."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from imgfetch.errors import (
    AuthenticationError,
    ImgfetchError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    StorageError,
    TransportError,
    UnsupportedError,
    VerificationError,
)
from imgfetch.http.ratelimit import RateLimit
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci import mediatypes
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Source
from imgfetch.pull.client import Client
from imgfetch.pull.resolve import Resolver
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.client import Registry
from imgfetch.registry.endpoints import Endpoint
from imgfetch.registry.mirror_rules import Mirrors
from imgfetch.registry.mirrored import Mirrored
from imgfetch.registry.server import LIMITS
from imgfetch.store.blobs import BlobStore
from imgfetch.tolerance import Tolerance
from tests import images
from tests.fakes import FakeBody, FakeRegistry, missing
from tests.stories import Log
from tests.unit.registry.test_mirror_rules import configured
from tests.wire import BLOB, CONTENT, Wire

TAGGED = Reference.parse("busybox:1")
BUILT = images.image(images.hello())
DOCUMENT = Document(BUILT.raw, BUILT.media_type)
PINNED = replace(TAGGED, tag=None, digest=Digest.of(BUILT.raw))
WHAT = "layer 1/1 of docker.io/library/busybox:1"
ONE_AND_TWO = Mirrors(urls=("https://one.example", "https://two.example/hub"))


class Registries(dict[str, FakeRegistry]):
    """Registries by host, which remember at which endpoints they were opened."""

    def __init__(self) -> None:
        self.opened: list[Endpoint] = []
        self.mirrored = Mirrored(ONE_AND_TWO, self.open)

    def __missing__(self, host: str) -> FakeRegistry:
        return self.setdefault(host, FakeRegistry(name=host))

    def open(self, endpoint: Endpoint) -> FakeRegistry:
        self.opened.append(endpoint)
        return self[endpoint.registry]

    def hold(self, host: str, *, document: Document | ImgfetchError | None = None, content: bytes = b"") -> None:
        """Let a registry have the image's manifest, by tag and digest, and its layer."""
        if document is not None:
            self[host].documents = {"1": document, str(PINNED.digest): document}
        if content:
            self[host].contents = {str(BLOB.digest): content}

    @property
    def asked(self) -> list[str]:
        """The host of each request, by the order of their first ones."""
        return [host for host, registry in self.items() for _ in registry.asked]


@pytest.fixture
def registries() -> Registries:
    return Registries()


def fetch(mirrored: Mirrored, store: BlobStore) -> None:
    """Bring the blob as a caller does."""
    Resolver(mirrored, store, Tolerance(), RetryPolicy(retries=0)).fetch(TAGGED, BLOB, WHAT)


# ---- whom it asks, and for what ----


def test_it_is_a_source_of_layers(registries: Registries) -> None:
    source: Source = Mirrored(Mirrors(), registries.open)  # for mypy
    assert isinstance(source, Mirrored)


def test_without_mirrors_the_registry_is_asked_for_what_the_user_asked(registries: Registries) -> None:
    registries.hold("docker.io", document=DOCUMENT, content=CONTENT)
    mirrored = Mirrored(Mirrors(), registries.open)
    assert mirrored.manifest(TAGGED) == DOCUMENT
    with mirrored.blob(TAGGED, BLOB, WHAT) as source:
        assert b"".join(source.chunks(100)) == CONTENT
    assert registries.opened == [Endpoint("docker.io", "library/busybox", is_mirror=False)]


def test_a_piece_comes_from_one_place_the_first_mirror_that_is_well(registries: Registries) -> None:
    for host in ("one.example", "two.example", "docker.io"):
        registries.hold(host, content=CONTENT)
        registries[host].has_pieces = True
    assert registries.mirrored.piece(TAGGED, BLOB, WHAT, offset=3, length=5) == CONTENT[3:8]
    assert registries.asked == ["one.example"]
    registries["one.example"].contents = {str(BLOB.digest): TransportError("out of order")}
    registries.hold("one.example", document=TransportError("out of order"))
    registries.hold("two.example", document=DOCUMENT)
    registries.mirrored.manifest(TAGGED)
    assert registries.mirrored.piece(TAGGED, BLOB, WHAT, offset=0, length=5) == CONTENT[:5]
    assert registries["docker.io"].asked == []


def test_a_registry_without_pieces_is_not_asked_for_one(registries: Registries) -> None:
    with pytest.raises(UnsupportedError, match=r"mirror one\.example has no pieces"):
        registries.mirrored.piece(TAGGED, BLOB, WHAT, offset=3, length=5)
    assert registries.asked == []


def test_the_first_mirror_that_has_it_is_the_last_that_is_asked(registries: Registries) -> None:
    registries.hold("two.example", document=DOCUMENT)
    registries.hold("docker.io", document=DOCUMENT)
    assert registries.mirrored.manifest(TAGGED) == DOCUMENT
    assert registries["one.example"].names == ["one.example/library/busybox"]
    assert registries["two.example"].names == ["two.example/hub/library/busybox"]
    assert registries["two.example"].asked == ["1"]
    assert registries["docker.io"].asked == []
    assert [endpoint.registry for endpoint in registries.opened] == ["one.example", "two.example"]


def test_each_registry_is_opened_by_its_own_host(registries: Registries) -> None:
    with pytest.raises(NotFoundError):
        registries.mirrored.manifest(TAGGED)
    assert registries.opened == [
        Endpoint("one.example", "library/busybox"),
        Endpoint("two.example", "hub/library/busybox"),
        Endpoint("docker.io", "library/busybox", is_mirror=False),
    ]  # who we are is looked up by this name, and each is a registry of its own
    for host, registry in registries.items():
        assert all(name.startswith(f"{host}/") for name in registry.names)


def test_a_registry_is_opened_once_whatever_it_is_asked_for(registries: Registries) -> None:
    mirrored = Mirrored(Mirrors(urls=("https://one.example/a", "https://one.example/b")), registries.open)
    for reference in (TAGGED, PINNED, Reference.parse("user/other:2")):
        with pytest.raises(NotFoundError):
            mirrored.manifest(reference)
    assert [endpoint.registry for endpoint in registries.opened] == ["one.example", "docker.io"]


def test_a_registry_that_is_reached_in_two_ways_is_opened_for_each(registries: Registries) -> None:
    mirrored = Mirrored(Mirrors(urls=("https://one.example", "http://one.example")), registries.open)
    with pytest.raises(NotFoundError):
        mirrored.manifest(TAGGED)
    assert [endpoint.scheme for endpoint in registries.opened] == ["", "http", ""]


def test_a_registry_is_opened_once_by_many_threads(registries: Registries) -> None:
    registries.hold("docker.io", document=DOCUMENT)
    gate = threading.Barrier(8)
    mirrored = Mirrored(Mirrors(), registries.open)

    def ask(_: int) -> Document:
        gate.wait(30)
        return mirrored.manifest(TAGGED)

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [DOCUMENT] * 8
    assert len(registries.opened) == 1


def test_what_is_blocked_is_asked_of_nobody(registries: Registries, store: BlobStore, tmp_path: Path) -> None:
    mirrors = configured(tmp_path, '[[registry]]\nlocation="docker.io"\nblocked=true')
    mirrored = Mirrored(replace(mirrors, urls=("https://one.example",)), registries.open)
    with pytest.raises(UnsupportedError, match="blocked by"):
        mirrored.manifest(TAGGED)
    with pytest.raises(UnsupportedError, match="blocked by"), mirrored.blob(TAGGED, BLOB, WHAT):
        pass
    with pytest.raises(UnsupportedError, match="blocked by"):
        fetch(mirrored, store)
    assert registries.opened == []


@pytest.fixture
def digests_only(registries: Registries, tmp_path: Path) -> Mirrored:
    mirror = '[[registry.mirror]]\nlocation="digests.example"\npull-from-mirror="digest-only"'
    for host in ("digests.example", "docker.io"):
        registries.hold(host, document=DOCUMENT, content=CONTENT)
    return Mirrored(configured(tmp_path, f'[[registry]]\nlocation="docker.io"\n{mirror}'), registries.open)


@pytest.mark.parametrize(
    ("reference", "host"),
    [
        pytest.param(TAGGED, "docker.io", id="tag"),
        pytest.param(replace(TAGGED, tag=None), "docker.io", id="neither"),
        pytest.param(PINNED, "digests.example", id="digest"),
        pytest.param(replace(PINNED, tag="1"), "digests.example", id="both"),
    ],
)
def test_a_mirror_for_digests_is_never_asked_for_a_tag(
    registries: Registries, digests_only: Mirrored, reference: Reference, host: str
) -> None:
    for registry in (registries["docker.io"], registries["digests.example"]):
        registry.documents["latest"] = DOCUMENT
    digests_only.manifest(reference)
    assert registries.asked == [host]
    assert registries[host].names == [f"{host}/library/busybox"]
    assert registries[host].asked == [reference.target]


def test_a_mirror_for_digests_is_asked_for_the_blobs_of_a_tag(
    registries: Registries, digests_only: Mirrored, store: BlobStore
) -> None:
    fetch(digests_only, store)
    assert registries.asked == ["digests.example"]  # from anywhere


# ---- digests alone ----


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ({"one": "stated"}, ["HEAD one"]),
        ({"one": "silent"}, ["HEAD one", "GET one"]),
        ({"two": "stated"}, ["HEAD one", "GET one", "HEAD two"]),
        ({"registry-1": "stated"}, ["HEAD one", "GET one", "HEAD two", "GET two", "HEAD registry-1"]),
        ({"registry-1": "silent"}, ["HEAD one", "GET one", "HEAD two", "GET two", "HEAD registry-1", "GET registry-1"]),
    ],
    ids=str,
)
def test_each_place_is_asked_by_head_and_by_get_before_the_next(
    wire: Wire, answers: dict[str, str], asked: list[str]
) -> None:
    for host, path in {
        "one": "one.example/v2/",
        "two": "two.example/v2/hub/",
        "registry-1": "registry-1.docker.io/v2/",
    }.items():
        url, status = f"https://{path}library/busybox/manifests/1", 200 if host in answers else 404
        stated = {"Docker-Content-Digest": str(PINNED.digest)} if answers.get(host) == "stated" else {}
        wire.head(url, status=status, headers=stated)
        wire.get(url, status=status, body=BUILT.raw, content_type=BUILT.media_type)
    wire.assert_all_requests_are_fired = False
    found = Mirrored(ONE_AND_TWO, lambda endpoint: Registry(endpoint.registry)).resolve(TAGGED)
    assert (found if isinstance(found, Digest) else Digest.of(found.raw)) == PINNED.digest
    assert [f"{request.method} {str(request.url).split('/')[2].split('.')[0]}" for request in wire.sent] == asked


def test_a_mirror_for_digests_is_not_asked_for_the_digest_of_a_tag(
    registries: Registries, digests_only: Mirrored
) -> None:
    assert digests_only.resolve(TAGGED) == DOCUMENT
    assert registries.asked == ["docker.io"]


def test_a_mirrors_document_in_the_place_of_a_digest_is_checked(registries: Registries, log: Log) -> None:
    registries.hold("one.example", document=Document(b"{}"))
    registries.hold("two.example", document=DOCUMENT)
    assert registries.mirrored.resolve(TAGGED) == DOCUMENT
    assert len(log.warnings) == 1


# ---- what a mirror does wrong ----


@pytest.mark.parametrize(
    "error",
    [
        TransportError("cannot connect to one.example:443"),
        RegistryError("one.example returned 500", url="https://one.example", status=500),
        missing("the manifest"),
        RateLimitedError("too many requests", url="https://one.example", status=429),
        AuthenticationError("one.example returned 403 Forbidden (image library/busybox is not in the allowlist)"),
        VerificationError("the manifest is too large"),
        UnsupportedError("a coding that nobody speaks"),
    ],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("reference", [TAGGED, PINNED], ids=["tag", "digest"])
def test_whatever_fails_at_a_mirror_leads_to_the_next_place(
    registries: Registries, log: Log, reference: Reference, error: ImgfetchError
) -> None:
    registries.hold("one.example", document=error)
    registries.hold("two.example", document=DOCUMENT)
    assert registries.mirrored.manifest(reference) == DOCUMENT
    assert log.warnings == [f"mirror one.example: {error}; trying the next source"]  # its words are shown whole


def test_a_mirror_that_cannot_be_opened_leads_to_the_next_place(store: BlobStore, log: Log) -> None:
    registries = Registries()
    registries.hold("docker.io", document=DOCUMENT, content=CONTENT)

    def open_endpoint(endpoint: Endpoint) -> FakeRegistry:
        if endpoint.is_mirror:
            raise StorageError("its CA file cannot be read")
        return registries.open(endpoint)

    mirrored = Mirrored(Mirrors(urls=("https://one.example",)), open_endpoint)
    assert mirrored.manifest(TAGGED) == DOCUMENT
    fetch(mirrored, store)
    assert store.has(BLOB)
    assert log.warnings == ["mirror one.example: its CA file cannot be read; trying the next source"]


@pytest.mark.parametrize(
    ("raw", "content_type"),
    [
        pytest.param(b"<html>Sign in</html>", "text/html", id="a page"),
        pytest.param(b"", "", id="nothing"),
        pytest.param(b'{"errors":[{"code":"DENIED"}]}', "application/json", id="an error"),
        pytest.param(b'{"schemaVersion":1,"fsLayers":[]}', mediatypes.DOCKER_SCHEMA1, id="schema 1"),
        pytest.param(b'{"schemaVersion":2,"manifests":[],"layers":[]}', "", id="two things"),
        pytest.param(BUILT.raw[:-1], BUILT.media_type, id="cut short"),
    ],
)
def test_a_mirrors_answer_that_is_no_manifest_leads_to_the_next_place(
    registries: Registries, log: Log, raw: bytes, content_type: str
) -> None:
    registries.hold("one.example", document=Document(raw, content_type))
    registries.hold("two.example", document=DOCUMENT)
    assert registries.mirrored.manifest(TAGGED) == DOCUMENT  # bad type
    (warning,) = log.warnings
    assert warning.startswith("mirror one.example: the manifest of docker.io/library/busybox:1 ")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_a_mirrors_manifest_that_has_another_digest_leads_to_the_next_place(
    registries: Registries, log: Log, algorithm: str
) -> None:
    digest = Digest.of(BUILT.raw, algorithm)
    other = images.image(images.hello("other"))
    registries["one.example"].documents[str(digest)] = Document(other.raw, other.media_type)
    registries["two.example"].documents[str(digest)] = DOCUMENT
    assert registries.mirrored.manifest(replace(PINNED, digest=digest)) == DOCUMENT
    (warning,) = log.warnings
    got = hashlib.new(algorithm, other.raw).hexdigest()
    assert f"expected {digest}, got {algorithm}:{got}" in warning


@pytest.mark.parametrize("reference", [TAGGED, PINNED], ids=["tag", "digest"])
def test_what_the_upstream_sends_is_returned_for_the_caller_to_verify(
    registries: Registries, reference: Reference
) -> None:
    registries.hold("docker.io", document=Document(b"anything"))
    assert registries.mirrored.manifest(reference) == Document(b"anything")


# ---- what is reported ----


@pytest.mark.parametrize(
    "error",
    [
        TransportError("docker.io does not answer", hint="try again"),
        missing("the manifest"),
        AuthenticationError("docker.io wants a login"),
        VerificationError("too large"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_the_error_is_the_upstreams_and_has_the_mirrors_reasons(
    registries: Registries, log: Log, error: ImgfetchError
) -> None:
    registries.hold("one.example", document=TransportError("cannot connect to one.example:443"))
    registries.hold("docker.io", document=error)
    with pytest.raises(ImgfetchError) as caught:
        registries.mirrored.manifest(TAGGED)
    assert caught.value is error  # its class, hint and exit status
    assert caught.value.__cause__ is None
    assert caught.value.__notes__ == [
        "mirror one.example: cannot connect to one.example:443",
        "mirror two.example: the manifest of docker.io/library/busybox:1 was not found",
    ]
    assert log.warnings == [f"{note}; trying the next source" for note in caught.value.__notes__]


def test_a_reason_is_told_once(registries: Registries, store: BlobStore, log: Log) -> None:
    dead = TransportError("cannot connect")
    for host in ("one.example", "two.example"):
        registries.hold(host, document=dead)
        registries[host].contents = {str(BLOB.digest): dead}
    registries.hold("docker.io", document=DOCUMENT, content=CONTENT)
    registries.mirrored.manifest(TAGGED)
    registries.mirrored.manifest(PINNED)
    fetch(registries.mirrored, store)
    assert log.warnings == [
        "mirror one.example: cannot connect; trying the next source",
        "mirror two.example: cannot connect; trying the next source",
    ]


def test_a_reason_has_its_cause(registries: Registries, log: Log) -> None:
    error = AuthenticationError("no token from https://auth.example")
    error.__cause__ = cause = TransportError("auth.example:443 refuses the connection")
    registries.hold("one.example", document=error)
    registries.hold("docker.io", document=DOCUMENT)
    Mirrored(Mirrors(urls=("https://one.example",)), registries.open).manifest(TAGGED)
    assert log.warnings == [f"mirror one.example: no token from https://auth.example ({cause}); trying the next source"]


INTERNAL = '[[registry]]\nprefix="docker.io"\nlocation="internal.example/hub"'


def test_messages_have_the_users_name_wherever_the_image_is_looked_for(registries: Registries, tmp_path: Path) -> None:
    mirrored = Mirrored(configured(tmp_path, INTERNAL), registries.open)
    with pytest.raises(NotFoundError, match=r"^the manifest of docker\.io/library/busybox:1 was not found$"):
        mirrored.manifest(TAGGED)
    assert registries["internal.example"].names == ["internal.example/hub/library/busybox"]


def test_a_list_of_tags_has_the_users_name_wherever_it_is_looked_for(wire: Wire, tmp_path: Path) -> None:
    wire.get("https://internal.example/v2/hub/library/busybox/tags/list", status=404)
    client = Client(RegistryConfig(mirrors=configured(tmp_path, INTERNAL)), retries=0)
    with pytest.raises(NotFoundError, match=r"^the list of tags of docker\.io/library/busybox was not found"):
        client.tags(TAGGED)


def test_a_failure_to_list_tags_says_how_to_list_those_of_a_mirror(wire: Wire) -> None:
    wire.get("https://registry-1.docker.io/v2/library/busybox/tags/list", body=requests.ConnectionError("no route"))
    mirrors = Mirrors(urls=("https://one.example:5000",))
    with pytest.raises(TransportError) as caught:
        Client(RegistryConfig(mirrors=mirrors), retries=0).tags(TAGGED)
    assert caught.value.hint.endswith("for those of one: imgfetch tags one.example:5000/library/busybox")


# ---- blobs ----


def test_a_blob_comes_from_the_first_mirror(registries: Registries, store: BlobStore) -> None:
    for host in ("one.example", "two.example", "docker.io"):
        registries.hold(host, content=CONTENT)
    fetch(registries.mirrored, store)
    assert store.read(BLOB.digest) == CONTENT
    assert [endpoint.registry for endpoint in registries.opened] == ["one.example"]


@pytest.mark.parametrize(
    "error",
    [missing(WHAT), TransportError("cannot connect"), VerificationError("it announces another size")],
    ids=lambda error: type(error).__name__,
)
def test_a_mirror_that_does_not_open_a_blob_is_skipped_for_it(
    registries: Registries, store: BlobStore, error: ImgfetchError
) -> None:
    registries["one.example"].contents[str(BLOB.digest)] = error
    registries.hold("two.example", content=CONTENT)
    fetch(registries.mirrored, store)
    assert registries.asked == ["one.example", "two.example"]
    assert store.read(BLOB.digest) == CONTENT


@pytest.mark.parametrize(
    "content", [pytest.param(CONTENT + b"!", id="longer"), pytest.param(CONTENT.swapcase(), id="changed")]
)
def test_a_mirror_that_sends_something_else_is_skipped_for_that_blob_only(
    registries: Registries, store: BlobStore, log: Log, content: bytes
) -> None:
    registries.hold("one.example", content=content)
    registries.hold("two.example", content=CONTENT)
    other = Descriptor("", Digest.of(b"another layer"), len(b"another layer"))
    registries["one.example"].contents[str(other.digest)] = b"another layer"
    fetch(registries.mirrored, store)
    assert store.read(BLOB.digest) == CONTENT
    assert registries.keys() == {"one.example", "two.example"}
    (warning,) = log.warnings
    assert warning.startswith(f"mirror one.example: {WHAT} ({BLOB.digest}) from one.example does not match")
    Resolver(registries.mirrored, store, Tolerance(), RetryPolicy(retries=0)).fetch(TAGGED, other, WHAT)
    assert registries["two.example"].offsets == [0]


def test_what_a_mirror_sent_before_it_broke_off_is_continued_elsewhere(
    registries: Registries, store: BlobStore
) -> None:
    registries.hold("one.example", content=CONTENT[:7])
    registries.hold("docker.io", content=CONTENT)
    fetch(registries.mirrored, store)
    assert store.read(BLOB.digest) == CONTENT
    assert registries["docker.io"].offsets == [7]


def test_a_mirror_that_broke_off_is_asked_again_if_the_registry_itself_cannot_be_reached(
    registries: Registries, store: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_descriptor: Descriptor, _what: str, offset: int) -> FakeBody:
        return FakeBody(CONTENT[offset : offset + 7], start=offset)

    monkeypatch.setattr(registries["one.example"], "answer", answer)
    registries["docker.io"].contents[str(BLOB.digest)] = TransportError("no route", tries=1)
    retries = RetryPolicy(retries=len(CONTENT), pause=lambda _: None)
    Resolver(registries.mirrored, store, Tolerance(), retries).fetch(TAGGED, BLOB, WHAT)
    assert store.read(BLOB.digest) == CONTENT


def put_part(store: BlobStore, content: bytes) -> None:
    part = store.root / "parts" / "sha256" / BLOB.digest.encoded
    part.parent.mkdir(parents=True)
    store.root.chmod(0o700)
    part.write_bytes(content)


REFUSALS = [
    missing("it"),
    TransportError("reset"),
    FakeBody(b"", start=7),
    FakeBody(CONTENT[7:8], start=7),
    FakeBody(b"?" * len(CONTENT[7:]), start=7),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=["404", "reset", "no bytes", "a byte", "other bytes"])
def test_a_mirror_that_does_not_resume_is_asked_for_the_whole_blob(
    registries: Registries, store: BlobStore, refusal: FakeBody | ImgfetchError
) -> None:
    put_part(store, CONTENT[:7])
    registries.hold("one.example", content=CONTENT)
    registries["one.example"].refusal = refusal
    fetch(registries.mirrored, store)
    assert store.read(BLOB.digest) == CONTENT
    assert registries["one.example"].offsets == [7, 0]
    assert len(registries["two.example"].asked) == 1  # perhaps another one resumes
    assert "docker.io" not in registries


def test_a_mirror_that_has_nothing_is_asked_no_more_than_twice(registries: Registries, store: BlobStore) -> None:
    put_part(store, CONTENT[:7])
    registries.hold("docker.io", content=CONTENT)
    fetch(registries.mirrored, store)
    assert [len(registries[name].asked) for name in ("one.example", "two.example")] == [2, 2]
    assert registries["docker.io"].offsets == [7]


def test_a_blob_that_nobody_has_right_is_the_upstreams_fault(registries: Registries, store: BlobStore) -> None:
    registries.hold("one.example", content=CONTENT + b"!")
    registries.hold("docker.io", content=CONTENT.swapcase())
    with pytest.raises(VerificationError, match=r"from docker\.io does not match the manifest") as caught:
        fetch(registries.mirrored, store)
    assert caught.value.wanted == str(BLOB.digest)
    assert [note.partition(":")[0] for note in caught.value.__notes__] == ["mirror one.example", "mirror two.example"]
    assert not store.has(BLOB)


def test_a_blob_that_nobody_has_is_missing_at_the_upstream(registries: Registries, store: BlobStore) -> None:
    with pytest.raises(NotFoundError, match="layer 1/1") as caught:
        fetch(registries.mirrored, store)
    assert len(caught.value.__notes__) == 2
    assert registries.asked == ["one.example", "two.example", "docker.io"]


def test_a_full_disk_is_no_reason_to_ask_elsewhere(registries: Registries, store: BlobStore, log: Log) -> None:
    registries["one.example"].contents[str(BLOB.digest)] = FakeBody(b"?", error=StorageError("no space left"))
    registries.hold("docker.io", content=CONTENT)
    with pytest.raises(StorageError, match="no space"):
        fetch(registries.mirrored, store)
    assert [endpoint.registry for endpoint in registries.opened] == ["one.example"]
    assert log.warnings == []


def test_an_answer_is_closed_when_it_was_taken(registries: Registries, store: BlobStore) -> None:
    registries.hold("one.example", content=CONTENT)
    fetch(registries.mirrored, store)
    assert registries["one.example"].open_bodies == 0


# ---- the end ----


def test_all_that_was_opened_is_aborted_and_nothing_else(registries: Registries) -> None:
    registries.hold("two.example", document=DOCUMENT)
    registries.mirrored.manifest(TAGGED)
    registries.mirrored.abort()
    assert [registry.aborted.is_set() for registry in registries.values()] == [True, True]
    assert registries.keys() == {"one.example", "two.example"}


@pytest.mark.parametrize(
    "ask",
    [
        pytest.param(lambda mirrored: mirrored.manifest(TAGGED), id="manifest"),
        pytest.param(lambda mirrored: mirrored.blob(TAGGED, BLOB, WHAT).__enter__(), id="blob"),
    ],
)
def test_nobody_is_asked_after_the_end(registries: Registries, log: Log, ask: Callable[[Mirrored], object]) -> None:
    registries.mirrored.abort()
    with pytest.raises(TransportError, match="stopped"):
        ask(registries.mirrored)
    assert registries.opened == []
    assert log.warnings == []


def test_a_read_that_is_ended_is_no_mirrors_fault(registries: Registries, store: BlobStore, log: Log) -> None:
    ended = TransportError("the read was ended")
    registries["one.example"].contents[str(BLOB.digest)] = FakeBody(
        CONTENT[:-1], between=registries.mirrored.abort, error=ended
    )
    with pytest.raises(TransportError, match="the read was ended"):
        fetch(registries.mirrored, store)
    assert log.warnings == []
    assert "two.example" not in registries


# ---- all together ----


def test_an_image_is_put_together_from_what_each_place_has(registries: Registries, store: BlobStore, log: Log) -> None:
    index = images.index(BUILT)
    registries["one.example"].documents = {"1": Document(index.raw, index.media_type), BUILT.digest: Document(b"{}")}
    registries["two.example"].documents = {BUILT.digest: DOCUMENT}
    registries["docker.io"].contents = {BUILT.config.digest: BUILT.config.content}
    resolver = Resolver(registries.mirrored, store, Tolerance(), RetryPolicy(retries=0))
    image = resolver.chosen(resolver.document(TAGGED), TAGGED, None)
    assert str(image.manifest.descriptor.digest) == BUILT.digest
    assert image.references == (TAGGED,)
    assert registries.asked == [*("one.example",) * 3, *("two.example",) * 2, "docker.io"]
    assert [warning.partition(":")[0] for warning in log.warnings] == ["mirror one.example", "mirror two.example"]


def test_two_mirrors_of_one_host_with_apis_below_different_paths_are_two_registries(registries: Registries) -> None:
    urls = ("https://one.example/a/v2", "https://one.example/b/v2", "https://one.example")
    mirrored = Mirrored(Mirrors(urls=urls), registries.open)
    registries.hold("docker.io", document=DOCUMENT)
    mirrored.manifest(TAGGED)
    assert [endpoint.path for endpoint in registries.opened] == ["/a", "/b", "", ""]


# ---- the rate limit ----


def limited(registries: Registries, seconds: float) -> Mirrored:
    """Return a source that has received as many bytes as its limit allows in some seconds."""
    registries.hold("docker.io", document=DOCUMENT)
    limit = RateLimit(1000)
    limit.spend(int(1000 * seconds))
    return Mirrored(ONE_AND_TWO, registries.open, limits=LIMITS._replace(first_byte=0.5), rate_limit=limit)


@pytest.mark.parametrize("ask", [Mirrored.manifest, Mirrored.resolve], ids=["manifest", "resolve"])
def test_a_document_waits_for_the_rate_limit_before_its_race_begins(
    registries: Registries, log: Log, ask: Callable[[Mirrored, Reference], object]
) -> None:
    mirrored = limited(registries, 1.0)
    registries.hold("one.example", document=DOCUMENT)
    began = time.monotonic()
    assert ask(mirrored, TAGGED) == DOCUMENT
    assert time.monotonic() - began >= 0.8
    assert registries.asked == ["one.example"]
    assert log.warnings == []


def test_a_wait_for_the_rate_limit_ends_with_the_run(registries: Registries) -> None:
    mirrored = limited(registries, 3600)
    errors: list[TransportError] = []

    def ask() -> None:
        try:
            mirrored.manifest(TAGGED)
        except TransportError as error:
            errors.append(error)

    waiting = threading.Thread(target=ask, daemon=True)  # no pool, which would wait for a thread that never ends
    waiting.start()
    mirrored.abort()
    waiting.join(30)
    assert [str(error).startswith("stopped") for error in errors] == [True]
