"""Names are rewritten by regular expressions as Go does it."""

from __future__ import annotations

import pytest

from imgfetch.errors import UnsupportedError
from imgfetch.registry.go_regexps import parse_rewrite


@pytest.mark.parametrize(
    ("pattern", "replacement", "text", "expected"),
    [
        ("^rancher/(.*)", "mirror/rancher-images/$1", "rancher/pause", "mirror/rancher-images/pause"),
        ("^rancher/(.*)", "mirror/$1", "library/rancher/pause", "library/rancher/pause"),
        ("(.*)", "proxy/$1", "team/app", "proxy/team/app"),  # once, unlike in Python
        (".*", "x", "abc", "x"),
        ("x*", "-", "abxd", "-a-b-d-"),
        ("", "-", "ab", "-a-b-"),
        ("b", "$0$0", "abcb", "abbcbb"),
        ("(?P<org>[^/]+)/(?P<name>.*)", "${name}-of-$org", "team/app", "app-of-team"),
        ("(a)(b)?", "[$1|$2|$3]", "ac", "[a||]c"),
        ("a", "$1x", "a", ""),  # $1x is a name
        ("a", "${1}x", "a", "x"),
        ("a", "$$1$", "a", "$1$"),
        ("(?i)A", "b", "aA", "bb"),
        (r"^(.+)\.git$", "$1", "app.git", "app"),
        (r"\d+", "n", "v12-٣", "vn-٣"),
    ],
)
def test_a_rule_replaces_what_go_replaces(pattern: str, replacement: str, text: str, expected: str) -> None:
    assert parse_rewrite(pattern, replacement).apply(text) == expected


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "(.*)+",
        "(a){2}",
        "[",
        "*",
        "(?=a)",
        "(?!a)",
        "(?<=a)b",
        "(?>a)",
        "[[:alpha:]]",
        r"\pL",
        r"\Qa\E",
        r"a\z",
        r"a\Z",
        "(?U)a",
        "(?i-U)a",
    ],
)
def test_a_pattern_that_go_reads_otherwise_is_refused(pattern: str) -> None:
    with pytest.raises(UnsupportedError, match="pattern"):
        parse_rewrite(pattern, "")
