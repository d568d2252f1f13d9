"""The programs that keep docker's logins; each here is a real one."""

from __future__ import annotations

import json
import logging
import os
import re
import select
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from imgfetch.auth import helpers as credential_helpers
from imgfetch.auth.helpers import Helpers, members
from imgfetch.auth.login import Login
from imgfetch.errors import AuthenticationError
from tests.stories import Log

SECRET = "hunter2-s3cret"
FAILED = "failed (exit status 1) and printed"
UNUSABLE = "cannot use the output of docker-credential-test: "


Helper = Callable[..., Helpers]


@pytest.fixture
def bin_directory(tmp_path: Path) -> Path:
    directory = tmp_path / "bin"
    directory.mkdir()
    return directory


@pytest.fixture
def helper(bin_directory: Path) -> Helper:
    """Return a function that writes ``docker-credential-test`` and returns who would run it."""

    def write(script: str, *, interpreter: str = "/bin/sh", timeout: float = 30) -> Helpers:
        install(bin_directory, script, interpreter=interpreter)
        return Helpers(str(bin_directory), timeout=timeout)

    return write


def install(directory: Path, script: str, name: str = "test", *, interpreter: str = "/bin/sh") -> Path:
    program = directory / f"docker-credential-{name}"
    program.write_text(f"#!{interpreter}\n{script}\n")
    program.chmod(0o755)
    return program


def answer(username: object = "alice", secret: object = SECRET, **more: object) -> str:
    """Return a line of shell that prints an answer."""
    document = json.dumps({"ServerURL": "https://quay.io", "Username": username, "Secret": secret, **more})
    return f"printf '%s' '{document}'"


def failure(helpers: Helpers, name: str = "test") -> AuthenticationError:
    with pytest.raises(AuthenticationError) as caught:
        helpers.get(name, "quay.io")
    return caught.value


# ---- what it is asked ----


def test_a_helper_is_told_get_and_the_key_without_a_line_end(helper: Helper, tmp_path: Path) -> None:
    helpers = helper(f'echo "$#:$1" > {tmp_path}/arguments; cat > {tmp_path}/input; {answer()}')
    helpers.get("test", "https://index.docker.io/v1/")
    assert (tmp_path / "arguments").read_text() == "1:get\n"
    assert (tmp_path / "input").read_bytes() == b"https://index.docker.io/v1/"


def test_a_helper_need_not_read_its_input(helper: Helper) -> None:
    helpers = helper(f"exec <&-; {answer()}")
    assert helpers.get("test", "quay.io" * 30_000) == Login("alice", SECRET, source="docker-credential-test")


def test_a_helper_sees_the_environment(helper: Helper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAULT_USER", "bob")
    found = helper("""printf '{"Username": "%s", "Secret": "x"}' "$VAULT_USER" """).get("test", "quay.io")
    assert found is not None
    assert found.username == "bob"


def test_each_line_that_a_helper_prints_as_an_error_is_a_warning(
    helper: Helper, capfd: pytest.CaptureFixture[str], log: Log
) -> None:
    helper(f"printf 'touch\\n\\nyour \\033[31mkey' >&2; {answer()}").get("test", "quay.io")
    assert log.warnings == ["docker-credential-test: touch", r"docker-credential-test: your \x1b[31mkey"]
    assert capfd.readouterr() == ("", "")


def test_a_prompt_is_shown_while_the_helper_waits(
    helper: Helper, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credential_helpers, "PAUSE", 0.05)
    touched = tmp_path / "touched"

    class Touch(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "touch your key" in record.getMessage():
                touched.touch()

    logger, touch = logging.getLogger("imgfetch"), Touch()
    logger.addHandler(touch)
    try:
        waits = f"printf 'touch your key' >&2; until [ -e {touched} ]; do sleep 0.05; done; {answer()}"
        assert helper(waits).get("test", "quay.io")
    finally:
        logger.removeHandler(touch)


@pytest.mark.parametrize("status", [0, 1])
def test_the_secret_of_a_helper_is_not_in_what_it_prints_as_an_error(helper: Helper, log: Log, status: int) -> None:
    with suppress(AuthenticationError):
        helper(f"echo it is {SECRET} >&2; {answer()}; exit {status}").get("test", "quay.io")
    assert log.warnings == ["docker-credential-test: it is REDACTED"]


def test_an_endless_error_ends_with_the_time(helper: Helper, log: Log) -> None:
    assert "did not answer within" in str(failure(helper("yes x >&2", timeout=0.5)))
    assert 0 < len(log.warnings) <= credential_helpers.MAX_ERRORS


def test_an_error_that_a_child_keeps_open_is_not_waited_for(helper: Helper, log: Log) -> None:
    assert helper(f"(exec >&-; sleep 60) & echo said >&2; {answer()}", timeout=20).get("test", "quay.io")
    assert log.warnings == ["docker-credential-test: said"]


@pytest.mark.parametrize(
    "script",
    [
        pytest.param(answer(), id="that has a login"),
        pytest.param("echo credentials not found in native keychain; exit 1", id="that has none"),
        pytest.param("exit 3", id="that fails"),
    ],
)
def test_a_helper_is_asked_once_for_a_key(helper: Helper, tmp_path: Path, script: str) -> None:
    helpers = helper(f"cat >> {tmp_path}/asked; echo >> {tmp_path}/asked; {script}")
    for key in ("quay.io", "quay.io", "ghcr.io", "quay.io"):
        try:
            helpers.get("test", key)
        except AuthenticationError as error:
            assert "exit status 3" in str(error)  # noqa: PT017  # one case of three raises
    assert (tmp_path / "asked").read_text() == "quay.io\nghcr.io\n"


# ---- what it answers ----


@pytest.mark.parametrize(
    ("script", "login"),
    [
        pytest.param(answer(), Login("alice", SECRET), id="user name and password"),
        pytest.param(answer("<token>"), Login(identity_token=SECRET), id="identity token"),
        pytest.param(answer(ServerURL=""), Login("alice", SECRET), id="no server"),
        pytest.param(answer(More=[1, 2]), Login("alice", SECRET), id="more than is asked for"),
        pytest.param("""printf '{"username":"a","SECRET":"b"}'""", Login("a", "b"), id="names in another case"),
        pytest.param("""printf '\\n {"Username":"a","Secret":"b"}\\n\\n'""", Login("a", "b"), id="space around"),
        pytest.param(answer("jörg", "пароль"), Login("jörg", "пароль"), id="not ASCII"),
        pytest.param(answer("alice", "x" * 900_000), Login("alice", "x" * 900_000), id="long"),
    ],
)
def test_an_answer_is_a_login(helper: Helper, tmp_path: Path, script: str, login: Login) -> None:
    (tmp_path / "answer").write_text(f"{script}\n")  # a script may be longer than an argument
    found = helper(f". {tmp_path}/answer").get("test", "quay.io")
    assert found is not None
    assert found.source == "docker-credential-test"
    assert (found.username, found.password, found.identity_token) == (
        login.username,
        login.password,
        login.identity_token,
    )


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("printf 'credentials not found in native keychain'; exit 1", id="not found"),
        pytest.param("echo; echo ' credentials not found in native keychain '; exit 7", id="space around"),
        pytest.param(answer("", ""), id="an empty answer"),
    ],
)
def test_a_helper_may_have_no_login(helper: Helper, script: str) -> None:
    assert helper(script).get("test", "quay.io") is None


# ---- what goes wrong ----


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param("exit 1", "failed (exit status 1) and printed nothing", id="silent"),
        pytest.param("echo no credentials server URL; exit 1", f"{FAILED} 'no credentials server URL'", id="no server"),
        pytest.param("echo no credentials username; exit 1", f"{FAILED} 'no credentials username'", id="no user name"),
        pytest.param(
            "echo org.freedesktop.secrets was not provided; exit 2",
            "failed (exit status 2) and printed 'org.freedesktop.secrets was not provided'",
            id="no keyring",
        ),
        pytest.param("kill -9 $$", "failed (exit status -9) and printed nothing", id="killed"),
        pytest.param(r"printf 'a\033[31mb\nc'; exit 1", r"printed 'a\x1b[31mb\x0ac'", id="control characters"),
        pytest.param("printf 'a\\377b'; exit 1", "printed 'a\ufffdb'", id="not UTF-8"),
        pytest.param(f"{answer()}; exit 1", "printed something that may contain a secret", id="an answer all the same"),
    ],
)
def test_a_failing_helper_is_named_with_its_status_and_words(helper: Helper, script: str, message: str) -> None:
    error = failure(helper(script))
    assert str(error).startswith("docker-credential-test failed")
    assert message in str(error)
    assert SECRET not in str(error)


def test_a_failing_helpers_words_are_cut(helper: Helper) -> None:
    error = failure(helper("yes | head -c 100000; exit 1"))
    assert len(str(error)) < 300


@pytest.mark.parametrize(
    ("script", "message"),
    [
        pytest.param("true", "is not JSON: Expecting value (line 1, column 1)", id="nothing"),
        pytest.param(f"echo {SECRET}", "is not JSON: Expecting value (line 1, column 1)", id="a bare token"),
        pytest.param(f"echo '[\"{SECRET}\"]'", "is not a JSON object", id="an array"),
        pytest.param("""printf '{"Username":"a",\\n"Secret":"%s' """ + SECRET, "(line 2, column 10)", id="cut short"),
        pytest.param("printf '\\377\\376'", "is not UTF-8 (byte 1)", id="not UTF-8"),
        pytest.param("yes '[' | head -n 100000", "is nested too deeply", id="nested"),
        pytest.param("printf 1; yes 1 | head -n 9999 | tr -d '\\n'", "is not usable JSON", id="a long number"),
        pytest.param("echo '{}'", "has no Username and Secret", id="an empty object"),
        pytest.param(f'echo \'{{"Secret": "{SECRET}"}}\'', "has no Username and Secret", id="no user name"),
        pytest.param(answer("alice", None), "has no Username and Secret", id="null"),
        pytest.param(answer(5, SECRET), "has no Username and Secret", id="a number"),
        pytest.param(answer("", SECRET), f"{UNUSABLE}it has neither a user name with", id="an empty user name"),
        pytest.param(answer("alice", ""), f"{UNUSABLE}it has neither a user name with", id="an empty password"),
        pytest.param(answer("<token>", ""), f"{UNUSABLE}it has neither a user name with", id="an empty token"),
        pytest.param(answer("a:b", SECRET), f"{UNUSABLE}a user name cannot contain ':'", id="a colon"),
        pytest.param(
            answer("<token>", f"\ud800{SECRET}"), f"{UNUSABLE}credentials must be UTF-8", id="half a character"
        ),
        pytest.param(answer("alice", f"\ud800{SECRET}"), f"{UNUSABLE}credentials must be UTF-8", id="half a password"),
    ],
)
def test_an_answer_that_is_none_is_told_and_not_repeated(helper: Helper, script: str, message: str) -> None:
    error = failure(helper(script))
    assert "the output of docker-credential-test" in str(error)
    assert message in str(error)
    seen: BaseException | None = error
    while seen is not None:
        assert SECRET not in f"{seen!r} {vars(seen)}"
        seen = seen.__cause__ or seen.__context__


def test_no_more_than_a_bound_is_read_of_an_endless_answer(helper: Helper) -> None:
    assert str(failure(helper("exec yes"))) == "docker-credential-test printed more than 1048576 bytes"


@pytest.mark.parametrize(
    "script",
    [
        pytest.param("sleep 60", id="silent"),
        pytest.param(f"{answer()}; sleep 60", id="after an answer"),
        pytest.param(f"{answer()}; exec >&-; sleep 60", id="after the end of an answer"),
        pytest.param("sleep 60 & exit 0", id="in the background"),
        pytest.param("trap '' TERM INT HUP; sleep 60", id="and ignores signals"),
    ],
)
def test_a_helper_that_hangs_is_ended_with_all_that_it_started(helper: Helper, tmp_path: Path, script: str) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        error = failure(helper(f"exec 9> {fifo}; {script}", timeout=0.5))
        assert re.fullmatch(r"docker-credential-test did not (answer|exit) within 0\.5 s", str(error))
        assert select.select([held], [], [], 30)[0] == [held]
        assert os.read(held, 1) == b""  # nobody has the other end any more
    finally:
        os.close(held)


def test_what_left_a_helpers_session_is_not_waited_for(helper: Helper, tmp_path: Path) -> None:
    script = f"""
import subprocess, sys
left = "while [ ! -e {tmp_path}/done ]; do sleep 0.05; done"
subprocess.Popen(["/bin/sh", "-c", left], start_new_session=True)
"""
    try:
        assert "did not answer" in str(failure(helper(script, interpreter=sys.executable, timeout=1)))
    finally:
        (tmp_path / "done").touch()


def test_an_interruption_ends_the_helper(helper: Helper, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(KeyboardInterrupt):
            helper(f"exec 9> {fifo}; cat; kill -INT $PPID; sleep 60").get("test", "quay.io")
        assert select.select([held], [], [], 30)[0] == [held]
        assert os.read(held, 1) == b""
    finally:
        os.close(held)


# ---- where it is found ----


@pytest.mark.parametrize(
    "name",
    ["", "../test", "/bin/sh", "a b", "a;b", "te\nst", "test\n", "$(id)", "tést", "a\0b"],
    ids=["empty", "upwards", "absolute", "space", "semicolon", "line break", "line end", "shell", "not ASCII", "NUL"],
)
def test_a_name_that_could_lead_elsewhere_is_refused(helper: Helper, name: str) -> None:
    error = failure(helper(answer()), name)
    assert "is not a valid name of a credential helper" in str(error)
    assert str(error).isprintable()


@pytest.mark.parametrize("name", ["ecr-login", "osxkeychain", "a_b.c-9", "desktop.exe"])
def test_a_name_may_have_letters_digits_dots_underscores_and_hyphens(bin_directory: Path, name: str) -> None:
    install(bin_directory, answer(), name)
    assert Helpers(str(bin_directory)).get(name, "quay.io") == Login(
        "alice", SECRET, source=f"docker-credential-{name}"
    )


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("", id="empty"),
        pytest.param(":", id="empty entries"),
        pytest.param(".", id="here"),
        pytest.param("./", id="here, with a slash"),
        pytest.param("../bin", id="upwards"),
        pytest.param(":.::../bin:", id="all of them"),
    ],
)
def test_no_helper_is_taken_from_the_current_directory(
    bin_directory: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    install(bin_directory, answer())
    monkeypatch.chdir(bin_directory)
    monkeypatch.setenv("PATH", str(bin_directory))  # the given path counts, not this one
    assert str(failure(Helpers(path))) == "docker-credential-test is not on the PATH"


def test_the_first_helper_on_the_path_is_taken_that_can_be_run(tmp_path: Path) -> None:
    directories = [tmp_path / name for name in ("absent", "a file", "directory", "plain", "good", "late")]
    directories[1].write_text("")
    for directory in directories[2:]:
        directory.mkdir()
    (directories[2] / "docker-credential-test").mkdir()
    install(directories[3], answer("plain")).chmod(0o644)
    install(directories[4], answer("good"))
    install(directories[5], answer("late"))
    found = Helpers(":".join(map(str, directories))).get("test", "quay.io")
    assert found is not None
    assert found.username == "good"


@pytest.mark.parametrize(
    "interpreter",
    [pytest.param("/no/such/interpreter", id="no interpreter"), pytest.param("/", id="a directory")],
)
def test_a_helper_that_cannot_be_run_is_told(helper: Helper, interpreter: str) -> None:
    error = failure(helper("", interpreter=interpreter))
    assert str(error).startswith("cannot run docker-credential-test: ")
    assert isinstance(error.__cause__, OSError)


def test_a_program_of_no_known_kind_is_told(bin_directory: Path) -> None:
    program = bin_directory / "docker-credential-test"
    program.write_bytes(b"\x00\x01\x02")
    program.chmod(0o755)
    assert "cannot run docker-credential-test: Exec format error" in str(failure(Helpers(str(bin_directory))))


def test_a_helper_has_half_a_minute() -> None:
    assert credential_helpers.TIMEOUT == 30


# ---- logins ----


@pytest.mark.parametrize(
    ("login", "header"),
    [
        pytest.param(Login("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", id="RFC 7617, section 2"),
        pytest.param(Login("test", "123£"), "Basic dGVzdDoxMjPCow==", id="RFC 7617, section 2.1"),
        pytest.param(Login("alice", "a:b"), "Basic YWxpY2U6YTpi", id="a colon in the password"),
        pytest.param(Login("alice", "caf\udce9"), "Basic YWxpY2U6Y2Fm6Q==", id="a byte that is not UTF-8"),
    ],
)
def test_a_basic_header_is_made_from_utf_8(login: Login, header: str) -> None:
    assert login.basic() == header


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        pytest.param({"username": "a:b", "password": SECRET}, "cannot contain ':'", id="a colon in the user name"),
        pytest.param({"username": "\udce9", "password": SECRET}, "must be UTF-8", id="user name"),
        pytest.param({"username": "a", "password": f"\ud800{SECRET}"}, "must be UTF-8", id="password"),
        pytest.param({"identity_token": f"\udc80{SECRET}"}, "must be UTF-8", id="identity token"),
        pytest.param({"registry_token": f"{SECRET}\r\nX: y"}, "printable ASCII", id="a line in the registry token"),
        pytest.param({"registry_token": f"{SECRET} x"}, "printable ASCII", id="a space in the registry token"),
        pytest.param({"registry_token": f"é{SECRET}"}, "printable ASCII", id="registry token not ASCII"),
    ],
)
def test_a_login_that_no_request_can_carry_is_refused_and_not_repeated(parts: dict[str, str], message: str) -> None:
    with pytest.raises(AuthenticationError, match=message) as caught:
        Login(**parts)
    assert SECRET not in repr(caught.value)
    assert caught.value.__context__ is None


def test_a_login_shows_who_but_no_secret() -> None:
    login = Login("alice", SECRET, f"i{SECRET}", f"r{SECRET}", "~/.docker/config.json")
    assert f"{login} {login!r}" == " ".join(["Login(username='alice', source='~/.docker/config.json')"] * 2)


# ---- documents ----


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        pytest.param(b'\xef\xbb\xbf{"a": 1}', {"a": 1}, id="a byte order mark"),
        pytest.param(b'{"a": 1, "a": 2}', {"a": 2}, id="twice"),
        pytest.param(b'{"A": 1, "a": 2, "B": 3}', {"a": 2, "b": 3}, id="any case"),
    ],
)
def test_a_document_is_read_as_go_reads_it(raw: bytes, found: dict[str, object]) -> None:
    assert members(raw, "it") == found
