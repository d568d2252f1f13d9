"""An answer is read as it came, and within bounds."""

from __future__ import annotations

import gzip
import io
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

import pytest
from urllib3 import HTTPHeaderDict

from imgfetch.errors import TransportError, VerificationError
from imgfetch.http.client import HttpClient
from imgfetch.http.ratelimit import CREDIT, RateLimit
from imgfetch.http.response import Response
from imgfetch.layers import content_encoding
from imgfetch.tolerance import Tolerance
from tests.codings import CODERS, Endless, deflated, zstd
from tests.loopback import Answer, Loopback
from tests.wire import Wire

URL = "https://registry.example/v2/x"
JSON = b'{"schemaVersion": 2}'

Ask = Callable[..., AbstractContextManager[Response]]


def br(content: bytes) -> bytes:
    return b"\x0b\x09\x80" + content + b"\x03"


@pytest.fixture
def answered(wire: Wire, transport: HttpClient) -> Ask:
    """Return a function that returns an answer."""

    def ask(body: object = b"", headers: Mapping[str, str] | None = None, url: str = URL, **options):
        wire.get(url, body=body, headers=headers, **options)
        return transport.get(url)

    return ask


# ---- the body ----


@pytest.mark.parametrize(
    ("limit", "read"), [(0, b""), (4, b"cont"), (7, b"content"), (100, b"content")], ids=["none", "part", "all", "more"]
)
def test_at_most_the_limit_is_read(answered: Ask, limit: int, read: bytes) -> None:
    with answered(b"content") as response:
        assert b"".join(response.chunks(limit)) == read


def test_an_endless_body_is_read_up_to_the_limit_only(answered: Ask) -> None:
    body = Endless()
    with answered(io.BufferedReader(body, 4096)) as response:
        assert sum(len(chunk) for chunk in response.chunks(1_000_000)) == 1_000_000
    assert body.read_so_far <= 1_000_000 + 4096


def test_chunks_come_undecoded(answered: Ask) -> None:
    coded = gzip.compress(b"content")
    with answered(coded, {"Content-Encoding": "gzip"}) as response:
        assert b"".join(response.chunks(1000)) == coded


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001, 300_000])
def test_a_chunked_body_comes_whole(loopback: Loopback, transport: HttpClient, size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    loopback.answers["/x"] = Answer(content, chunked=True)
    with transport.get(f"http://{loopback.host}/x") as response:
        assert response.content_length is None
        assert b"".join(response.chunks(1_000_000)) == content


# ---- the rate ----


def limited(loopback: Loopback, rate: int, size: int) -> tuple[HttpClient, RateLimit, str]:
    loopback.answers["/x"] = Answer(b"x" * size)
    limit = RateLimit(rate)
    return HttpClient(tolerance=Tolerance(), rate_limit=limit), limit, f"http://{loopback.host}/x"


def test_a_limited_body_comes_in_small_pieces_and_takes_its_time(loopback: Loopback) -> None:
    client, _, url = limited(loopback, 64_000, 30_000)
    began = time.monotonic()
    with client.get(url) as response:
        sizes = [len(chunk) for chunk in response.chunks(50_000)]
    assert sum(sizes) == 30_000
    assert max(sizes) <= 1000
    assert time.monotonic() - began >= 29_000 / 64_000 - CREDIT


@pytest.mark.parametrize(
    "read", [lambda response: response.document(100_000, "the manifest"), Response.skip], ids=["document", "skipped"]
)
def test_a_document_is_not_delayed_by_the_limit_but_counts(
    loopback: Loopback, read: Callable[[Response], object]
) -> None:
    client, limit, url = limited(loopback, 1000, 60_000)
    with client.get(url) as response:
        read(response)
    assert limit.seconds_until(limit.spend(0)) > 30.0


def test_a_response_that_is_ended_does_not_wait_for_the_limit(loopback: Loopback) -> None:
    client, limit, url = limited(loopback, 1000, 1000)
    limit.spend(3_600_000)
    with client.get(url) as response:
        next(response.chunks(1000))
        waiting = threading.Thread(target=response.pause, daemon=True)
        waiting.start()
        waiting.join(0.1)
        assert waiting.is_alive()
        client.abort()
        waiting.join(60.0)
        assert not waiting.is_alive()


# ---- the headers ----


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("", ()),
        ("identity", ()),
        ("gzip", ("gzip",)),
        ("GZip", ("gzip",)),
        ("identity, x-gzip", ("x-gzip",)),
        ("gzip, zstd", ("gzip", "zstd")),
        (" gzip ,, zstd ", ("gzip", "zstd")),
        ("br", ("br",)),
    ],
)
def test_the_codings_come_in_the_order_of_the_header(answered: Ask, header: str, names: tuple[str, ...]) -> None:
    with answered(b"x", {"Content-Encoding": header}) as response:
        assert response.codings == names


@pytest.mark.parametrize(
    ("header", "length"),
    [
        ("1", 1),
        (" 1 ", 1),
        ("", None),
        ("-1", None),
        ("+1", None),
        ("1.0", None),
        ("one", None),
        ("\N{ARABIC-INDIC DIGIT THREE}", None),
        ("1" * 20, None),
    ],
)
def test_a_content_length_is_a_plain_number_or_nothing(answered: Ask, header: str, length: int | None) -> None:
    with answered(b"x", {"Content-Length": header}) as response:
        assert response.content_length == length


def test_a_header_on_several_lines_is_read_line_by_line(answered: Ask) -> None:
    lines = HTTPHeaderDict([("WWW-Authenticate", "Negotiate"), ("WWW-Authenticate", 'Bearer realm="a, b"')])
    with answered(b"", lines) as response:
        assert [line.as_sent for line in response.headers("www-authenticate")] == ["Negotiate", 'Bearer realm="a, b"']


def test_an_absent_header_is_empty(answered: Ask) -> None:
    with answered(b"") as response:
        assert response.header("Docker-Content-Digest").as_sent == ""
        assert response.headers("WWW-Authenticate") == []


def test_the_shown_url_has_no_secret(answered: Ask) -> None:
    url = "https://registry.example:8443/v2/x?Signature=SECRET&scope=a"
    with answered(b"", url=url) as response:
        assert response.url == "https://registry.example:8443/v2/x?Signature=REDACTED&scope=a"
        assert response.name == "registry.example:8443"


# ---- documents ----


def document(answer: AbstractContextManager[Response], limit: int = 1000) -> bytes:
    with answer as response:
        return response.document(limit, "the manifest")


def test_a_document_comes_as_it_is(answered: Ask) -> None:
    assert document(answered(JSON)) == JSON


@pytest.mark.parametrize("coding", CODERS)
def test_a_document_that_a_proxy_compressed_comes_decompressed(answered: Ask, coding: str) -> None:
    assert document(answered(CODERS[coding](JSON), {"Content-Encoding": coding})) == JSON


def test_so_does_one_that_two_proxies_compressed(answered: Ask) -> None:
    assert document(answered(zstd(gzip.compress(JSON)), {"Content-Encoding": "gzip, zstd"})) == JSON


@pytest.mark.parametrize("coding", [*CODERS, "br", "unknown"])
def test_a_document_that_is_only_labelled_as_compressed_comes_as_it_is(answered: Ask, coding: str) -> None:
    assert document(answered(JSON, {"Content-Encoding": coding})) == JSON  # the raw bytes first


@pytest.mark.parametrize("content", [JSON, b"[1, 2]", b" \r\n {}"], ids=["object", "array", "space before"])
def test_a_document_as_long_as_the_limit_is_taken(answered: Ask, content: bytes) -> None:
    assert document(answered(content), len(content)) == content


@pytest.mark.parametrize("coding", [None, *CODERS])
def test_a_document_longer_than_the_limit_is_refused(answered: Ask, coding: str | None) -> None:
    content = b"{%b}" % (b" " * 1000)
    body = CODERS[coding](content) if coding else content
    with pytest.raises(VerificationError, match="the manifest exceeds 1001 bytes"):
        document(answered(body, {"Content-Encoding": coding or "identity"}), 1001)


def test_no_more_of_a_document_is_read_than_tells_that_it_is_too_large(answered: Ask) -> None:
    body = Endless(b" ")
    with (
        answered(io.BufferedReader(body, 4096)) as response,
        pytest.raises(VerificationError, match="exceeds 100000 bytes"),
    ):
        response.document(100_000, "the manifest")
    assert body.read_so_far <= 100_000 + 2 * 4096


@pytest.mark.parametrize("coding", CODERS)
def test_a_bomb_ends_at_the_limit(answered: Ask, coding: str) -> None:
    bomb = CODERS[coding](bytes(50_000_000))
    with pytest.raises(VerificationError, match="the manifest exceeds 200000 bytes"):
        document(answered(bomb, {"Content-Encoding": coding}), 200_000)


@pytest.mark.parametrize("coding", CODERS)
@pytest.mark.parametrize(
    "damage",
    [lambda coded: coded[:-3], lambda coded: b"no such data" + coded, lambda _: b"\xff\xfe"],
    ids=["cut", "not what it is called", "rubbish"],
)
def test_a_damaged_coding_is_told(answered: Ask, coding: str, damage: Callable[[bytes], bytes]) -> None:
    body = damage(CODERS[coding](JSON * 20))
    with answered(body, {"Content-Encoding": coding}) as response, pytest.raises(VerificationError):
        response.document(1000, "the manifest")


def test_the_message_about_a_damaged_coding_names_the_document(answered: Ask) -> None:
    with pytest.raises(VerificationError, match="the manifest"):
        document(answered(b"rubbish", {"Content-Encoding": "gzip"}))


def test_a_document_that_breaks_off_is_a_transport_error(loopback: Loopback, transport: HttpClient) -> None:
    loopback.answers["/x"] = Answer(JSON, headers={"Content-Length": "1000"})
    with pytest.raises(TransportError, match="closed the connection partway through"):
        document(transport.get(f"http://{loopback.host}/x"))


# ---- content codings ----


@pytest.mark.parametrize("coding", CODERS)
def test_a_coding_is_undone(coding: str) -> None:
    content = b"content" * 100_000
    coded = CODERS[coding](content)
    pieces = (coded[start : start + 1000] for start in range(0, len(coded), 1000))
    assert b"".join(content_encoding.undo(pieces, (coding,), 1_000_000, "layer 1")) == content


def test_the_last_coding_is_undone_first() -> None:
    coded = zstd(deflated(gzip.compress(b"content")))
    assert b"".join(content_encoding.undo([coded], ("gzip", "deflate", "zstd"), 1000, "layer 1")) == b"content"


def test_five_codings_are_undone() -> None:
    coded = b"content"
    for _ in range(5):
        coded = gzip.compress(coded)
    assert b"".join(content_encoding.undo([coded], ("gzip",) * 5, 1000, "layer 1")) == b"content"


def test_a_sixth_coding_is_refused() -> None:
    coded = b"content"
    for _ in range(6):
        coded = gzip.compress(coded)
    with pytest.raises(VerificationError, match="layer 1 has 6 content codings, more than 5"):
        list(content_encoding.undo([coded], ("gzip",) * 6, 1000, "layer 1"))


@pytest.mark.parametrize("coding", ["br", "compress", "\x1b[31mgzip"])
def test_an_unknown_coding_is_named_and_refused(coding: str) -> None:
    with pytest.raises(VerificationError, match="which imgfetch did not request") as caught:
        list(content_encoding.undo([br(b"content")], (coding,), 1000, "layer 1"))
    assert coding.replace("\x1b", "\\x1b") in str(caught.value).replace("\\\\", "\\")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("coding", CODERS)
def test_no_more_comes_out_than_the_limit(coding: str) -> None:
    coded = CODERS[coding](bytes(10_000_000))
    assert sum(len(piece) for piece in content_encoding.undo([coded], (coding,), 1000, "layer 1")) == 1000


# ---- errors' bodies ----


def test_the_excerpt_of_a_short_body_is_the_body(answered: Ask) -> None:
    with answered(b"denied") as response:
        assert response.excerpt().as_sent == "denied"


def test_the_excerpt_of_a_compressed_body_is_decompressed(answered: Ask) -> None:
    with answered(gzip.compress(b"denied"), {"Content-Encoding": "gzip"}) as response:
        assert response.excerpt().as_sent == "denied"


def test_an_excerpt_is_bounded(answered: Ask) -> None:
    body = Endless(b"x")
    with answered(io.BufferedReader(body, 4096)) as response:
        assert len(response.excerpt().as_sent) <= 65536
    assert body.read_so_far <= 65536 + 2 * 4096


def test_an_excerpt_is_empty_where_nothing_can_be_read(loopback: Loopback, transport: HttpClient) -> None:
    loopback.answers["/x"] = Answer(b"", 500, {"Content-Length": "100"})
    with transport.get(f"http://{loopback.host}/x") as response:
        assert response.excerpt().as_sent == ""


# ---- the connection ----


@pytest.mark.parametrize("headers", [{"Content-Length": "10000000"}, {}], ids=["long", "endless"])
def test_what_is_left_of_a_body_is_not_read(answered: Ask, headers: dict[str, str]) -> None:
    body = Endless()
    with answered(io.BufferedReader(body, 4096), headers) as response:
        assert response.status == 200
    assert body.read_so_far == 0
