from __future__ import annotations

import importlib.util
import sys

import pytest

from imgfetch import text as printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("plain text: a/b_c-d (1)!", "plain text: a/b_c-d (1)!", id="plain"),
        pytest.param("gr\u00fc\u00df dich, \u6f22\u5b57", "gr\u00fc\u00df dich, \u6f22\u5b57", id="other letters"),
        pytest.param("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m", id="colours"),
        pytest.param("a\rb\nc\td\x00e\x08", r"a\x0db\x0ac\x09d\x00e\x08", id="C0"),
        pytest.param("\x7f", r"\x7f", id="DEL"),
        pytest.param("\x85\x9b31m", r"\x85\x9b31m", id="C1"),
        pytest.param("\u202efdp.exe", r"\u202efdp.exe", id="right to left override"),
        pytest.param("\u2066\u2069\u200e\u200f\u061c", r"\u2066\u2069\u200e\u200f\u061c", id="other bidi controls"),
        pytest.param("a\u2028b\u2029c", r"a\u2028b\u2029c", id="line and paragraph separators"),
        pytest.param("\ufeff\u200b", r"\ufeff\u200b", id="of no width"),
        pytest.param("\udc80", r"\udc80", id="lone surrogate"),
        pytest.param("\U000e0041", r"\U000e0041", id="invisible tag"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert printable.sanitize(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("x" * 500, "x" * 500, id="as long as allowed"),
        pytest.param("x" * 501, "x" * 499 + "\u2026", id="one too long"),
        pytest.param("x" * 10_000_000, "x" * 499 + "\u2026", id="far too long"),
        pytest.param("\x1b" * 125, r"\x1b" * 125, id="escapes as long as allowed"),
        pytest.param("\x1b" * 126, (r"\x1b" * 125)[:499] + "\u2026", id="escapes too long"),
    ],
)
def test_at_most_500_characters_are_shown(text: str, shown: str) -> None:
    assert printable.sanitize(text) == shown


def test_a_smaller_limit_may_be_asked_for() -> None:
    assert printable.sanitize("abcdef", 5) == "abcd\u2026"


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1_400_000, "1.4 MB"),
        (123_456_789, "123 MB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (2 * 10**9, "2 GB"),
        (8 * 1024**3, "8.59 GB"),
        (5 * 10**12, "5 TB"),
        (1234 * 10**12, "1234 TB"),
    ],
)
def test_a_size_is_shown_in_powers_of_ten(count: int, shown: str) -> None:
    assert printable.format_size(count) == shown


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        pytest.param("https://quay.io/v2/x/manifests/1", "https://quay.io/v2/x/manifests/1", id="nothing to hide"),
        pytest.param("https://host:5000/v2/", "https://host:5000/v2/", id="port"),
        pytest.param("https://[::1]:5000/v2/", "https://[::1]:5000/v2/", id="IPv6"),
        pytest.param("https://alice:s3cret@host/v2/", "https://host/v2/", id="login"),
        pytest.param("https://alice:s3@cret@host/v2/", "https://host/v2/", id="at sign in the password"),
        pytest.param("http://s3cret@proxy:3128", "http://proxy:3128", id="user alone"),
        pytest.param(
            "https://auth/token?service=s&scope=repository:x:pull&client_id=imgfetch&account=alice",
            "https://auth/token?service=s&scope=repository:x:pull&client_id=imgfetch&account=alice",
            id="what may be shown",
        ),
        pytest.param(
            "https://quay.io/v2/x/tags/list?n=100&last=v1&ns=docker.io&digest=sha256:12",
            "https://quay.io/v2/x/tags/list?n=100&last=v1&ns=docker.io&digest=sha256:12",
            id="the rest of what may be shown",
        ),
        pytest.param(
            "https://cdn/blob?X-Amz-Signature=s3cret&Scope=s3cret&digest=sha256:12&Key-Pair-Id=",
            "https://cdn/blob?X-Amz-Signature=REDACTED&Scope=REDACTED&digest=sha256:12&Key-Pair-Id=REDACTED",
            id="signature",
        ),
        pytest.param("https://cdn/blob?sig=a=b==", "https://cdn/blob?sig=REDACTED", id="equals signs in a value"),
        pytest.param("https://cdn/blob#s3cret", "https://cdn/blob", id="fragment"),
        pytest.param("/token?password=s3cret", "/token?password=REDACTED", id="relative"),
        pytest.param("http://[::1", "an unreadable URL", id="unreadable"),
        pytest.param("https://host/\x1b[2J\u202e", r"https://host/\x1b[2J\u202e", id="control characters"),
    ],
)
def test_a_url_is_shown_without_secrets(address: str, shown: str) -> None:
    assert printable.shown_url(address) == shown


@pytest.mark.parametrize(
    ("modules", "installer"),
    [({"pip"}, "'/a b/python' -m pip install"), (set(), "uv pip install --python '/a b/python'")],
)
def test_an_extra_is_added_to_this_installation_and_not_looked_for_elsewhere(
    modules: set[str], installer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/a b/python")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in modules else None)
    assert printable.installation("patch") == f"install it with: {installer} 'imgfetch[patch]'"
