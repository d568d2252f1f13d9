"""The instructions of a block, as numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgfetch.errors import VerificationError
from imgfetch.patch.frames import MAX_CONTENT, MAX_PREFIX
from imgfetch.patch.script import MAX_STEPS, Script, Span, Take, decode, encode

SIZES = [10**10, 5 * 10**8]
spans = st.builds(Span, st.sampled_from([0, 1]), st.integers(0, 4 * 10**8), st.integers(1, 1000))
takes = st.builds(Take, st.integers(1, 1000))
scripts = st.builds(Script, st.lists(spans).map(tuple), st.lists(spans | takes).map(tuple))


@given(scripts)
def test_instructions_are_read_as_they_were_written(script: Script) -> None:
    assert decode(encode(script), SIZES) == script


def test_numbers_are_small_where_spans_follow_one_another() -> None:
    steps = (Span(0, 10**9, 10), Take(3), Span(0, 10**9 + 13, 20))
    assert (
        encode(Script((), steps)).hex() == "00" + "01" + "00" + "80a8d6b907" + "0a" + "06" + "01" + "00" + "06" + "14"
    )
    assert encode(Script((), (Span(0, 10, 5), Span(0, 12, 5)))).hex() == "00" + "0100" + "1405" + "0100" + "0505"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        ("", "end early"),
        ("01", "end early"),
        ("0180", "end early"),
        ("000100", "end early"),
        ("8000" + "02", "longer than it need be"),
        ("00" + "828000", "longer than it need be"),
        ("0000", "unknown instruction"),
        ("0003", "unknown instruction"),
        ("00" + "ff" * 10, "a number that is too long"),
        ("00" + "01020001", "no old layer has"),
        ("00" + "01000101", "no old layer has"),
        ("00" + "01000000", "no old layer has"),
        ("00" + "01000065", "no old layer has"),
        ("01" + "000065", "no old layer has"),
    ],
)
def test_malformed_instructions_are_refused(raw: str, says: str) -> None:
    with pytest.raises(VerificationError, match=says):
        decode(bytes.fromhex(raw), [100])


@pytest.mark.parametrize(
    "script",
    [
        Script((Span(0, 0, MAX_PREFIX), Span(0, 0, 1)), ()),
        Script((), (Take(MAX_CONTENT), Take(1))),
    ],
)
def test_content_and_prefix_have_bounds(script: Script) -> None:
    with pytest.raises(VerificationError, match="its frame has more than"):
        decode(encode(script), SIZES)


@pytest.mark.parametrize(
    "raw", [encode(Script((), (Span(0, 0, 1),) * (MAX_STEPS + 1))), b"\xff\xff\x7f" + b"\0\0\1" * 10**6]
)
def test_the_number_of_parts_has_a_bound(raw: bytes) -> None:
    with pytest.raises(VerificationError, match="more than 100000 parts"):
        decode(raw, SIZES)
