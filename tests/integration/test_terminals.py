"""Stdout that is full, closed or of another encoding, and passwords that are entered at a terminal."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.images import hello, image
from tests.loopback import Answer, Loopback, Request

IMGFETCH = [sys.executable, "-m", "imgfetch"]
BUILT = image(hello())
TAGS = b'{"name": "team/app", "tags": ["1"]}'


@pytest.fixture
def reference(loopback: Loopback) -> str:
    loopback.answers["/v2/team/app/tags/list"] = Answer(TAGS)
    return loopback.add("team/app", "1", BUILT)


def words(command: str, reference: str, directory: Path) -> list[str]:
    return [
        *IMGFETCH,
        *command.format(reference=reference, repository=reference.removesuffix(":1"), directory=directory).split(),
    ]


COMMANDS = [
    "--help",
    "--version",
    "save --help",
    "save {reference} --dry-run --platform linux/amd64",
    "digest {reference}",
    "tags {repository}",
    "inspect {reference} --platform linux/amd64",
    "verify {directory}/y.tar",
    "cache dir",
    "cache list --cache-dir {directory}/cache",
    "completion bash",
]


@pytest.fixture
def directory(tmp_path: Path, reference: str) -> Path:
    command = f"save {reference} --platform linux/amd64 -q -o {tmp_path}/y.tar --cache-dir {tmp_path}/cache"
    subprocess.run([*IMGFETCH, *command.split()], check=True, timeout=60)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
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


@pytest.mark.parametrize("command", COMMANDS)
def test_any_locale_can_print_every_command(command: str, reference: str, directory: Path) -> None:
    environment = {
        **os.environ,
        "LC_ALL": "POSIX",
        "PYTHONUTF8": "0",
        "PYTHONCOERCECLOCALE": "0",
        "PYTHONIOENCODING": "",
    }
    done = subprocess.run(
        words(command, reference, directory), capture_output=True, check=False, timeout=60, env=environment
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


def entered(command: list[str], typed: bytes, prompt: bytes = b": ") -> tuple[int, str]:
    """Run a command on a terminal, and type something at its first prompt."""
    child, terminal = pty.fork()
    if not child:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # it is ignored in the background of a shell
        os.execve(command[0], command, {**os.environ, "TERM": "dumb"})
    printed, is_answered, end = b"", False, time.monotonic() + 60
    while time.monotonic() < end:
        try:
            printed += os.read(terminal, 4096)
        except OSError:  # all ends of the terminal are closed
            break
        if prompt in printed and not is_answered:
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


@pytest.mark.parametrize(("answer", "is_removed"), [("n", False), ("", False), ("y", True), ("YES", True)])
def test_an_empty_cache_is_asked_for_at_a_terminal(directory: Path, *, answer: str, is_removed: bool) -> None:
    line = [*IMGFETCH, "cache", "prune", "--cache-dir", str(directory / "cache")]
    status, printed = entered(line, f"{answer}\n".encode(), prompt=b"[y/N] ")
    assert status == 0, printed
    assert re.search(r"Remove all \d+ blobs \([\d.]+ k?B\) in ", printed)
    assert (list((directory / "cache" / "blobs" / "sha256").iterdir()) == []) is is_removed


@pytest.mark.parametrize("options", [("--keep", "1TB"), ("--older-than", "1d"), ("--force",)])
def test_a_part_of_the_cache_is_removed_without_a_question(directory: Path, options: tuple[str, ...]) -> None:
    line = [*IMGFETCH, "cache", "prune", "--cache-dir", str(directory / "cache"), *options]
    status, printed = entered(line, b"n\n", prompt=b"[y/N] ")
    assert (status, "[y/N]" in printed) == (0, False)
