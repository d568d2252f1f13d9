"""A registry is asked for manifests and blobs as the specification says, and its oddities are lived with."""

from __future__ import annotations

import gzip
import http.client
import io
import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import requests
import urllib3

from imgfetch.errors import (
    AuthenticationError,
    ImgfetchError,
    InvalidReferenceError,
    NotFoundError,
    RegistryError,
    TransportError,
    UnavailableError,
    VerificationError,
)
from imgfetch.http.retries import RetryPolicy
from imgfetch.http.tls import TlsConfig
from imgfetch.oci import mediatypes
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.blobs import MAX_URLS, PieceError
from imgfetch.registry.client import Registry
from imgfetch.store.blobs import BlobStore
from imgfetch.tolerance import Tolerance
from tests import images
from tests.addresses import LOOPBACK, LOOPBACK_SPELLINGS, NEVER, SPELLINGS
from tests.codings import CODERS, Endless, zstd
from tests.loopback import Answer, Loopback
from tests.stores import add
from tests.stories import Log
from tests.threads import together
from tests.unit.http.test_network_errors import not_connected, not_secured, wrapped
from tests.wire import (
    BLOB,
    BLOB_PATH,
    BLOB_URL,
    CONTENT,
    HOST,
    MANIFEST,
    MANIFEST_PATH,
    REFERENCE,
    Wire,
    image_at,
    read_blob,
)

CHALLENGE = 'Bearer realm="https://auth.example/token"'


def accepts(wire: Wire) -> list[str]:
    return [request.headers["Accept"] for request in wire.sent]


# ---- which host, which path ----


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("alpine", "https://registry-1.docker.io/v2/library/alpine/manifests/latest"),
        ("docker.io/alpine:3.20", "https://registry-1.docker.io/v2/library/alpine/manifests/3.20"),
        ("index.docker.io/team/app:1", "https://registry-1.docker.io/v2/team/app/manifests/1"),
        ("quay.io/team/app", "https://quay.io/v2/team/app/manifests/latest"),
        ("registry.example:8443/app:1", "https://registry.example:8443/v2/app/manifests/1"),
        ("daocloud.io/busybox", "https://daocloud.io/v2/busybox/manifests/latest"),
        (f"quay.io/a/b@sha256:{'0' * 64}", f"https://quay.io/v2/a/b/manifests/sha256:{'0' * 64}"),
        (f"quay.io/a/b:1@sha512:{'0' * 128}", f"https://quay.io/v2/a/b/manifests/sha512:{'0' * 128}"),
    ],
)
def test_a_manifest_is_asked_for_where_its_reference_says(wire: Wire, text: str, url: str) -> None:
    wire.get(url, body=b"{}")
    reference = Reference.parse(text)
    with Registry(reference.registry) as registry:
        registry.manifest(reference)
    assert wire.urls == [url]
    assert wire.sent[0].method == "GET"


def test_a_blob_is_asked_for_by_its_digest(wire: Wire, registry: Registry) -> None:
    wire.get(BLOB_URL, body=CONTENT)
    assert read_blob(registry) == CONTENT
    assert wire.urls == [f"https://registry.example/v2/team/app/blobs/{BLOB.digest}"]
    assert accepts(wire) == ["*/*"]


BELOW = "https://registry.example/repository/hub/v2"


@pytest.mark.parametrize("challenge", [CHALLENGE, ""], ids=["a challenge", "a challenge at the root alone"])
def test_an_api_below_a_path_is_asked_there_for_all_things(wire: Wire, challenge: str) -> None:
    manifest, blob = f"{BELOW}/team/app/manifests/1", f"{BELOW}/team/app/blobs/{BLOB.digest}"
    wire.challenge(manifest, *filter(None, [challenge]))
    if not challenge:
        wire.challenge(f"{BELOW}/", CHALLENGE)
    wire.get("https://auth.example/token", json={"token": "T"})
    wire.get(manifest, body=b"{}")
    wire.get(blob, body=CONTENT)
    with Registry(HOST, path="/repository/hub") as registry:
        registry.manifest(REFERENCE)
        assert read_blob(registry) == CONTENT
    assert wire.authorizations[-1] == "Bearer T"
    assert wire.asked[-2:] == [manifest, blob]


def test_an_api_below_a_path_keeps_it_when_it_speaks_http_only(wire: Wire) -> None:
    below = "127.0.0.1:5000/repository/hub/v2/team/app/manifests/1"
    wire.get(f"https://{below}", body=wrapped(not_secured("wrong version number")))
    wire.get(f"http://{below}", body=b"{}")
    with Registry("127.0.0.1:5000", path="/repository/hub") as registry:
        registry.manifest(image_at("127.0.0.1:5000"))
    assert wire.urls == [f"https://{below}", f"http://{below}"]


# ---- manifests ----


ACCEPT = (
    "application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, "
    "application/vnd.docker.distribution.manifest.v1+prettyjws;q=0.5, "
    "application/vnd.docker.distribution.manifest.v1+json;q=0.5, "
    "*/*;q=0.1"
)


def test_every_kind_of_manifest_is_accepted_in_one_header(wire: Wire, registry: Registry) -> None:
    wire.get(MANIFEST, body=b"{}")
    registry.manifest(REFERENCE)
    assert accepts(wire) == [ACCEPT]


def test_a_manifest_keeps_its_bytes_its_type_and_where_it_came_from(wire: Wire, registry: Registry) -> None:
    raw = b'{ "schemaVersion" : 2 }\n'
    wire.get(MANIFEST, body=raw, headers={"Content-Type": "application/json; charset=utf-8"})
    assert registry.manifest(REFERENCE) == Document(raw, "application/json; charset=utf-8", MANIFEST)


@pytest.mark.parametrize("status", [400, 406, 415])
def test_refused_types_are_answered_once_with_accepting_anything(wire: Wire, registry: Registry, status: int) -> None:
    wire.get(MANIFEST, status=status)
    wire.get(MANIFEST, body=b"{}")
    assert registry.manifest(REFERENCE).raw == b"{}"
    assert accepts(wire) == [ACCEPT, "*/*"]


@pytest.mark.parametrize("status", [403, 405, 410])
def test_another_refusal_has_nothing_to_do_with_types(wire: Wire, registry: Registry, status: int) -> None:
    wire.get(MANIFEST, status=status)
    with pytest.raises(ImgfetchError):
        registry.manifest(REFERENCE)
    assert accepts(wire) == [ACCEPT]


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n"])
def test_an_empty_manifest_is_asked_for_once_more(wire: Wire, body: bytes) -> None:
    wire.get(MANIFEST, body=body)
    wire.get(MANIFEST, body=b"{}")
    with Registry(HOST, patience=RetryPolicy(pause=lambda _: None)) as registry:
        assert registry.manifest(REFERENCE).raw == b"{}"


def test_a_manifest_that_stays_empty_is_an_error(wire: Wire) -> None:
    wire.get(MANIFEST, body=b"")
    registry = Registry(HOST, patience=RetryPolicy(pause=lambda _: None))
    with registry, pytest.raises(VerificationError, match=rf"is empty: {HOST} sent no content"):
        registry.manifest(REFERENCE)
    assert wire.urls == [MANIFEST, MANIFEST]


@pytest.mark.parametrize("status", [400, 406, 415])
def test_types_that_stay_refused_are_an_error(wire: Wire, registry: Registry, status: int) -> None:
    wire.get(MANIFEST, status=status, body="no such type")
    with pytest.raises(RegistryError, match="no such type") as caught:
        registry.manifest(REFERENCE)
    assert caught.value.status == status
    assert wire.urls == [MANIFEST, MANIFEST]


SCHEMA1 = {"Content-Type": "application/vnd.docker.distribution.manifest.v1+prettyjws"}
SCHEMA1_BODY = b'{"schemaVersion":1,"fsLayers":[]}'


@pytest.mark.parametrize(
    "content_type",
    [
        "application/vnd.docker.distribution.manifest.v1+prettyjws",
        "application/vnd.docker.distribution.manifest.v1+json; charset=utf-8",
    ],
)
def test_schema_1_is_answered_once_with_accepting_schema_2_alone(
    wire: Wire, registry: Registry, content_type: str
) -> None:
    wire.get(MANIFEST, body=SCHEMA1_BODY, headers={"Content-Type": content_type})
    wire.get(MANIFEST, body=b'{"schemaVersion":2}', headers={"Content-Type": mediatypes.DOCKER_MANIFEST})
    assert registry.manifest(REFERENCE).raw == b'{"schemaVersion":2}'
    assert accepts(wire) == [ACCEPT, "application/vnd.docker.distribution.manifest.v2+json"]


@pytest.mark.parametrize(
    "again", [(200, SCHEMA1_BODY), (406, b""), (404, b""), (500, b"")], ids=["200", "406", "404", "500"]
)
def test_schema_1_that_has_nothing_better_is_what_there_is(
    wire: Wire, registry: Registry, again: tuple[int, bytes]
) -> None:
    wire.get(MANIFEST, body=SCHEMA1_BODY, headers=SCHEMA1)
    wire.get(MANIFEST, status=again[0], body=again[1], headers=SCHEMA1)
    document = registry.manifest(REFERENCE)
    assert document.raw == SCHEMA1_BODY  # it is named later on
    assert document.content_type == SCHEMA1["Content-Type"]


def test_the_stated_digest_of_schema_1_is_not_compared(wire: Wire, registry: Registry, log: Log) -> None:
    stated = {**SCHEMA1, "Docker-Content-Digest": f"sha256:{'0' * 64}"}  # of the part that is signed
    wire.get(MANIFEST, body=SCHEMA1_BODY, headers=stated)
    wire.get(MANIFEST, body=SCHEMA1_BODY, headers=stated)
    assert registry.manifest(REFERENCE).is_schema1
    assert log.warnings == []


def test_a_manifest_of_4_mib_is_taken(wire: Wire, registry: Registry) -> None:
    raw = b"{" + b" " * (4 * 1024 * 1024 - 2) + b"}"
    wire.get(MANIFEST, body=raw)
    assert registry.manifest(REFERENCE).raw == raw


def test_a_longer_manifest_is_refused(wire: Wire, registry: Registry) -> None:
    wire.get(MANIFEST, body=b"{" + b" " * (4 * 1024 * 1024 - 1) + b"}")
    with pytest.raises(VerificationError, match="exceeds 4194304 bytes"):
        registry.manifest(REFERENCE)


@pytest.mark.parametrize("coding", ["gzip", "deflate", "zstd"])
def test_a_manifest_that_a_proxy_compressed_is_read(wire: Wire, registry: Registry, coding: str) -> None:
    wire.get(MANIFEST, body=CODERS[coding](b'{"schemaVersion":2}'), headers={"Content-Encoding": coding})
    assert registry.manifest(REFERENCE).raw == b'{"schemaVersion":2}'


@pytest.mark.parametrize(
    "body",
    [b"<html><title>Welcome to the hotel</title></html>", b"\n<!DOCTYPE html><title>Welcome to the hotel</title>"],
)
@pytest.mark.parametrize("content_type", ["text/html", "application/json"])
def test_a_page_instead_of_a_manifest_is_recognised(
    wire: Wire, registry: Registry, body: bytes, content_type: str
) -> None:
    wire.get(MANIFEST, body=body, headers={"Content-Type": content_type})
    with pytest.raises(RegistryError) as caught:
        registry.manifest(REFERENCE)
    for words in (MANIFEST, "200", content_type, "HTML page", "Welcome to the hotel"):
        assert words in str(caught.value)
    assert "captive portal" in str(caught.value.hint)


@pytest.mark.parametrize(
    "header",
    [
        pytest.param(None, id="missing"),
        pytest.param(f"sha256:{Digest.of(b'{}').encoded}", id="right"),
        pytest.param(f" sha256:{Digest.of(b'{}').encoded} ", id="right with spaces"),
        pytest.param(f"sha512:{'0' * 128}", id="another algorithm"),
        pytest.param("md5:0", id="unknown algorithm"),
        pytest.param("", id="empty"),
    ],
)
def test_a_docker_content_digest_that_says_nothing_else_is_nothing(wire: Wire, log: Log, header: str | None) -> None:
    wire.get(MANIFEST, body=b"{}", headers={} if header is None else {"Docker-Content-Digest": header})
    with Registry(HOST, tolerance=Tolerance(strict=True)) as registry:
        registry.manifest(REFERENCE)
    assert log.warnings == []


def test_a_wrong_docker_content_digest_is_a_warning(wire: Wire, registry: Registry, log: Log) -> None:
    wire.get(MANIFEST, body=b"{}", headers={"Docker-Content-Digest": f"sha256:{'0' * 64}"})
    assert registry.manifest(REFERENCE).raw == b"{}"
    assert len(log.warnings) == 1
    for words in ("registry.example", str(Digest.of(b"{}")), f"sha256:{'0' * 64}"):
        assert words in log.warnings[0]


def test_under_strict_a_wrong_docker_content_digest_is_refused(wire: Wire) -> None:
    wire.get(MANIFEST, body=b"{}", headers={"Docker-Content-Digest": f"sha256:{'0' * 64}"})
    with (
        Registry(HOST, tolerance=Tolerance(strict=True)) as registry,
        pytest.raises(VerificationError, match="Docker-Content-Digest"),
    ):
        registry.manifest(REFERENCE)


def test_a_docker_content_digest_is_cleaned(wire: Wire, registry: Registry, log: Log) -> None:
    wire.get(MANIFEST, body=b"{}", headers={"Docker-Content-Digest": "sha256:\x1b[31mfake\x85"})
    registry.manifest(REFERENCE)
    assert log.warnings[0].isprintable()


def test_a_manifest_that_is_not_there_is_named_with_what_to_check(wire: Wire, registry: Registry) -> None:
    wire.get(MANIFEST, status=404, body='{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')
    with pytest.raises(NotFoundError, match="MANIFEST_UNKNOWN: manifest unknown") as caught:
        registry.manifest(REFERENCE)
    assert "registry.example/team/app:1" in str(caught.value)
    checks = "check the name and tag (imgfetch tags registry.example/team/app prints the tags); if the image needs"
    assert str(caught.value.hint).startswith(checks)


def test_a_digest_that_is_not_there_has_no_advice_about_tags(wire: Wire, registry: Registry) -> None:
    reference = Reference.parse(f"registry.example/team/app@sha256:{'0' * 64}")
    wire.get(f"{MANIFEST.rpartition('/')[0]}/{reference.digest}", status=404)
    with pytest.raises(NotFoundError) as caught:
        registry.manifest(reference)
    assert str(caught.value.hint).startswith("check the name and digest; if the image needs")


def test_a_hub_name_without_a_user_is_told_to_be_below_library(wire: Wire) -> None:
    wire.get("https://registry-1.docker.io/v2/library/nothing/manifests/latest", status=404)
    with Registry("docker.io") as registry, pytest.raises(NotFoundError) as caught:
        registry.manifest(Reference.parse("nothing"))
    assert "library/" in str(caught.value.hint)


def test_a_refused_manifest_is_told_with_the_reason(wire: Wire, registry: Registry) -> None:
    wire.get(MANIFEST, status=403, body='{"errors":[{"code":"DENIED","message":"not in the allowlist"}]}')
    with pytest.raises(AuthenticationError, match="DENIED: not in the allowlist") as caught:
        registry.manifest(REFERENCE)
    assert str(caught.value).startswith(f"cannot get the manifest of {REFERENCE}: registry.example returned 403")
    assert wire.urls == [MANIFEST]


@pytest.mark.parametrize(
    ("longest", "hint"),
    [(5, "try again then, or pass --max-wait 30"), (30, "run the command again then")],
)
def test_a_longer_wait_than_the_allowed_one_is_told_with_the_option(wire: Wire, longest: float, hint: str) -> None:
    wire.get(MANIFEST, status=503, headers={"Retry-After": "30"})
    patience = RetryPolicy(retries=0, max_wait=longest)
    with Registry(HOST, patience=patience) as registry, pytest.raises(UnavailableError) as caught:
        registry.manifest(REFERENCE)
    assert caught.value.hint == f"the server asks you to wait 30 s; {hint}"


def test_a_manifest_that_breaks_off_is_a_transport_error(loopback: Loopback) -> None:
    loopback.answers[MANIFEST_PATH] = Answer(b'{"schema', headers={"Content-Length": "1000"})
    with (
        Registry(loopback.host) as registry,
        pytest.raises(TransportError, match="closed the connection partway through"),
    ):
        registry.manifest(image_at(loopback.host))


# ---- blobs ----


def test_a_blob_is_followed_to_plain_http_with_a_warning(wire: Wire, registry: Registry, log: Log) -> None:
    wire.redirect(BLOB_URL, "http://store.example/data?Signature=SECRET")
    wire.get("http://store.example/data?Signature=SECRET", body=CONTENT)
    assert read_blob(registry) == CONTENT
    assert len(log.warnings) == 1
    assert "store.example" in log.warnings[0]
    assert "SECRET" not in log.warnings[0]


@pytest.mark.parametrize("length", [len(CONTENT) - 1, len(CONTENT) + 1, 0])
def test_a_blob_of_another_length_is_refused_before_it_is_read(wire: Wire, registry: Registry, length: int) -> None:
    wire.get(BLOB_URL, body=CONTENT, headers={"Content-Length": str(length)})
    with pytest.raises(VerificationError) as caught:
        read_blob(registry)
    assert caught.value.wanted == "20 bytes"
    assert caught.value.got == f"{length} bytes"
    for words in ("layer 1/2", str(BLOB.digest), "registry.example"):
        assert words in str(caught.value)


@pytest.mark.parametrize(
    "headers",
    [{}, {"Content-Length": ""}, {"Content-Length": "7", "Content-Encoding": "gzip"}, {"Content-Length": "20"}],
    ids=["no length", "empty", "that of a coding", "right"],
)
def test_any_other_length_is_for_the_content_to_prove(wire: Wire, registry: Registry, headers: dict[str, str]) -> None:
    wire.get(BLOB_URL, body=CONTENT, headers=headers)
    with registry.blob(REFERENCE, BLOB, "layer 1/2") as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("status", "cls"),
    [
        (404, NotFoundError),
        (403, AuthenticationError),
        (500, RegistryError),
        (416, RegistryError),
        (206, RegistryError),  # its body may be the content, and is not quoted
    ],
)
def test_a_blob_that_is_refused_is_named(wire: Wire, registry: Registry, status: int, cls: type[ImgfetchError]) -> None:
    wire.get(BLOB_URL, status=status, body='{"errors":[{"code":"BLOB_UNKNOWN"}]}')
    with pytest.raises(cls, match="206 Partial Content" if status == 206 else "BLOB_UNKNOWN") as caught:
        read_blob(registry)
    assert "layer 1/2" in str(caught.value)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_the_storage_is_not_taken_for_one_of_the_registry(
    wire: Wire, registry: Registry, status: int
) -> None:
    wire.redirect(BLOB_URL, "https://store.example/data?Signature=SECRET")
    wire.get("https://store.example/data?Signature=SECRET", status=status, headers={"WWW-Authenticate": CHALLENGE})
    if status == 401:
        wire.get("https://auth.example/token", status=401)
    with pytest.raises(RegistryError) as caught:
        read_blob(registry)
    for words in ("layer 1/2", "registry.example", "store.example", str(status)):
        assert words in str(caught.value)
    assert "SECRET" not in f"{caught.value} {caught.value.url} {caught.value.hint}"
    assert wire.urls[0] == BLOB_URL
    assert "store.example" in wire.urls[1]


# ---- content codings, all the way into the store ----


TWICE = {**CODERS, "gzip, zstd": lambda content: zstd(gzip.compress(content))}
LAYER = images.hello("a layer")
CONFIG = images.image(LAYER).config


def taken(loopback: Loopback, store: BlobStore, blob: images.Blob, answer: Answer) -> bytes:
    """Return what the store holds of a blob that is answered so."""
    loopback.answers[f"/v2/team/app/blobs/{blob.digest}"] = answer
    descriptor = Descriptor(blob.media_type, Digest.parse(blob.digest), len(blob.content))
    reference, what = image_at(loopback.host), "layer 1/2"
    with Registry(loopback.host) as registry, registry.blob(reference, descriptor, what) as response:
        add(store, descriptor, response, what)
    return store.read(descriptor.digest)


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "deflate", "zstd", "br", "unknown", "gzip, gzip"])
def test_a_blob_that_is_only_labelled_with_a_coding_is_taken_as_it_is(
    loopback: Loopback, store: BlobStore, coding: str, *, chunked: bool
) -> None:
    answer = Answer(LAYER.content, headers={"Content-Encoding": coding}, chunked=chunked)
    assert taken(loopback, store, LAYER, answer) == LAYER.content


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize("coding", TWICE)
@pytest.mark.parametrize("blob", [CONFIG, LAYER], ids=["config", "layer"])
def test_a_blob_that_a_proxy_compressed_is_decompressed(
    loopback: Loopback, store: BlobStore, blob: images.Blob, coding: str, *, chunked: bool
) -> None:
    answer = Answer(TWICE[coding](blob.content), headers={"Content-Encoding": coding}, chunked=chunked)
    assert taken(loopback, store, blob, answer) == blob.content


@pytest.mark.parametrize("blob", [CONFIG, LAYER], ids=["config", "layer"])
def test_a_chunked_blob_is_taken(loopback: Loopback, store: BlobStore, blob: images.Blob) -> None:
    assert taken(loopback, store, blob, Answer(blob.content, chunked=True)) == blob.content


@pytest.mark.parametrize(
    ("body", "coding"),
    [
        pytest.param(b"\x0b\x02\x80{}\x03", "br", id="br"),
        pytest.param(CONFIG.content[:-1] + b"!", "br", id="changed and labelled br"),
        pytest.param(b"rubbish", "gzip", id="rubbish"),
        pytest.param(CONFIG.content[:-1] + b"!", "gzip", id="changed and labelled"),
        pytest.param(gzip.compress(CONFIG.content)[:-5], "gzip", id="cut"),
        pytest.param(gzip.compress(CONFIG.content[:-1] + b"!"), "gzip", id="changed"),
        pytest.param(gzip.compress(CONFIG.content + b" "), "gzip", id="longer"),
        pytest.param(gzip.compress(CONFIG.content[:-1]), "gzip", id="shorter"),
        pytest.param(zstd(CONFIG.content)[:-1], "zstd", id="zstd cut"),
        pytest.param(gzip.compress(bytes(100_000_000)), "gzip", id="bomb"),
        pytest.param(gzip.compress(CONFIG.content), "gzip, gzip, gzip, gzip, gzip, gzip", id="six codings"),
    ],
)
def test_a_coded_blob_that_is_something_else_is_refused(
    loopback: Loopback, store: BlobStore, body: bytes, coding: str
) -> None:
    with pytest.raises(VerificationError) as caught:
        taken(loopback, store, CONFIG, Answer(body, headers={"Content-Encoding": coding}))
    assert "layer 1/2" in str(caught.value)
    assert store.has(Descriptor("", Digest.parse(CONFIG.digest), len(CONFIG.content))) is False


@pytest.mark.parametrize(
    "change",
    [lambda content: content[:-1] + b"!", lambda content: content + b"!", lambda content: content[:-1], lambda _: b""],
    ids=["changed", "longer", "shorter", "empty"],
)
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
def test_a_blob_that_is_something_else_is_refused(
    loopback: Loopback, store: BlobStore, change: Callable[[bytes], bytes], *, chunked: bool
) -> None:
    content = change(LAYER.content)
    is_cut = chunked and len(content) < len(LAYER.content)  # without a length, a cut cannot be told from an end
    with pytest.raises(TransportError if is_cut else VerificationError) as caught:
        taken(loopback, store, LAYER, Answer(content, chunked=chunked))
    for words in ("layer 1/2", LAYER.digest, loopback.host):
        assert words in str(caught.value)
    assert store.has(Descriptor("", Digest.parse(LAYER.digest), len(LAYER.content))) is False


def test_a_blob_that_breaks_off_is_a_transport_error(loopback: Loopback, store: BlobStore) -> None:
    answer = Answer(LAYER.content[:-10], headers={"Content-Length": str(len(LAYER.content))})
    with pytest.raises(TransportError, match="closed the connection partway through"):
        taken(loopback, store, LAYER, answer)


def test_no_more_than_one_byte_too_many_is_read(wire: Wire, registry: Registry) -> None:
    body = Endless()
    wire.get(BLOB_URL, body=io.BufferedReader(body, 512))
    assert len(read_blob(registry)) == len(CONTENT) + 1
    assert body.read_so_far <= 4096


# ---- urls ----


def foreign(*urls: str) -> Descriptor:
    return Descriptor(BLOB.media_type, BLOB.digest, BLOB.size, urls=urls)


def test_a_foreign_layer_that_the_registry_has_comes_from_the_registry(wire: Wire, registry: Registry) -> None:
    wire.get(BLOB_URL, body=CONTENT)
    assert read_blob(registry, foreign("https://files.example/layer")) == CONTENT
    assert wire.urls == [BLOB_URL]


def test_a_foreign_layer_that_the_registry_lacks_comes_from_its_urls_without_a_token(
    wire: Wire, registry: Registry
) -> None:
    wire.get(BLOB_URL, status=401, headers={"WWW-Authenticate": CHALLENGE, "Set-Cookie": "sid=1"})
    wire.get("https://auth.example/token", json={"token": "SECRET-TOKEN"})
    wire.get(BLOB_URL, status=404)
    wire.get("https://files.example/1", status=404)
    wire.get("https://registry.example/files/2", body=CONTENT)
    descriptor = foreign("https://files.example/1", "https://registry.example/files/2", "https://files.example/3")
    assert read_blob(registry, descriptor) == CONTENT
    assert wire.urls[3:] == ["https://files.example/1", "https://registry.example/files/2"]
    assert wire.authorizations == [None, None, "Bearer SECRET-TOKEN", None, None]  # not even at the registry's origin
    assert [request for request in wire.sent if "Cookie" in request.headers] == []


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({"body": requests.ConnectionError("no answer")}, id="no answer"),
        pytest.param({"status": 500}, id="500"),
        pytest.param({"status": 401, "headers": {"WWW-Authenticate": CHALLENGE}}, id="401"),
        pytest.param({"status": 302}, id="a redirect to nowhere"),
    ],
)
def test_a_url_that_does_not_serve_gives_way_to_the_next(
    wire: Wire, registry: Registry, broken: dict[str, object]
) -> None:
    wire.get(BLOB_URL, status=404)
    wire.get("https://files.example/1", **broken)
    wire.get("http://files.example/2", body=CONTENT)
    assert read_blob(registry, foreign("https://files.example/1", "http://files.example/2")) == CONTENT
    assert wire.urls == [BLOB_URL, "https://files.example/1", "http://files.example/2"]


@pytest.mark.parametrize(
    "url", ["ftp://files.example/layer", "file:///etc/passwd", "layer", "", "https://", "http://[::1"]
)
def test_a_url_that_is_not_for_http_is_passed_over(wire: Wire, registry: Registry, url: str) -> None:
    wire.get(BLOB_URL, status=404)
    wire.get("https://files.example/2", body=CONTENT)
    assert read_blob(registry, foreign(url, "https://files.example/2")) == CONTENT
    assert wire.urls == [BLOB_URL, "https://files.example/2"]


@pytest.mark.parametrize("host", [*NEVER, *LOOPBACK, *SPELLINGS, *LOOPBACK_SPELLINGS])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_a_url_at_a_forbidden_address_is_not_requested(wire: Wire, registry: Registry, scheme: str, host: str) -> None:
    wire.get(BLOB_URL, status=404)
    wire.get("https://files.example/2", body=CONTENT)
    assert read_blob(registry, foreign(f"{scheme}://{host}/layer", "https://files.example/2")) == CONTENT
    assert wire.urls == [BLOB_URL, "https://files.example/2"]


@pytest.mark.parametrize("host", [*NEVER, *LOOPBACK, *SPELLINGS, *LOOPBACK_SPELLINGS])
def test_a_url_that_redirects_to_a_forbidden_address_is_not_followed(wire: Wire, registry: Registry, host: str) -> None:
    wire.get(BLOB_URL, status=404)
    wire.redirect("https://files.example/1", f"http://{host}/layer")
    wire.get("https://files.example/2", body=CONTENT)
    assert read_blob(registry, foreign("https://files.example/1", "https://files.example/2")) == CONTENT
    assert wire.urls == [BLOB_URL, "https://files.example/1", "https://files.example/2"]


def test_a_registry_on_the_loopback_may_have_a_layer_elsewhere_on_the_loopback(loopback: Loopback) -> None:
    with Loopback() as files, Registry(loopback.host) as registry:
        files.answers["/layer"] = Answer(CONTENT)
        assert read_blob(registry, foreign(f"http://{files.host}/layer")) == CONTENT


def test_the_urls_of_a_layer_are_requested_up_to_a_bound(wire: Wire, registry: Registry) -> None:
    wire.get(BLOB_URL, status=404)
    urls = [f"https://files.example/{number}" for number in range(MAX_URLS + 1)]
    for url in urls[:-1]:
        wire.get(url, status=404)
    with pytest.raises(NotFoundError):
        read_blob(registry, foreign(*urls))
    assert wire.urls == [BLOB_URL, *urls[:-1]]


def test_a_login_in_a_url_is_not_sent(loopback: Loopback) -> None:
    with Loopback() as files:
        files.answers["/layer"] = Answer(CONTENT)
        url = f"http://somebody:SECRET@{files.host}/layer"
        try:
            with Registry(loopback.host) as registry:
                read_blob(registry, foreign(url))
        except ImgfetchError as error:
            assert "SECRET" not in str(error)  # noqa: PT017  # it may be refused or left out
        assert files.authorizations in ([], [None])


def test_where_no_url_serves_the_blob_is_missing_from_the_registry(wire: Wire, registry: Registry) -> None:
    wire.get(BLOB_URL, status=404)
    wire.get("https://files.example/1", status=403)
    with pytest.raises(NotFoundError) as caught:
        read_blob(registry, foreign("https://files.example/1"))
    assert caught.value.url == BLOB_URL


@pytest.mark.parametrize("status", [403, 500])
def test_urls_are_for_what_is_missing_only(wire: Wire, registry: Registry, status: int) -> None:
    wire.get(BLOB_URL, status=status)
    with pytest.raises(ImgfetchError):
        read_blob(registry, foreign("https://files.example/1"))
    assert wire.urls == [BLOB_URL]


def test_a_foreign_layer_of_another_length_is_refused(wire: Wire, registry: Registry) -> None:
    wire.get(BLOB_URL, status=404)
    wire.get("https://files.example/1", body=CONTENT, headers={"Content-Length": "21"})
    with pytest.raises(VerificationError, match=r"files\.example"):
        read_blob(registry, foreign("https://files.example/1"))


# ---- http or https ----


def no_tls() -> Exception:
    return not_secured("WRONG_VERSION_NUMBER")


def refused() -> Exception:
    return not_connected(ConnectionRefusedError(111, "Connection refused"))


def not_trusted() -> Exception:
    return wrapped(urllib3.exceptions.SSLError(ssl.SSLCertVerificationError(1, "certificate verify failed")))


def manifest_url(scheme: str, host: str) -> str:
    return f"{scheme}://{host}{MANIFEST_PATH}"


LOCAL = "localhost:5000"
NAMES = ("reg.localhost:5000", "a.b.localhost", "localhost")
LOCAL_REFERENCE = image_at(LOCAL)


@pytest.mark.parametrize("failure", [no_tls, refused], ids=["no TLS", "refused"])
@pytest.mark.parametrize("host", ["localhost:5000", "127.0.0.1:5000", "127.8.8.8:5000", "[::1]:5000", *NAMES])
def test_the_loopback_is_asked_by_http_where_it_does_not_speak_tls(
    wire: Wire, host: str, failure: Callable[[], Exception]
) -> None:
    https, http = manifest_url("https", host), manifest_url("http", host)
    wire.get(https, body=failure())
    wire.get(http, body=b"{}")
    with Registry(host) as registry:
        for _ in range(2):
            assert registry.manifest(image_at(host)).raw == b"{}"
    assert wire.urls == [https, http, http]  # remembered for the run


@pytest.mark.parametrize("failure", [no_tls, refused], ids=["no TLS", "refused"])
@pytest.mark.parametrize(
    ("host", "trust", "is_told"),
    [
        pytest.param(HOST, TlsConfig(insecure=frozenset({HOST})), True, id="asked for"),
        pytest.param("10.0.0.1:5000", TlsConfig(insecure=frozenset({"10.0.0.1"})), True, id="at an address"),
        pytest.param(HOST, TlsConfig(exempt=frozenset({HOST})), False, id="configured"),
        pytest.param(LOCAL, TlsConfig(insecure=frozenset({LOCAL})), False, id="on the loopback"),
    ],
)
def test_a_host_without_verification_is_asked_by_http_with_a_warning_that_nothing_is_encrypted(
    wire: Wire, log: Log, *, failure: Callable[[], Exception], host: str, trust: TlsConfig, is_told: bool
) -> None:
    wire.get(manifest_url("https", host), body=failure())
    wire.get(manifest_url("http", host), body=b"{}")
    with Registry(host, access=RegistryConfig(trust=trust)) as registry:
        for _ in range(2):
            registry.manifest(image_at(host))
    told = [warning for warning in log.warnings if "credentials and images are not encrypted" in warning]
    assert len(told) == is_told
    assert all(host in warning and "plain http" in warning for warning in told)


@pytest.mark.parametrize(
    "host",
    [
        "registry.example",
        "10.0.0.1:5000",
        "192.168.1.1:5000",
        "128.0.0.1:5000",
        "localhost.example:5000",
        "notlocalhost:5000",
        "127.example:5000",
        "[::2]:5000",
        "[::ffff:10.0.0.1]:5000",
    ],
)
def test_no_other_host_is_asked_by_http(wire: Wire, host: str) -> None:
    wire.get(manifest_url("https", host), body=no_tls())
    with Registry(host) as registry, pytest.raises(TransportError, match="does not use https"):
        registry.manifest(image_at(host))
    assert wire.urls == [manifest_url("https", host)]  # RFC 1918 is no exception


@pytest.mark.parametrize(
    "first",
    [{"body": b"{}"}, {"status": 500}, {"status": 404}, {"body": not_trusted()}],
    ids=["an answer", "an error", "nothing there", "a certificate that is not trusted"],
)
@pytest.mark.parametrize("then", [no_tls, refused], ids=["no TLS", "refused"])
def test_a_host_that_has_spoken_tls_is_never_asked_in_clear(
    wire: Wire, first: dict[str, object], then: Callable[[], Exception]
) -> None:
    https = manifest_url("https", LOCAL)
    wire.get(https, **first)
    wire.get(https, body=then())
    with Registry(LOCAL) as registry:
        try:
            registry.manifest(LOCAL_REFERENCE)
        except ImgfetchError:
            assert first != {"body": b"{}"}
        with pytest.raises(TransportError):
            registry.manifest(LOCAL_REFERENCE)
    assert wire.urls == [https, https]


@pytest.mark.parametrize("then", [no_tls, refused], ids=["no TLS", "refused"])
def test_a_storage_that_does_not_speak_tls_is_no_reason_to_ask_the_registry_in_clear(
    wire: Wire, then: Callable[[], Exception]
) -> None:
    https, store = f"https://{LOCAL}{BLOB_PATH}", "https://127.0.0.1:9000/data"
    wire.redirect(https, store)
    wire.get(store, body=then())
    with Registry(LOCAL) as registry, pytest.raises(TransportError):
        read_blob(registry)
    assert wire.urls == [https, store]  # the registry has spoken TLS


def test_threads_that_find_no_tls_at_the_same_time_all_turn_to_http(wire: Wire) -> None:
    https, http = (f"{scheme}://{LOCAL}{BLOB_PATH}" for scheme in ("https", "http"))
    gate = threading.Barrier(3, timeout=30)

    def answer(_request: object) -> tuple[int, dict[str, str], bytes]:
        gate.wait()
        raise no_tls()

    wire.add_callback("GET", https, callback=answer)
    wire.get(http, body=CONTENT)
    with Registry(LOCAL) as registry:
        assert together(*[lambda: read_blob(registry)] * 3) == []
    assert sorted(wire.urls) == [http] * 3 + [https] * 3


def test_a_token_of_the_loopback_is_sent_in_clear_only_where_it_was_asked_for_so(wire: Wire) -> None:
    https, http = manifest_url("https", LOCAL), manifest_url("http", LOCAL)
    wire.get(https, body=no_tls())
    wire.challenge(http, 'Bearer realm="/token"')
    wire.get(f"http://{LOCAL}/token", json={"token": "T"})
    wire.get(http, body=b"{}")
    with Registry(LOCAL) as registry:
        registry.manifest(LOCAL_REFERENCE)
    assert [url.partition("?")[0] for url in wire.urls] == [https, http, f"http://{LOCAL}/token", http]
    assert wire.authorizations == [None, None, None, "Bearer T"]


# ---- the rest ----


@pytest.mark.parametrize("name", ["", "registry.example:port", "somebody:SECRET@registry.example", "[::1", ":5000"])
def test_what_is_no_host_is_no_registry(name: str) -> None:
    with pytest.raises(InvalidReferenceError) as caught:
        Registry(name)
    assert str(caught.value).isprintable()


def test_a_failure_of_the_connection_is_a_transport_error(wire: Wire, registry: Registry) -> None:
    wire.get(MANIFEST, body=requests.ConnectionError(http.client.RemoteDisconnected("Remote end closed connection")))
    with pytest.raises(TransportError, match=r"registry\.example:443"):
        registry.manifest(REFERENCE)


def test_abort_is_for_good(wire: Wire, registry: Registry) -> None:
    registry.abort()
    with pytest.raises(TransportError):
        registry.manifest(REFERENCE)
    with pytest.raises(TransportError):
        read_blob(registry)
    assert wire.urls == []


def test_a_warning_of_the_registry_is_shown(wire: Wire, registry: Registry, log: Log) -> None:
    wire.get(MANIFEST, body=json.dumps({}), headers={"Warning": '299 - "this image is deprecated"'})
    registry.manifest(REFERENCE)
    assert log.warnings == ["warning from registry.example: this image is deprecated"]


# ---- a piece of a blob ----

PIECE = {"Content-Range": f"bytes 3-7/{len(CONTENT)}"}


def read_piece(registry: Registry) -> bytes:
    with registry.blob(REFERENCE, BLOB, "layer 1/2", offset=3, length=5) as response:
        assert response.start == 3
        return b"".join(response.chunks(6))


@pytest.mark.parametrize("said", [PIECE["Content-Range"], "bytes 3-7/*"])
def test_a_piece_of_a_blob_is_requested_by_its_range(wire: Wire, registry: Registry, said: str) -> None:
    wire.get(BLOB_URL, CONTENT[3:8], status=206, headers={"Content-Range": said})
    assert read_piece(registry) == CONTENT[3:8]
    assert wire.sent[0].headers["Range"] == "bytes=3-7"


@pytest.mark.parametrize(
    ("status", "headers", "fault"),
    [
        (200, {}, "status 200"),
        (200, PIECE, "status 200"),
        (404, {}, "status 404"),
        (416, {}, "status 416"),
        (429, {"Retry-After": "1"}, "status 429"),
        (503, {}, "status 503"),
        (206, {}, "another range"),
        (206, {"Content-Range": f"bytes 2-7/{len(CONTENT)}"}, "another range"),
        (206, {"Content-Range": f"bytes 3-6/{len(CONTENT)}"}, "another range"),
        (206, {"Content-Range": f"bytes 3-{len(CONTENT) - 1}/{len(CONTENT)}"}, "another range"),
        (206, {"Content-Range": f"bytes 3-7/{len(CONTENT) + 1}"}, "another range"),
        (206, {**PIECE, "Content-Type": "multipart/byteranges; boundary=x"}, "another range"),
        (206, {**PIECE, "Content-Encoding": "gzip"}, "a content coding"),
        (206, {**PIECE, "Content-Length": "4"}, "a length of 4"),
    ],
)
def test_a_piece_is_refused_if_anything_about_its_response_is_odd(
    wire: Wire, registry: Registry, status: int, headers: dict[str, str], fault: str
) -> None:
    body = CONTENT[3:7] if headers.get("Content-Length") else CONTENT[3:8]
    wire.get(BLOB_URL, body, status=status, headers=headers, auto_calculate_content_length=True)
    with pytest.raises(PieceError, match=f"registry.example answered a request for 5 bytes from byte 3 with {fault}"):
        read_piece(registry)


def test_no_piece_is_requested_from_a_registry_that_sent_another_range(wire: Wire, registry: Registry) -> None:
    wire.get(BLOB_URL, CONTENT[1:], status=206, headers={"Content-Range": f"bytes 1-{len(CONTENT) - 1}/*"})
    wire.get(BLOB_URL, CONTENT)
    with registry.blob(REFERENCE, BLOB, "layer 1/2", offset=3):
        pass
    with pytest.raises(PieceError, match="another range"):
        read_piece(registry)
    assert len(wire.sent) == 2


def test_no_piece_comes_from_the_urls_of_a_foreign_layer(wire: Wire, registry: Registry) -> None:
    wire.get(BLOB_URL, status=404)
    foreign = replace(BLOB, urls=("https://elsewhere.example/layer",))
    with (
        pytest.raises(PieceError, match="status 404"),
        registry.blob(REFERENCE, foreign, "layer 1/2", offset=3, length=5),
    ):
        pass
    assert wire.asked == [BLOB_URL]
