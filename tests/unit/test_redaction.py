"""The secrets that no text from outside shows, in whatever spelling."""

from __future__ import annotations

import secrets as chance
import time
from collections.abc import Callable, Collection
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgfetch import redaction
from imgfetch.redaction import ENOUGH, LEAST, MAX_PASSING, WORD, Secrets
from tests.spellings import PASSWORD, SPELLINGS, shows

each_spelling = pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())


def redacted(text: str, *known: str) -> str:
    noted = Secrets()
    noted.note(*known)
    return noted.redacted(text)


@each_spelling
@pytest.mark.parametrize("secret", [PASSWORD, chance.token_urlsafe(7500)], ids=["password", "token"])
def test_a_secret_is_removed_in_every_spelling(spell: Callable[[str], str], secret: str) -> None:
    said = f"you sent '{spell(secret)}', which is wrong"
    assert shows(said[:400], secret[:200]) or shows(said[-400:], secret[-200:])
    left = redacted(said, secret)
    assert not shows(left, secret)
    assert "REDACTED" in left
    assert left.startswith("you sent '")
    assert left.endswith("', which is wrong")


@pytest.mark.parametrize("secret", ["pass%41word", "&amp;pass\\word", "a%2Fpass%2Fwith%2Fescapes"])
def test_a_secret_with_escapes_is_removed_where_they_are_undone(secret: str) -> None:
    undone = secret.replace("%41", "A").replace("%2F", "/").replace("&amp;", "&")
    for spelling in (secret, undone, quote(secret), quote(undone)):
        assert redacted(f"it is '{spelling}'", secret) == "it is 'REDACTED'"


def test_a_text_without_a_secret_stays_as_it_is() -> None:
    text = "100% of C:\\new\\u00 &amp; &copy; %zz \\"
    assert redacted(text) == redacted(text, PASSWORD) == text


@pytest.mark.parametrize(
    ("secret", "text", "left"),
    [
        pytest.param("a", "a man a plan", "a man a plan", id="too short"),
        pytest.param("tree", "tree, tree; street:tree", "REDACTED, REDACTED; street:REDACTED", id="a word"),
        pytest.param("password", "mypassword1", "myREDACTED1", id="long enough to be found within words"),
        pytest.param("tree", "dHJlZQ==", "REDACTED==", id="a word in base64"),
    ],
)
def test_a_short_secret_leaves_other_words_alone(secret: str, text: str, left: str) -> None:
    assert LEAST <= len("tree") < WORD <= len("password") < ENOUGH
    assert redacted(text, secret) == left


def test_a_password_that_is_too_short_is_removed_with_its_user_name() -> None:
    noted = Secrets()
    noted.note_login("al", "pw")
    assert noted.redacted("the pw in al:pw is that of al%3Apw and YWw6cHc=") == (
        "the pw in REDACTED is that of REDACTED and REDACTED="
    )


def test_a_user_name_is_no_secret() -> None:
    noted = Secrets()
    noted.note_login("a-very-long-robot-account", "a-very-long-password")
    assert noted.redacted("a-very-long-robot-account:a-very-long-password") == "a-very-long-robot-account:REDACTED"


def test_fewer_characters_than_enough_of_a_long_secret_stay() -> None:
    token = chance.token_hex(41)
    for piece in (token[:ENOUGH], token[-ENOUGH:], *(token[start:][:24] for start in range(len(token) - 24))):
        assert redacted(f"-{piece}-", token) == "-REDACTED-"
    assert redacted(token[: ENOUGH - 1], token) == token[: ENOUGH - 1]


def test_only_the_secret_is_removed_of_a_long_escape() -> None:
    text = "".join(f"%{code:02X}" for code in f"é {PASSWORD} é".encode())
    assert redacted(text, PASSWORD) == "%C3%A9%20REDACTED%20%C3%A9"


def test_a_short_secret_is_removed_where_its_bytes_are_taken_for_latin_1() -> None:
    assert redacted("pässwörd".encode().decode("latin-1"), "pässwörd") == "REDACTED"


def test_passing_secrets_are_forgotten_for_others_and_lasting_ones_are_not() -> None:
    noted = Secrets()
    noted.note(PASSWORD)
    passing = [chance.token_hex(MAX_PASSING // 8) for _ in range(5)]
    for secret in passing:
        noted.note(secret, passing=True)
    assert noted.redacted(f"{PASSWORD} {passing[0][:40]} {passing[-1][:40]}") == f"REDACTED {passing[0][:40]} REDACTED"
    noted.forget()
    assert noted.redacted(PASSWORD) == PASSWORD


def test_each_secret_is_prepared_at_most_twice_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    add, prepared = redaction._Index.add, 0

    def counted(index: redaction._Index, forms: Collection[str]) -> None:
        nonlocal prepared
        prepared += sum(map(len, forms))
        add(index, forms)

    monkeypatch.setattr(redaction._Index, "add", counted)
    noted, passing = Secrets(), [chance.token_hex(4096) for _ in range(3 * MAX_PASSING // 8192)]
    for secret in passing:
        noted.note(secret, passing=True)
        assert noted.redacted(secret) == "REDACTED"
    assert prepared <= 2 * sum(len(form) for secret in passing for form in redaction._forms(secret))


@given(st.text(max_size=60), st.text(min_size=WORD, max_size=60), st.text(max_size=60))
def test_no_text_breaks_the_redaction_nor_hides_a_secret(before: str, secret: str, behind: str) -> None:
    assert secret.lower() not in redacted(before + secret + behind, secret).lower().replace("redacted", "")


@given(st.text('%25\\\\ux41;&#xamp"', max_size=60), st.text('%25\\ux41;&#"', min_size=ENOUGH, max_size=40))
def test_escapes_that_are_cut_or_nested_do_not_break_the_redaction(text: str, secret: str) -> None:
    assert secret not in redacted(text + secret, secret)


@pytest.mark.parametrize("secret", ["a" * 100_000, "ab" * 50_000, "a%2561" * 10_000], ids=["one", "two", "escapes"])
def test_a_token_and_a_text_that_were_made_for_each_other_take_linear_time(secret: str) -> None:
    text = ("a" * 15 + "b") * 250 + "%25" * 1000 + "\\\\" * 1000 + secret[:4000]
    began = time.process_time()
    redacted(text, secret)
    assert time.process_time() - began < 20
