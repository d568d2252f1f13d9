"""A status that says no becomes the error that a caller would act on, in the server's and our words."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable

import pytest

from imgfetch.errors import (
    AuthenticationError,
    ImgfetchError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    UnavailableError,
)
from imgfetch.http.client import HttpClient
from imgfetch.http.status_errors import not_the_protocol, rejection
from tests.wire import Wire

URL = "https://registry.example/v2/team/app/manifests/1?Signature=SECRET"
WHAT = "the manifest of registry.example/team/app:1"
UNKNOWN = '{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}'

Reject = Callable[..., ImgfetchError]


@pytest.fixture
def rejected(wire: Wire, transport: HttpClient) -> Reject:
    """Return a function that returns the error for an answer."""

    def reject(status, body=b"", headers=None, *, url=URL, hint=None) -> ImgfetchError:
        wire.get(url, status=status, body=body, headers={"Content-Type": "application/json", **(headers or {})})
        with transport.get(url) as response:
            return rejection(response, WHAT, hint=hint)

    return reject


@pytest.mark.parametrize(
    ("status", "cls", "message"),
    [
        (400, RegistryError, "is unavailable: registry.example returned 400 Bad Request"),
        (401, AuthenticationError, "does not exist or needs credentials: registry.example returned 401 Unauthorized"),
        (404, NotFoundError, "was not found: registry.example returned 404 Not Found"),
        (405, RegistryError, "is unavailable: registry.example returned 405 Method Not Allowed"),
        (406, RegistryError, "is unavailable: registry.example returned 406 Not Acceptable"),
        (408, UnavailableError, "is temporarily unavailable: registry.example returned 408 Request Timeout"),
        (410, NotFoundError, "was not found: registry.example returned 410 Gone"),
        (451, RegistryError, "is unavailable: registry.example returned 451 Unavailable For Legal Reasons"),
        (499, UnavailableError, "is temporarily unavailable: registry.example returned 499"),
        (500, UnavailableError, "is temporarily unavailable: registry.example returned 500 Internal Server Error"),
        (502, UnavailableError, "is temporarily unavailable: registry.example returned 502 Bad Gateway"),
        (503, UnavailableError, "is temporarily unavailable: registry.example returned 503 Service Unavailable"),
        (504, UnavailableError, "is temporarily unavailable: registry.example returned 504 Gateway Timeout"),
        (522, UnavailableError, "is temporarily unavailable: registry.example returned 522"),
        (206, RegistryError, "is unavailable: registry.example returned 206 Partial Content"),
        (304, RegistryError, "is unavailable: registry.example returned 304 Not Modified"),
    ],
)
def test_the_status_decides_the_class(rejected: Reject, status: int, cls: type[ImgfetchError], message: str) -> None:
    error = rejected(status)
    assert type(error) is cls
    assert str(error).startswith(f"{WHAT} {message}")
    assert str(error).isprintable()


def test_a_403_is_quoted_and_not_taken_for_missing_credentials(rejected: Reject) -> None:
    error = rejected(403, b'{"errors":[{"code":"DENIED","message":"blocked by policy"}]}')
    assert type(error) is AuthenticationError
    assert str(error) == f"cannot get {WHAT}: registry.example returned 403 Forbidden (DENIED: blocked by policy)"


def test_the_status_decides_and_not_the_body(rejected: Reject) -> None:
    error = rejected(429, b"Too Many Requests (HAP429).\n", {"Content-Type": "text/plain", "Retry-After": "60"})
    assert type(error) is RateLimitedError
    assert str(error).startswith(f"too many requests for {WHAT}: registry.example returned 429")
    assert "Too Many Requests (HAP429)." in str(error)


def test_an_error_keeps_url_status_and_codes(rejected: Reject) -> None:
    error = rejected(404, '{"errors":[{"code":"NAME_UNKNOWN"},{"code":"MANIFEST_UNKNOWN"}]}')
    assert isinstance(error, NotFoundError)
    assert error.url == "https://registry.example/v2/team/app/manifests/1?Signature=REDACTED"
    assert error.status == 404
    assert error.codes == ("NAME_UNKNOWN", "MANIFEST_UNKNOWN")


def test_a_message_has_no_secret(rejected: Reject) -> None:
    assert "SECRET" not in str(rejected(500, UNKNOWN))


@pytest.mark.parametrize("status", [401, 403, 404])
def test_the_callers_hint_is_for_what_is_not_there_or_not_allowed(rejected: Reject, status: int) -> None:
    assert rejected(status, hint="check the name").hint == "check the name"


@pytest.mark.parametrize(
    ("status", "headers", "retry_after", "hint"),
    [
        (429, {"Retry-After": "60"}, 60.0, "the server asks you to wait 60 s; run the command again then"),
        (503, {"Retry-After": "61"}, 61.0, "asks you to wait 61 s; try again then, or pass --max-wait 61"),
        (500, {"Retry-After": "3700"}, 3700.0, "asks you to wait 1 hour 2 min; try again then"),
        (429, {"Retry-After": "7200"}, 7200.0, "asks you to wait 2 hours; try again then, or pass --max-wait"),
        (429, {"Retry-After": "86400"}, 86400.0, "the server asks you to wait 24 hours; run the command again then"),
        (429, {"Retry-After": "0"}, 0.0, "try again later, or log in"),
        (429, {"Retry-After": "soon"}, None, "try again later, or log in"),
        (429, {}, None, "try again later, or log in"),
        (502, {}, None, "the problem is on the server's side; try again later"),
        (429, {"Retry-After": "Thu, 20 Aug 2020 06:14:18 GMT"}, None, "try again later, or log in"),
    ],
    ids=["60", "61", "3700", "7200", "86400", "0", "garbage", "none", "none of a 502", "past"],
)
def test_what_the_server_asks_to_wait_is_passed_on(
    rejected: Reject, status: int, headers: dict[str, str], retry_after: float | None, hint: str
) -> None:
    error = rejected(status, headers=headers)
    assert isinstance(error, UnavailableError)
    assert error.retry_after == retry_after
    assert str(error.hint).endswith(hint) or hint in str(error.hint)


def test_no_wait_is_suggested_that_is_not_allowed(rejected: Reject) -> None:
    assert "--max-wait" not in str(rejected(429, headers={"Retry-After": "21601"}).hint)


@pytest.mark.parametrize(
    ("statuses", "tries"),
    [
        ((408, 429, 499, 500, 502, 503, 504, 520, 521, 522, 523, 524), 5),
        ((400, 401, 403, 404, 405, 406, 407, 410, 416, 451, 501, 505, 507, 511, 519, 525, 599), 1),
    ],
    ids=["passing", "lasting"],
)
def test_the_status_says_whether_another_try_makes_sense(
    rejected: Reject, statuses: tuple[int, ...], tries: int
) -> None:
    assert {rejected(status, url=f"{URL}&n={status}").tries for status in statuses} == {tries}


# ---- Docker Hub's limit of pulls ----

LIMITED = {"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "0;w=21600"}
BY_ADDRESS = {**LIMITED, "Docker-RateLimit-Source": "192.0.2.7"}
BY_USER = {**LIMITED, "Docker-RateLimit-Source": "0cd5c9e0-5b1c-4bd0-b8f0-8e5b5d6e4b2f"}
PULL_LIMIT = '{"errors":[{"code":"TOOMANYREQUESTS","message":"You have reached your pull rate limit."}]}'
HUB = "https://registry-1.docker.io/v2/library/x/manifests/1"


def at_about(seconds: float) -> str:
    return f"at about {time.strftime('%H:%M', time.localtime(time.time() + seconds))}"


def test_the_limit_of_pulls_is_told_with_who_is_counted_and_is_not_tried_again(rejected: Reject) -> None:
    before = at_about(21600)
    error = rejected(429, PULL_LIMIT, BY_ADDRESS, url=HUB)
    assert error.tries == 1
    assert "You have reached your pull rate limit." in str(error)
    assert error.details == (
        "The limit is 100 pulls per 6 hours for the address 192.0.2.7; 0 are left.",
        "imgfetch did not retry because that would not help.",
    )
    hint = "log in (imgfetch login), use a mirror (--mirror HOST), or try again "
    assert error.hint in (hint + before, hint + at_about(21600))


def test_whoever_is_logged_in_is_not_told_to_log_in(rejected: Reject) -> None:
    error = rejected(429, PULL_LIMIT, BY_USER, url=HUB)
    assert "per 6 hours for the user 0cd5c9e0-" in error.details[0]
    assert str(error.hint).startswith("log in with an account that has a higher limit, use a mirror")


def test_the_limit_of_pulls_with_a_retry_after_is_tried_again_when_that_says(rejected: Reject) -> None:
    error = rejected(429, PULL_LIMIT, {**BY_ADDRESS, "Retry-After": "1800"}, url=HUB)
    assert error.tries == 5
    assert len(error.details) == 1
    assert str(error.hint).partition(" at about ")[0].endswith("or try again")


def test_the_limit_of_pulls_is_known_by_its_words(rejected: Reject) -> None:
    error = rejected(429, PULL_LIMIT, url=HUB)
    assert error.tries == 1
    assert error.details == ("imgfetch did not retry because that would not help.",)
    assert error.hint == "log in (imgfetch login), use a mirror (--mirror HOST), or try again later"


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param("Too Many Requests (HAP429).\n", {"Content-Type": "text/plain", "Retry-After": "60"}, id="abuse"),
        pytest.param("", {}, id="bare"),
        pytest.param("", {"RateLimit-Limit": "60", "RateLimit-Remaining": "0"}, id="another limit"),
        pytest.param("", {**LIMITED, "RateLimit-Remaining": "7;w=21600"}, id="some pulls are left"),
    ],
)
def test_other_limits_are_tried_again(rejected: Reject, body: str, headers: dict[str, str]) -> None:
    error = rejected(429, body, headers, url=HUB)
    assert error.tries == 5
    assert error.details == ()


@pytest.mark.parametrize("window", ["999999999", "60"])
def test_a_window_of_any_length_is_told(rejected: Reject, window: str) -> None:
    error = rejected(429, "", {"RateLimit-Limit": f"5;w={window}"})
    assert "5 pulls per" in error.details[0]
    assert str(error.hint).startswith("log in (imgfetch login registry.example)")


def test_a_time_beyond_all_clocks_is_no_bug(rejected: Reject) -> None:
    error = rejected(429, PULL_LIMIT, {"Retry-After": "999999999999"})
    assert "try again" in str(error.hint)


# ---- the server's words ----

LONG = "z" * 500
JSON, TEXT, HTML = "application/json", "text/plain", "text/html"


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        pytest.param(UNKNOWN, JSON, "MANIFEST_UNKNOWN: manifest unknown", id="errors"),
        pytest.param(UNKNOWN, TEXT, "MANIFEST_UNKNOWN: manifest unknown", id="errors, called text"),
        pytest.param('{"errors":[{"code":"DENIED"}]}', JSON, "DENIED", id="a code alone"),
        pytest.param('{"errors":[{"message":"denied"}]}', JSON, "denied", id="a message alone"),
        pytest.param(
            '{"errors":[{"code":"A","message":"a"},{"code":"B","message":"b","detail":{"x":1}}]}',
            JSON,
            "A: a; B: b",
            id="two errors",
        ),
        pytest.param(
            '{"details":"incorrect username or password"}', JSON, "incorrect username or password", id="details"
        ),
        pytest.param('{"message":"denied"}', JSON, "denied", id="message"),
        pytest.param('{"error":"invalid_scope"}', JSON, "invalid_scope", id="error"),
        pytest.param('{"errors":[],"message":"denied"}', JSON, "denied", id="no errors but a message"),
        pytest.param('{"errors":{"code":"A"},"message":"denied"}', JSON, "denied", id="odd errors but a message"),
        pytest.param(
            '{"reason":"blocked by policy"}', JSON, '{"reason":"blocked by policy"}', id="JSON of another form"
        ),
        pytest.param("not allowed\n", TEXT, "not allowed", id="text"),
        pytest.param('["a"]', JSON, '["a"]', id="an array"),
        pytest.param("true", JSON, "true", id="a constant"),
        pytest.param('{"errors":[{"code":"A"', JSON, '{"errors":[{"code":"A"', id="cut JSON"),
        pytest.param("<html><head><title>Sign in</title></head>", HTML, "an HTML page, 'Sign in'", id="HTML"),
        pytest.param(
            '<!DOCTYPE html>\n<TITLE lang="en">\n Sign in </TITLE>',
            HTML,
            "an HTML page, 'Sign in'",
            id="HTML, spelled otherwise",
        ),
        pytest.param("<html><title>Sign in</title>", JSON, "an HTML page, 'Sign in'", id="HTML, called JSON"),
        pytest.param("<html><body>hello", "text/html; charset=utf-8", "an HTML page", id="HTML without a title"),
        pytest.param(
            b"\xff\xfedenied", TEXT, "\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}denied", id="not UTF-8"
        ),
    ],
)
def test_an_error_body_is_quoted_whatever_its_form(
    rejected: Reject, body: str | bytes, content_type: str, words: str
) -> None:
    error = rejected(404, body, {"Content-Type": content_type})
    assert str(error) == f"{WHAT} was not found: registry.example returned 404 Not Found ({words})"


@pytest.mark.parametrize("body", [b"", b"  \r\n ", b'""'[:0]], ids=["none", "space", "nothing"])
def test_an_error_without_a_body_has_no_brackets(rejected: Reject, body: bytes) -> None:
    assert str(rejected(404, body)) == f"{WHAT} was not found: registry.example returned 404 Not Found"


@pytest.mark.parametrize(
    "body",
    [LONG, json.dumps({"errors": [{"code": "A", "message": LONG}]}), json.dumps({"details": LONG}), f"<title>{LONG}"],
    ids=["text", "errors", "details", "title"],
)
def test_no_more_than_200_characters_are_quoted(rejected: Reject, body: str) -> None:
    message = str(rejected(404, body))
    assert 150 < message.count("z") <= 200
    assert "…" in message


def test_no_more_than_three_errors_are_quoted(rejected: Reject) -> None:
    body = json.dumps({"errors": [{"code": f"C{number}"} for number in range(100)]})
    message = str(rejected(404, body))
    assert "C0; C1; C2" in message
    assert "C3" not in message


def test_a_compressed_error_body_is_read(rejected: Reject) -> None:
    error = rejected(404, gzip.compress(UNKNOWN.encode()), {"Content-Encoding": "gzip"})
    assert "MANIFEST_UNKNOWN: manifest unknown" in str(error)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("[" * 60_000, id="deep arrays"),
        pytest.param('{"a":' * 12_000, id="deep objects"),
        pytest.param("1" * 60_000, id="a long number"),
        pytest.param(f'{{"errors":[{{"code":{"9" * 5000}}}]}}', id="a code that is a number"),
        pytest.param('{"errors":[null,1,"a"]}', id="errors that are none"),
    ],
)
def test_an_error_body_that_is_a_trap_is_no_bug(rejected: Reject, body: str) -> None:
    error = rejected(404, body)
    assert isinstance(error, NotFoundError)
    assert len(str(error)) < 600


EVIL = "\x1b[2J\x1b[31mfake: success\x07\r\n\u202eevil\u2066\u200b\x85\u2028end"


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"errors": [{"code": EVIL, "message": EVIL}]}),
        json.dumps({"errors": [{"code": EVIL, "message": EVIL}]}, ensure_ascii=False),
        json.dumps({"details": EVIL}),
        json.dumps({"error": EVIL}),
        EVIL,
        f"<title>{EVIL}</title>",
    ],
    ids=["errors", "errors, not escaped", "details", "error", "text", "title"],
)
def test_a_servers_words_are_cleaned(rejected: Reject, body: str) -> None:
    error = rejected(404, body.encode())
    assert str(error).isprintable()
    assert "\\x1b[31mfake: success" in str(error)
    assert "\\u202e" in str(error)
    assert isinstance(error, NotFoundError)
    assert all(code.isprintable() for code in error.codes)


def test_a_page_hints_at_another_server(rejected: Reject) -> None:
    error = rejected(404, "<html><title>nginx</title>", {"Content-Type": "text/html"}, hint="check the name")
    assert str(error.hint).startswith("check the name; the answer is an HTML page")


# ---- no registry at all ----


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        pytest.param(
            b"<html><title>Sign in</title></html>",
            "text/html; charset=utf-8",
            "with text/html; charset=utf-8: an HTML page, 'Sign in'",
            id="captive portal",
        ),
        pytest.param(b"It works!", "text/plain", "with text/plain: It works!", id="text"),
        pytest.param(b"\x1b[31m", "\x1b", "with \\x1b: \\x1b[31m", id="escapes"),
        pytest.param(b"hello", None, "with no type: hello", id="no type"),
    ],
)
def test_what_is_no_registrys_answer_is_described(
    wire: Wire, transport: HttpClient, body: bytes, content_type: str | None, words: str
) -> None:
    wire.get(URL, body=body, content_type=content_type)
    with transport.get(URL) as response:
        error = not_the_protocol(response, body, WHAT)
    url = "https://registry.example/v2/team/app/manifests/1?Signature=REDACTED"
    assert type(error) is RegistryError
    assert str(error) == f"unexpected content for {WHAT}: {url} returned 200 {words}"  # title or first clean characters
    assert error.hint == "check for a captive portal, a proxy's page, a wrong port, or a server that is not a registry"
