from __future__ import annotations

import pytest

from imgfetch.errors import VerificationError
from imgfetch.oci import strictjson

KNOWN = frozenset({"layers", "size", "mediaType"})


def members(value: object) -> strictjson.Object:
    return strictjson.Object(value, "the thing", KNOWN)


def test_json_is_read() -> None:
    raw = '{"a": [1, 2.5, true, null, "\u00e9"]}'.encode()
    assert strictjson.loads(raw, "the thing") == {"a": [1, 2.5, True, None, "\u00e9"]}


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<html>", id="HTML"),
        pytest.param(b'{"a": 1', id="cut short"),
        pytest.param(b'{"a": 1} {}', id="two values"),
        pytest.param(b"{'a': 1}", id="wrong quotes"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}', id="byte order mark"),
        pytest.param('{"a": 1}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"a": "\xff"}', id="no UTF-8"),
        pytest.param(b'{"a": NaN}', id="NaN"),
        pytest.param(b'{"a": -Infinity}', id="infinity"),
        pytest.param(b'{"a": "line\nbreak"}', id="line break in a string"),
    ],
)
def test_what_is_no_json_is_refused(raw: bytes) -> None:
    with pytest.raises(VerificationError, match=rf"^the thing is not valid JSON \({len(raw)} bytes\): "):
        strictjson.loads(raw, "the thing")


def test_bytes_that_are_not_utf_8_are_replaced_if_wanted() -> None:
    assert strictjson.loads(b'{"a": "J\xfcrgen"}', "the thing", as_go=True) == {"a": "J\ufffdrgen"}


@pytest.mark.parametrize("raw", [b'{"a\xff": 1, "a\xfe": 2}', '{"a\ufffd": 1, "a\ufffd": 2}'.encode()], ids=repr)
def test_of_members_with_one_key_go_takes_the_last(raw: bytes) -> None:
    found = strictjson.loads(raw, "the thing", as_go=True)
    assert found == {"a\ufffd": 2}
    assert isinstance(found, dict)
    assert strictjson.every_member(found) == [("a\ufffd", 1), ("a\ufffd", 2)]


def test_the_last_of_members_in_several_cases_counts_even_if_its_key_occurred_before() -> None:
    assert strictjson.fields(strictjson.loads(b'{"A": 1, "a": 2, "A": 3}', "the thing", as_go=True)) == {"a": 3}


def test_a_known_key_must_not_occur_twice_even_where_go_takes_the_last() -> None:
    with pytest.raises(VerificationError, match=r"the thing is ambiguous: .* 'size', which occurs twice"):
        members(strictjson.loads(b'{"size": 1, "size": 1}', "the thing", as_go=True))


@pytest.mark.parametrize("digits", [401, 5000])
def test_a_number_that_go_reads_as_none_of_its_integers_does_no_harm(digits: int) -> None:
    members = strictjson.Object(strictjson.loads(b'{"a": ' + b"9" * digits + b"}", "the thing"), "the thing")
    with pytest.raises(VerificationError, match="'a' of the thing is malformed: expected an integer"):
        members.count("a")


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"a":' * 100_000], ids=["arrays", "objects"])
def test_a_nesting_bomb_is_refused(raw: bytes) -> None:
    with pytest.raises(VerificationError, match=r"^the thing is nested too deeply$"):
        strictjson.loads(raw, "the thing")


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"a": 1, "a": 1}', id="same value"),
        pytest.param(b'{"a": 1, "a": 2}', id="other value"),
        pytest.param(b'{"x": [{"a": 1, "b": 2, "a": 2}]}', id="deep inside"),
        pytest.param(b'{"a": 1, "\\u0061": 2}', id="spelled with an escape"),
    ],
)
def test_a_key_that_stands_twice_is_refused(raw: bytes) -> None:
    with pytest.raises(VerificationError, match="readers disagree about the key 'a', which occurs twice"):
        strictjson.loads(raw, "the thing")


def test_a_key_that_stands_twice_is_shown_without_control_characters() -> None:
    with pytest.raises(VerificationError) as caught:
        strictjson.loads(b'{"\\u001b": 1, "\\u001b": 2}', "the thing")
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("Layers", id="capital"),
        pytest.param("LAYERS", id="capitals"),
        pytest.param("mediatype", id="lower case"),
        # Go's encoding/json folds these two letters as well: U+017F to s, U+212A to k.
        pytest.param("layer\u017f", id="long s"),
        pytest.param("\u017fize", id="long s at the beginning"),
    ],
)
@pytest.mark.parametrize("beside", [{}, {"layers": [], "size": 1, "mediaType": ""}], ids=["alone", "beside"])
def test_a_key_that_only_its_case_tells_from_a_known_one_is_refused(key: str, beside: dict[str, object]) -> None:
    with pytest.raises(VerificationError, match=r"^the thing is ambiguous: readers disagree about the key "):
        members({**beside, key: 1})


def test_the_kelvin_sign_is_a_k() -> None:
    with pytest.raises(VerificationError, match="ambiguous"):
        strictjson.Object({"\u212aind": 1}, "the thing", frozenset({"kind"}))


def test_unknown_keys_may_have_any_case() -> None:
    assert dict(members({"X": 1, "x": 2})) == {"X": 1, "x": 2}


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param([], "an array", id="array"),
        pytest.param("x", '"x"', id="string"),
        pytest.param(None, "null", id="null"),
        pytest.param(1.5, "1.5", id="number"),
        pytest.param(True, "true", id="boolean"),
    ],
)
def test_what_is_no_object_is_refused(value: object, shown: str) -> None:
    with pytest.raises(VerificationError) as caught:
        members(value)
    assert str(caught.value) == f"the thing is malformed: expected an object, got {shown}"


def test_an_object_is_a_mapping() -> None:
    thing = members({"size": 1, "x": 2})
    assert thing["size"] == 1
    assert list(thing) == ["size", "x"]
    assert len(thing) == 2
    assert "layers" not in thing


def test_a_text_is_a_string_and_empty_where_absent_or_null() -> None:
    thing = members({"a": "text", "b": None})
    assert (thing.text("a"), thing.text("b"), thing.text("c")) == ("text", "", "")


@pytest.mark.parametrize("value", [1, True, ["x"], {"x": "y"}], ids=repr)
def test_a_text_that_is_no_string_is_refused(value: object) -> None:
    with pytest.raises(VerificationError, match=r"^'a' of the thing is malformed: expected a string, got "):
        members({"a": value}).text("a")


@pytest.mark.parametrize("value", [0, 1, 2**53, 2**63 - 1])
def test_a_count_is_an_integer_of_zero_or_more(value: int) -> None:
    assert members({"size": value}).count("size") == value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(None, id="null"),
        pytest.param(-1, id="negative"),
        pytest.param(1.0, id="float"),
        pytest.param(1e300, id="large float"),
        pytest.param(True, id="true"),
        pytest.param(False, id="false"),
        pytest.param("1", id="string"),
        pytest.param([1], id="array"),
        pytest.param({}, id="object"),
        # Go reads an int64; more is an error to it.
        pytest.param(2**63, id="more than an int64 holds"),
        pytest.param(10**30, id="more than a tar header holds"),
    ],
)
def test_a_count_of_another_kind_is_refused(value: object) -> None:
    with pytest.raises(VerificationError, match=r"^'size' of the thing is malformed: expected an integer"):
        members({"size": value}).count("size")


def test_a_count_that_is_absent_is_refused() -> None:
    with pytest.raises(VerificationError, match=r"^'size' of the thing is malformed"):
        members({}).count("size")


def test_an_array_is_read_and_empty_where_absent_or_null() -> None:
    thing = members({"a": [1, "x"], "b": None})
    assert (thing.items_of("a"), thing.items_of("b"), thing.items_of("c")) == ([1, "x"], [], [])


@pytest.mark.parametrize("value", [1, "x", {"x": "y"}], ids=repr)
def test_an_array_of_another_kind_is_refused(value: object) -> None:
    with pytest.raises(VerificationError, match=r"^'a' of the thing is malformed: expected an array, got "):
        members({"a": value}).items_of("a")


def test_texts_are_the_values_that_are_strings() -> None:
    thing = members({"a": {"x": "1", "y": 2, "X": "3"}, "b": None})
    assert (thing.texts("a"), thing.texts("b"), thing.texts("c")) == ({"x": "1", "X": "3"}, {}, {})


def test_texts_of_another_kind_are_refused() -> None:
    with pytest.raises(VerificationError, match=r"^'a' of the thing is malformed: expected an object, got an array"):
        members({"a": []}).texts("a")


def test_a_refused_value_is_shown_briefly() -> None:
    with pytest.raises(VerificationError) as caught:
        members({"size": "x" * 10_000}).count("size")
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("number", ["1e400", "-1E999"])
def test_a_number_that_is_too_large_for_go_is_refused_where_go_would_keep_it(number: str) -> None:
    raw = f'{{"x": [{number}]}}'.encode()
    with pytest.raises(VerificationError, match="is too large"):
        strictjson.loads(raw, "it")
    assert strictjson.loads(raw, "it", is_finite=False) != strictjson.loads(b'{"x": [1e300]}', "it")
