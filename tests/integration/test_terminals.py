"""Stdout that is full, closed or of another encoding, and passwords that are entered at a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgfetch import Client, make_patch
from imgfetch.cli.commands import COMMANDS, SHELLS
from tests.images import hello, image
from tests.loopback import Answer, Loopback, Request

IMGFETCH = [sys.executable, "-m", "imgfetch"]
BUILT = image(hello())
TAGS = b'{"name": "team/app", "tags": ["1"]}'


def check_login(request: Request) -> Answer:
    status = 200 if "Authorization" in request.headers else 401
    return Answer(b"{}", status=status, headers={"WWW-Authenticate": 'Basic realm="x"'})


@pytest.fixture
def reference(loopback: Loopback) -> str:
    loopback.answers["/v2/team/app/tags/list"] = Answer(TAGS)
    loopback.answers["/v2/"] = check_login
    return loopback.add("team/app", "1", BUILT)


def words(command: str, reference: str, directory: Path) -> list[str]:
    repository, registry = reference.removesuffix(":1"), reference.partition("/")[0]
    given = {"reference": reference, "repository": repository, "registry": registry, "directory": directory}
    return [*IMGFETCH, *command.format(**given).split()]


PRINTING = [
    "--help",
    "--version",
    "--version -v",
    "save --help",
    "save {reference} --dry-run --platform linux/amd64",
    "save {reference} --dry-run --platform linux/amd64 --json",
    "save {reference} --platform linux/amd64 -q --json -o {directory}/z.tar",
    "save {reference} --platform linux/amd64 -q --json --output-dir {directory}/out",
    "digest {reference}",
    "digest {reference} --keep-tag",
    "digest {reference} --json",
    "tags {repository}",
    "tags {repository} --json",
    "inspect {reference} --platform linux/amd64",
    "inspect {reference} --json",
    "inspect {reference} --raw",
    "inspect {directory}/y.tar",
    "verify {directory}/y.tar",
    "verify {directory}/y.tar --json",
    "push {directory}/y.tar {registry}",
    "push {directory}/y.tar {registry} --dry-run",
    "push {directory}/y.tar {registry} --json",
    "apply {directory}/y.patch --from {directory}/y.tar --dry-run",
    "cache dir",
    "cache list --cache-dir {directory}/cache",
    "cache list --cache-dir {directory}/cache --json",
    "makefile",
    *(f"completion {shell}" for shell in SHELLS),
]
SILENT = [
    "save {reference} --platform linux/amd64 -o {directory}/z.tar",
    "digest {reference} -o {directory}/lock",
    "verify {directory}/y.tar -q",
    "push {directory}/y.tar {registry} -q",
    "patch {directory}/y.tar {directory}/y.tar -o {directory}/z.patch",
    "apply {directory}/y.patch --from {directory}/y.tar -o {directory}/z.tar",
    "login {registry} -u me --password-stdin --authfile {directory}/config.json",
    "logout {registry} --authfile {directory}/config.json",
    "cache prune --cache-dir {directory}/cache",
]
"""Command lines that write nothing to stdout, so they need none."""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_tried_without_a_stdout_and_so_is_its_json(name: str) -> None:
    tried = [line.split() for line in (*PRINTING, *SILENT) if f"{line} ".startswith(f"{name} ")]
    assert tried, f"add a line to PRINTING or SILENT for imgfetch {name}"
    if "--json" in {each for option in COMMANDS[name].all_options for each in option.names}:
        assert any("--json" in line for line in tried), f"add a line with --json to PRINTING for imgfetch {name}"


@pytest.fixture
def directory(tmp_path: Path, reference: str) -> Path:
    Client().save(reference, tmp_path / "y.tar", platform="linux/amd64", cache_dir=tmp_path / "cache")
    make_patch(tmp_path / "y.tar", tmp_path / "y.tar", tmp_path / "y.patch")
    return tmp_path


@pytest.mark.parametrize("command", PRINTING)
@pytest.mark.parametrize(
    ("redirection", "said"),
    [("> /dev/full", "No space left on device"), (">&-", "it is closed")],
    ids=["full", "closed"],
)
def test_a_command_that_cannot_print_ends_with_one_sentence(
    command: str, redirection: str, said: str, reference: str, directory: Path
) -> None:
    line = ["sh", "-c", f'"$@" {redirection}', "sh", *words(command, reference, directory)]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (7, f"imgfetch: error: cannot write to stdout: {said}\n")


@pytest.mark.parametrize("command", SILENT)
@pytest.mark.parametrize("redirection", ["> /dev/full", ">&-"], ids=["full", "closed"])
def test_a_command_that_prints_nothing_needs_no_stdout(
    command: str, redirection: str, reference: str, directory: Path
) -> None:
    line = ["sh", "-c", f'"$@" {redirection}', "sh", *words(command, reference, directory)]
    done = subprocess.run(line, input=b"secret\n", capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, b""), done.stderr
    assert b"error" not in done.stderr


@pytest.mark.parametrize("command", [*PRINTING, *SILENT])
def test_any_locale_can_print_every_command(command: str, reference: str, directory: Path) -> None:
    environment = {
        **os.environ,
        "LC_ALL": "POSIX",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "",
    }
    line = words(command, reference, directory)
    done = subprocess.run(line, input=b"secret\n", capture_output=True, check=False, timeout=60, env=environment)
    assert done.returncode == 0, done.stderr
    assert b"rror" not in done.stderr
    assert (done.stdout + done.stderr).isascii()


ODD = b"caf\xe9 \xff"
"""The name of a file that is not UTF-8."""


@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}])
@pytest.mark.parametrize("way", ["option", "variable"])
def test_the_cache_directory_is_printed_byte_for_byte(tmp_path: Path, way: str, locale: dict[str, str]) -> None:
    given = os.fsencode(tmp_path) + b"/" + ODD
    variable = {b"IMGFETCH_CACHE_DIR": given} if way == "variable" else {}
    environment = {**os.environb, **{key.encode(): value.encode() for key, value in locale.items()}, **variable}
    line = [*map(os.fsencode, IMGFETCH), b"cache", b"dir", *([b"--cache-dir", given] if way == "option" else [])]
    done = subprocess.run(line, capture_output=True, check=True, timeout=60, env=environment)
    assert done.stdout == given + b"\n"


@pytest.mark.parametrize("option", ["-o", "--output-dir"])
def test_a_program_gets_the_bytes_of_a_file_from_json(reference: str, tmp_path: Path, option: str) -> None:
    given = os.fsencode(tmp_path) + b"/" + ODD
    line = [*IMGFETCH, "save", reference, "--platform", "linux/amd64", "-q", "--json", option]
    done = subprocess.run([*map(os.fsencode, line), given], capture_output=True, check=True, timeout=60)
    found = json.loads(done.stdout)
    archive = found if option == "-o" else found[0]
    assert os.fsencode(archive["output"]).startswith(given)
    assert Path(archive["output"]).stat().st_size == archive["size"]


@pytest.mark.parametrize(
    ("command", "status"),
    [
        ("save {reference} --platform linux/amd64 -o {odd}.tar", 0),
        ("save {reference} --platform linux/amd64 --output-dir {odd}", 0),
        ("save {reference} --platform linux/amd64 -o {odd}.tar --cache-dir {odd}", 0),
        ("save --images {odd}", 7),
        ("save {reference} --base {odd}.tar -o y.tar", 7),
        ("save {reference} --ca-file {odd} -o y.tar", 7),
        ("save {odd}", 2),
        ("save {reference} --{odd}", 2),
        ("digest {reference} -o {odd}", 0),
        ("digest {odd}", 2),
        ("tags {odd}", 2),
        ("inspect {odd}.tar", 7),
        ("verify {odd}", 7),
        ("login {odd}", 2),
        ("logout {odd}", 2),
        ("logout --authfile {odd}", 0),
        ("cache list --cache-dir {odd}", 0),
        ("cache prune --cache-dir {odd}", 0),
        ("completion {odd}", 2),
        ("{odd}", 2),
    ],
)
def test_a_name_that_is_not_utf_8_is_used_and_shown_with_escapes(
    command: str, status: int, reference: str, tmp_path: Path
) -> None:
    line = [
        os.fsencode(word.format(reference=reference, odd="\0")).replace(b"\0", ODD)
        for word in (*IMGFETCH, *command.split())
    ]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert b"Traceback" not in done.stderr
    assert ODD not in done.stdout + done.stderr
    assert rb"\udce9" in done.stderr or status == 0


def entered(command: list[str], typed: bytes) -> tuple[int, str]:
    """Run a command on a terminal, and type something at its first prompt."""
    child, terminal = pty.fork()
    if not child:
        os.execve(command[0], command, {**os.environ, "TERM": "dumb"})
    printed, is_answered, end = b"", False, time.monotonic() + 60
    while time.monotonic() < end:
        try:
            printed += os.read(terminal, 4096)
        except OSError:  # all ends of the terminal are closed
            break
        if b": " in printed and not is_answered:
            is_answered = True
            os.write(terminal, typed)
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), printed.decode()


@pytest.mark.parametrize("option", ["", " --password-stdin"])
def test_a_password_is_asked_for_at_a_terminal_and_not_shown(loopback: Loopback, reference: str, option: str) -> None:
    answers = dict(loopback.answers)

    def protected(request: Request) -> Answer:
        if request.headers.get("Authorization") != "Basic bWU6b3BlbiBzZXNhbWU=":
            return Answer(b"", status=401, headers={"WWW-Authenticate": 'Basic realm="x"'})
        found = answers[request.path]
        assert isinstance(found, Answer)
        return found

    for path in answers:
        loopback.answers[path] = protected
    status, printed = entered([*IMGFETCH, "digest", reference, "-u", "me", *option.split()], b"open sesame\n")
    assert status == 0, printed
    assert printed.startswith("Password of me: ")
    assert BUILT.digest in printed
    assert "sesame" not in printed


@pytest.mark.parametrize("answer", [b"\n", b"\x04", b"\xff\n"], ids=["empty", "end of input", "not text"])
def test_no_password_at_a_terminal_is_a_usage_error(reference: str, answer: bytes) -> None:
    status, printed = entered([*IMGFETCH, "digest", reference, "-u", "me"], answer)
    assert status == 2, printed
    assert "the password is empty, or not in the encoding of the terminal" in printed


def test_an_interruption_at_the_prompt_for_a_password_ends_with_a_sentence(reference: str) -> None:
    status, printed = entered([*IMGFETCH, "digest", reference, "-u", "me"], b"\x03")
    assert (status, printed.split("me: ")[1].strip()) == (130, "imgfetch: error: interrupted")


@pytest.mark.parametrize("options", [[], ["-u", "me"]], ids=["user name", "password"])
@pytest.mark.parametrize("content", ["{oops", '{"credsStore": "absent"}', None], ids=["JSON", "helper", "directory"])
def test_nothing_is_asked_for_that_could_not_be_stored(
    loopback: Loopback, tmp_path: Path, content: str | None, options: list[str]
) -> None:
    file = tmp_path / "config.json"
    if content is None:
        file.mkdir()
    else:
        file.write_text(content)
    line = [*IMGFETCH, "login", loopback.host, *options, "--authfile", str(file)]
    status, printed = entered(line, b"me\n")
    assert status == (7 if content is None else 4), printed
    assert str(file) in printed
    assert "me: " not in printed.lower()
    assert loopback.requests == []


def test_without_a_terminal_a_password_is_never_waited_for(reference: str) -> None:
    line = [*IMGFETCH, "digest", reference, "-u", "me"]
    done = subprocess.run(line, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "--username needs a password: pass it on stdin with --password-stdin, or use a terminal" in done.stderr


@pytest.mark.parametrize("file", ["m.tar", "out/m.tar.gz", "/srv/m.tgz", "./m.tar.zst", "~/m.tar"])
def test_a_second_image_that_is_a_file_is_recognised(file: str) -> None:
    line = [*IMGFETCH, "save", "alpine", file]
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert f"'{file}' looks like a file, not an image; to write it, use -o '{file}'" in done.stderr
