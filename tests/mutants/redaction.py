"""Mutants of the removal of secrets: of each spelling, each source and each place in which a server repeats them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_SPELLED = "test_a_secret_is_removed_in_every_spelling"
_PRINTED = "test_no_output_shows_a_secret_that_a_server_repeats"
_HELD = "test_no_exception_or_log_holds_a_secret_that_a_server_repeats"
_VALUE = "test_no_exception_or_log_holds_a_secret_that_a_document_contains"
_HELPER = "test_a_failing_helper_prints_no_secret"
_SHORT = "test_a_short_secret_leaves_other_words_alone"


def _shown(place: str) -> str:
    return f"{_HELD}[a password-{place}]"


MUTANTS: tuple[Mutant, ...] = (
    Mutant("Secrets.redacted", "if not self._forms:", "if True:").noticed_by(f"{_PRINTED}[a body-a password-plain]"),
    # spellings
    Mutant("redaction:_meaning", 'escape.startswith("%")', "False").noticed_by(f"{_SPELLED}[password-a URL]"),
    Mutant("redaction:_meaning", "return html.unescape(escape)", "return escape").noticed_by(
        f"{_SPELLED}[password-HTML]"
    ),
    Mutant("redaction:_meaning", "_CONTROLS.get(escape[1], escape[1])", "escape").noticed_by(
        f"{_SPELLED}[password-JSON with escaped slashes]"
    ),
    Mutant("redaction:_meaning", 'units.decode("utf-16-be", "surrogatepass")', "escape").noticed_by(
        f"{_SPELLED}[password-JSON in numbers]"
    ),
    Mutant("redaction:_readings", "range(_LAYERS)", "range(1)").noticed_by(f"{_SPELLED}[password-a URL within a URL]"),
    Mutant("redaction:_unescaped", "new.append(offsets[start])", "new.append(offsets[match.start()])").noticed_by(
        "test_only_the_secret_is_removed_of_a_long_escape"
    ),
    Mutant("_Index.spans", ".translate(_FOLDED)", "").noticed_by(f"{_SPELLED}[password-upper case]"),
    Mutant("redaction:_forms", 'raw.decode("latin-1"), ', "").noticed_by(
        "test_a_short_secret_is_removed_where_its_bytes_are_taken_for_latin_1"
    ),
    Mutant("redaction:_forms", "texts.add(_base64(raw))", "pass").noticed_by(f"{_SPELLED}[password-base64]"),
    Mutant("redaction:_forms", "if len(raw) >= ENOUGH:", "if False:").noticed_by(
        f"{_SPELLED}[password-base64 of more]"
    ),
    Mutant(
        "redaction:_forms", "texts |= {reading for text in list(texts) for reading, _ in _readings(text)}", "pass"
    ).noticed_by("test_a_secret_with_escapes_is_removed_where_they_are_undone"),
    Mutant("_Index.add", "_STRIDE), last)", "_STRIDE),)").noticed_by(
        "test_fewer_characters_than_enough_of_a_long_secret_stay"
    ),
    Mutant("_Index._runs", "yield start - before,", "yield start,").noticed_by(
        "test_fewer_characters_than_enough_of_a_long_secret_stay"
    ),
    Mutant("_Index._words", "length >= WORD", "True").noticed_by(f"{_SHORT}[a word]"),
    Mutant("Secrets.note_login", "password if len(password) >= LEAST else pair", "password").noticed_by(
        "test_a_password_that_is_too_short_is_removed_with_its_user_name"
    ),
    Mutant("Secrets._forget_oldest", "> MAX_PASSING // 2", "> MAX_PASSING").noticed_by(
        "test_each_secret_is_prepared_at_most_twice_however_many_there_are"
    ),
    Mutant("Secrets.note", "> MAX_PASSING", "> 10**9").noticed_by(
        "test_passing_secrets_are_forgotten_for_others_and_lasting_ones_are_not"
    ),
    Mutant("text:sanitize", "text[: _READ * limit]", "text[:limit]").noticed_by(
        "test_a_secret_is_removed_before_the_text_is_cut"
    ),
    # sources
    Mutant("Login.__post_init__", "KNOWN.note_login(self.username, self.password)", "pass").noticed_by(
        f"{_HELPER}[plain]"
    ),
    Mutant("client:_note_secrets", 'authorization.partition(" ")[2], ', "").noticed_by(
        "test_an_authorization_that_is_sent_is_a_secret"
    ),
    Mutant("client:_note_secrets", "*secret_values(url), ", "").noticed_by("test_a_signature_of_a_url_is_a_secret"),
    Mutant("client:_note_secrets", "if proxy is not None:", "if False:").noticed_by(
        "test_a_proxys_password_is_a_secret"
    ),
    Mutant("grants:read", '"token" in key and ', "False and ").noticed_by("test_a_token_that_arrives_is_a_secret"),
    Mutant("Helpers._ask", "_answer(helper, printed.output)\n        finally", "pass\n        finally").noticed_by(
        f"{_HELPER}[plain]"
    ),
    # places
    Mutant("ServerText.shown", "sanitize(self.as_sent, limit)", "self.as_sent").noticed_by(_shown("a reason phrase")),
    Mutant("Response.__init__", ".shown(80)", ".as_sent").noticed_by(_shown("a reason phrase")),
    Mutant(
        "not_the_protocol", 'response.header("Content-Type").shown(80)', 'response.header("Content-Type").as_sent'
    ).noticed_by(_shown("a Content-Type")),
    Mutant("status_errors:_words", "return (), sanitize(text, MAX_QUOTED)", "return (), text").noticed_by(
        _shown("a body")
    ),
    Mutant("status_errors:_words", "words or sanitize(text, MAX_QUOTED)", "words or text").noticed_by(
        _shown("JSON without words")
    ),
    Mutant("status_errors:_words", "quoted(match[1].strip(), MAX_QUOTED)", "match[1]").noticed_by(
        _shown("the title of a page")
    ),
    Mutant("_json_words", 'sanitize("; ".join(said), MAX_QUOTED)', '"; ".join(said)').noticed_by(_shown("a JSON body")),
    Mutant("_json_words", 'sanitize(str(error.get("code", "")), 80)', 'str(error.get("code", ""))').noticed_by(
        _shown("an error's code")
    ),
    Mutant("_pull_limit", ".shown(80)", ".as_sent").noticed_by(_shown("the source of a limit")),
    Mutant("_pull_limit", "sanitize(remaining, 20)", "remaining").noticed_by(_shown("the rest of a limit")),
    Mutant("text:shown_url", "return sanitize(", "return str(").noticed_by(_shown("the path of a Location")),
    Mutant("text:shown_url", '.rpartition("@")[2]', "").noticed_by("test_a_url_is_shown_without_secrets"),
    Mutant("network_errors:_unanswered", "sanitize(str(causes[-1]))", "str(causes[-1])").noticed_by(
        _shown("a status line that is none")
    ),
    Mutant(
        "network_errors:_proxy_reason",
        'return sanitize(next(iter(reasons), "").removeprefix("Tunnel connection failed: "), 200)',
        'return next(iter(reasons), "")',
    ).noticed_by("test_a_proxys_password_is_not_in_the_error_of_a_tunnel"),
    Mutant("HttpClient._pass_on_warnings", "{sanitize(text)}", "{text}").noticed_by(_shown("a Warning")),
    Mutant("Registry._compare_header", "{header.shown(80)}", "{header.as_sent}").noticed_by(
        _shown("a Docker-Content-Digest")
    ),
    Mutant("choice:choose", "sanitize(challenge.scheme, 40)", "challenge.scheme").noticed_by(
        f"{_HELD}[a token-a scheme to authenticate]"
    ),
    Mutant("strictjson:loads", '{reason}") from None', '{reason}") from error').noticed_by(_shown("a key")),
    Mutant("strictjson:shown", "sanitize(json.dumps(value), 80)", "json.dumps(value)").noticed_by(
        f"{_VALUE}[manifest/config/size]"
    ),
    Mutant("Digest.parse", "sanitize(text)", "text").noticed_by(_shown("a digest")),
    Mutant("_Printed.show_errors", "sanitize(line)", "line").noticed_by(
        "test_the_secret_of_a_helper_is_not_in_what_it_prints_as_an_error"
    ),
)
