"""The secrets that no text from outside shows, in whatever spelling."""

from __future__ import annotations

import secrets as chance
import time
from collections.abc import Callable

import pytest

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
    token = chance.token_hex(40)
    assert redacted(token[:ENOUGH], token) == "REDACTED"
    assert redacted(token[: ENOUGH - 1], token) == token[: ENOUGH - 1]


def test_passing_secrets_are_forgotten_for_others_and_lasting_ones_are_not() -> None:
    noted = Secrets()
    noted.note(PASSWORD)
    passing = [chance.token_hex(MAX_PASSING // 8) for _ in range(5)]
    for secret in passing:
        noted.note(secret, passing=True)
    assert noted.redacted(f"{PASSWORD} {passing[0][:40]} {passing[-1][:40]}") == f"REDACTED {passing[0][:40]} REDACTED"
    noted.forget()
    assert noted.redacted(PASSWORD) == PASSWORD


@pytest.mark.parametrize("secret", ["a" * 100_000, "ab" * 50_000, "a%2561" * 10_000], ids=["one", "two", "escapes"])
def test_a_token_and_a_text_that_were_made_for_each_other_take_linear_time(secret: str) -> None:
    text = ("a" * 15 + "b") * 250 + "%25" * 1000 + "\\\\" * 1000 + secret[:4000]
    began = time.process_time()
    redacted(text, secret)
    assert time.process_time() - began < 20
