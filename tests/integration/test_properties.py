"""Whatever is read, it is read right or refused in our own words."""

from __future__ import annotations

import io
import string
import tarfile
import unicodedata
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
import requests
import urllib3
from hypothesis import given
from hypothesis import strategies as st

from imgfetch.archive import ustar
from imgfetch.auth import challenges
from imgfetch.errors import InvalidPlatformError, InvalidReferenceError, VerificationError
from imgfetch.http.response import Response
from imgfetch.http.retries import retry_after
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.text import ServerText, sanitize

HEX = "0123456789abcdef"
ALNUM = string.ascii_lowercase + string.digits

components = st.from_regex(r"[a-z0-9]{1,8}((\.|_|__|-{1,3})[a-z0-9]{1,8}){0,2}", fullmatch=True)
hosts = st.from_regex(r"[a-z0-9]{1,8}(-[a-z0-9]{1,4})?(\.[a-z]{2,8}){1,2}(:[1-9][0-9]{0,3})?", fullmatch=True)
tags = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,30}", fullmatch=True)
digests = st.text(HEX, min_size=64, max_size=64).map("sha256:{}".format)


@given(hosts, st.lists(components, min_size=1, max_size=4), st.none() | tags, st.none() | digests)
def test_a_reference_has_the_parts_that_it_was_made_of(
    host: str, path: list[str], tag: str | None, digest: str | None
) -> None:
    text = f"{host}/{'/'.join(path)}{f':{tag}' if tag else ''}{f'@{digest}' if digest else ''}"
    reference = Reference.parse(text)
    if host not in ("index.docker.io", "docker.io"):
        assert (reference.registry, reference.repository) == (host, "/".join(path))
    assert reference.tag == tag
    assert str(reference.digest) == str(digest)
    assert Reference.parse(str(reference)) == reference


@given(st.text(max_size=60) | st.text("abc/:@.-_09[]%~\x00 A", max_size=60))
def test_any_text_is_a_reference_or_is_refused(text: str) -> None:
    try:
        reference = Reference.parse(text)
    except InvalidReferenceError as error:
        assert sanitize(str(error), 10_000) == str(error)  # noqa: PT017  # either may happen
    else:
        assert Reference.parse(str(reference)) == reference


@given(st.text(max_size=90) | digests)
def test_any_text_is_a_digest_or_is_refused(text: str) -> None:
    try:
        assert str(Digest.parse(text)) == text
    except VerificationError as error:
        assert sanitize(str(error), 10_000) == str(error)  # noqa: PT017  # either may happen


@given(st.text(max_size=40) | st.text("linux/amd64arm:v8.", max_size=30))
def test_any_text_is_a_platform_or_is_refused(text: str) -> None:
    try:
        platform = Platform.parse(text)
    except InvalidPlatformError as error:
        assert sanitize(str(error), 10_000) == str(error)  # noqa: PT017  # either may happen
    else:
        assert Platform.parse(str(platform)) == platform


# ---- challenges ----

tokens = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=10)
values = st.text(
    string.printable.replace("\n", "").replace("\r", "").replace("\x0b", "").replace("\x0c", ""), max_size=20
)


@st.composite
def rendered(draw: st.DrawFn) -> tuple[list[str], list[tuple[str, dict[str, str]]]]:
    """Return header lines, and what they mean."""
    lines: list[str] = []
    meant: list[tuple[str, dict[str, str]]] = []
    for _ in range(draw(st.integers(1, 3))):
        shown = []
        for _ in range(draw(st.integers(1, 3))):
            scheme = draw(st.sampled_from(["Bearer", "basic", "DIGEST", "Negotiate"]))
            names = draw(st.lists(tokens.map(str.lower), min_size=1, max_size=4, unique=True))
            parameters = {name: draw(values) for name in names}
            pairs = [f'{name}="{_escaped(value)}"' for name, value in parameters.items()]
            shown.append(f"{scheme} {draw(st.sampled_from([',', ', ', ' , ']))}".rstrip(" ,") + " " + ", ".join(pairs))
            meant.append((scheme.lower(), parameters))
        lines.append(", ".join(shown))
    return lines, meant


def texts(lines: list[str]) -> list[ServerText]:
    return [ServerText(line) for line in lines]


def as_sent(parameters: Mapping[str, ServerText]) -> dict[str, str]:
    return {name: value.as_sent for name, value in parameters.items()}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"')


@given(rendered())
def test_challenges_are_read_back_as_they_were_meant(case: tuple[list[str], list[tuple[str, dict[str, str]]]]) -> None:
    lines, meant = case
    found = [(challenge.scheme, as_sent(challenge.parameters)) for challenge in challenges.parse(texts(lines))]
    assert found == meant


@given(st.lists(st.text(max_size=80) | st.text('Basic realm="x\\", =/~', max_size=80), max_size=4))
def test_no_header_breaks_the_reading_of_challenges(lines: list[str]) -> None:
    for challenge in challenges.parse(texts(lines)):
        assert challenge.scheme == challenge.scheme.lower()


# ---- Content-Range, Retry-After ----

sizes = st.integers(1, 10**15)


def continues(lines: list[str], offset: int, size: int) -> bool:
    answer = requests.Response()
    answer.raw = urllib3.HTTPResponse(headers=urllib3.HTTPHeaderDict([("Content-Range", line) for line in lines]))
    answer.status_code = 206
    return Response(answer, "https://registry.example").continues(offset, size)


@given(sizes, st.data())
def test_the_rest_is_recognised(size: int, data: st.DataObject) -> None:
    offset = data.draw(st.integers(0, size - 1))
    for length in (str(size), "*"):
        assert continues([f"bytes {offset}-{size - 1}/{length}"], offset, size)


@given(
    st.integers(0, 50), st.integers(0, 50), st.integers(0, 51) | st.just("*"), st.integers(1, 50), st.integers(1, 50)
)
def test_nothing_else_is(first: int, last: int, length: int | str, offset: int, size: int) -> None:
    is_rest = continues([f"bytes {first}-{last}/{length}"], offset, size)
    assert is_rest == (first == offset and last == size - 1 and first <= last and length in ("*", size))


@given(st.lists(st.text(max_size=40) | st.text("bytes 0123456789-/*", max_size=40), max_size=3))
def test_no_content_range_breaks_its_reading(values: list[str]) -> None:
    if len(values) != 1:
        assert not continues(values, 0, 10)
    else:
        continues(values, 0, 10)


@pytest.mark.parametrize(
    "value",
    ["", "bytes", "bytes 5-9", "bytes */10", "bytes 5-9/10, bytes 5-9/10", "bytes 5-9/11", "items 5-9/10", "5-9/10"],
)
def test_what_is_no_range_of_the_rest_is_refused(value: str) -> None:
    assert not continues([value], 5, 10)
    assert continues(["bytes 5-9/10"], 5, 10)
    assert not continues(["bytes 5-9/10"] * 2, 5, 10)  # exactly one


@given(st.integers(0, 10**9))
def test_seconds_are_read(seconds: int) -> None:
    assert retry_after(ServerText(str(seconds))) == seconds


@given(st.datetimes(datetime(1971, 1, 1), datetime(2068, 1, 1)), st.integers(-(10**6), 10**6))  # noqa: DTZ001
def test_dates_are_read_in_all_three_forms(moment: datetime, ahead: int) -> None:
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    now = moment.timestamp() - ahead
    forms = [
        format_datetime(moment, usegmt=True),
        f"{moment:%A, %d-%b-%y %H:%M:%S} GMT",
        f"{moment:%a %b %e %H:%M:%S %Y}",
    ]
    for form in forms:
        assert retry_after(ServerText(form), now) == (ahead if ahead > 0 else None), form


@given(st.text(max_size=60) | st.text("0123456789:, GMTJanFeb-+", max_size=40))
def test_no_retry_after_breaks_its_reading(text: str) -> None:
    found = retry_after(ServerText(text), 0.0)
    assert found is None or found >= 0


# ---- tar headers, text ----

names = st.lists(st.text(ALNUM + "._-", min_size=1, max_size=60), min_size=1, max_size=4).map("/".join)


@given(names, st.integers(0, 2**40), st.integers(0, ustar.MAX_OCTAL))
def test_pythons_own_reader_reads_our_headers(name: str, size: int, mtime: int) -> None:
    if any(part in (".", "..") for part in name.split("/")):
        return
    header = ustar.header(name, size, mtime=mtime)
    with tarfile.open(fileobj=io.BytesIO(header + ustar.END), mode="r:", ignore_zeros=False) as archive:
        member = archive.next()
    assert member is not None
    assert (member.name, member.size, member.mtime, member.mode) == (name, size, mtime, 0o644)
    assert (member.uid, member.gid, member.uname, member.gname) == (0, 0, "", "")


@given(st.text(max_size=100), st.integers(2, 50))
def test_cleaned_text_has_nothing_that_moves_a_cursor(text: str, limit: int) -> None:
    shown = sanitize(text, limit)
    assert len(shown) <= limit
    assert all(unicodedata.category(character) not in ("Cc", "Cf", "Zl", "Zp", "Cs") for character in shown)
