"""Every command in the README runs, offline.

``docker.io`` and ``quay.io`` are served by mirrors on the loopback, and the loopback's address replaces
``registry.example``. pip installs from a directory of wheels. ``pipx``, ``uv``, ``ssh``, ``scp`` and ``docker`` are
small scripts, so the test is the same on every machine: pipx and uv install by pip into a directory of their own, once,
and docker verifies what it is given. `test_consumers` loads archives into real engines.
"""

from __future__ import annotations

import base64
import hashlib
import os
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from imgfetch.cli.commands import SHELLS
from tests import certificates
from tests.authority import new_key
from tests.conftest import Run
from tests.e2e.conftest import Save, Started
from tests.engines import ConsumerError
from tests.images import AMD64, ARM64, Built, cosign_tag, hello, image, index
from tests.loopback import Answer, Loopback, Request
from tests.signing import by_key, manifest, payload, public_pem
from tests.tools import missing, tool
from tests.uploads import UploadRegistry

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text()
NEEDED = ("CHANGELOG.md", "LICENSE", "Makefile", "README.md", "docs", "fixtures", "imgfetch", "pyproject.toml")
NEEDED += ("setup.cfg", "setup.py", "tests")
TOKEN = "secret"
KEY = new_key()
CREDENTIALS = f"Basic {base64.b64encode(f'robot:{TOKEN}'.encode()).decode()}"

SCRIPTS = {
    "python3": f'exec {sys.executable} "$@"',
    "imgfetch": f'PYTHONPATH={PROJECT} exec {sys.executable} -m imgfetch "$@"',
    "pipx": 'test "$1" != ensurepath || exit 0; test "$1" = install && shift && test "$1" != --force || shift '
    '&& { test -e ~/pipx || python3 -m pip install -q --target ~/pipx "$1"; } '
    '&& test -d "$1" && ls ~/pipx/bin/imgfetch',
    "uv": 'test "$1 $2" != "tool update-shell" || exit 0; test "$1 $2" = "tool install" && shift && exec pipx "$@"',
    "scp": 'test -f "$1" && test "$2" = offline-host:',
    "ssh": 'test "$1" = offline-host && shift && exec "$@"',
    "docker": 'test "$1" = pull && exec imgfetch digest --plain-http --no-mirror "$2"; test "$1" = load && shift '
    '&& if test "$1" = -i; then cp "$2" loaded.tar; else cat > loaded.tar; fi && imgfetch verify loaded.tar',
}


def blocks() -> list[tuple[str, str]]:
    """Return the language and the text of each block of code."""
    return re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands(block: str) -> Iterator[str]:
    """Yield the commands of a block, and the alternatives that its comments name."""
    for line in re.findall(r"^\$ (.+)$", block, re.MULTILINE):
        command, _, comment = line.partition("  #")
        yield command.strip()
        if alternative := re.match(r" or: (.+)$", comment):
            yield alternative[1]


@pytest.fixture(scope="session")
def wheels() -> Path:
    """Return a directory of the wheels that an installation needs, kept from one run to the next."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    wanted = hashlib.sha256((PROJECT / "setup.cfg").read_bytes() + version.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "imgfetch-tests"
    directory = cache / f"wheels-{wanted}"
    if not directory.exists():
        unfinished = cache / f"wheels-{wanted}-{os.getpid()}"
        names = re.findall(r"^    ([a-z0-9-]+>=[^\n]+)$", (PROJECT / "setup.cfg").read_text(), re.MULTILINE)
        download = [sys.executable, "-m", "pip", "wheel", "-q", "-w", unfinished, "setuptools>=77", *names]
        done = subprocess.run(download, capture_output=True, check=False, text=True)
        if done.returncode:
            missing(f"pip cannot download the dependencies: {done.stderr[-500:]}")
        unfinished.rename(directory)
    return directory


def both(*names: str) -> Built:
    """Return an image for two platforms with one layer a name."""
    return index(*(image(*map(hello, names), platform=platform) for platform in (AMD64, ARM64)))


@pytest.fixture
def registry(loopback: Loopback) -> Loopback:
    loopback.add("library/alpine", "3.20", both("alpine"))
    loopback.add("prometheus/busybox", "latest", both("busybox"))
    loopback.add("team/app", "1.4", app := both("base", "1.4"))
    loopback.add("team/app", cosign_tag(app), manifest(by_key(payload(app.digest), KEY)).built)
    loopback.add("team/app", "1.5", both("base", "1.5"))
    loopback.add("private/app", "1", both("private"))
    for path, answer in list(loopback.answers.items()):
        if path.startswith("/v2/private/"):
            loopback.answers[path] = only_with_credentials(answer)
    loopback.answers["/v2/"] = only_with_credentials(Answer(b"{}"))
    return loopback


def only_with_credentials(answer: Answer | Callable[[Request], Answer]) -> Callable[[Request], Answer]:
    def respond(request: Request) -> Answer:
        if request.headers.get("Authorization") != CREDENTIALS:
            return Answer(b"{}", 401, {"WWW-Authenticate": 'Basic realm="registry"'})
        return answer(request) if callable(answer) else answer

    return respond


@pytest.fixture
def environment(registry: Loopback, wheels: Path, tmp_path: Path) -> Mapping[str, str]:
    scripts, home = tmp_path / "scripts", tmp_path / "home"
    for directory in (scripts, home):
        directory.mkdir()
    for name, script in SCRIPTS.items():
        (scripts / name).write_text(f"#!/bin/sh\n{script}\n")
        (scripts / name).chmod(0o755)
    mirror = f"http://{registry.host}"
    return {
        "PATH": f"{scripts}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(home),
        "IMGFETCH_MIRROR": f"{mirror} quay.io={mirror}",
        "DOCKER_DEFAULT_PLATFORM": "linux/amd64",
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_NO_COMPILE": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


@pytest.fixture
def offline() -> Iterator[UploadRegistry]:
    with UploadRegistry() as target:
        yield target


def test_every_command_runs(
    registry: Loopback, offline: UploadRegistry, environment: Mapping[str, str], tmp_path: Path
) -> None:
    directory = tmp_path / "clone"
    directory.mkdir()
    for name in NEEDED:
        copy = shutil.copytree if (PROJECT / name).is_dir() else shutil.copy2
        copy(PROJECT / name, directory / name)
    (directory / "token.txt").write_text(TOKEN)
    (directory / "cosign.pub").write_bytes(public_pem(KEY))
    ran = 0
    for number, (language, block) in enumerate(blocks()):
        text = block.replace("https://mirror.example", f"http://{registry.host}")
        text = text.replace("registry.offline.example", offline.host).replace("registry.example", registry.host)
        if language == "make":
            directory = tmp_path / f"makefile-{number}"
            directory.mkdir()
            (directory / "Makefile").write_text(text)
            shutil.copy2(PROJECT / "imgfetch/data/make.mk", directory)
            continue
        for command in commands(text) if language == "console" else ():
            shell = [tool("bash"), "-euo", "pipefail", "-c", command]
            done = subprocess.run(shell, capture_output=True, check=False, timeout=300, cwd=directory, env=environment)
            assert done.returncode == 0, f"{command}\n{(done.stdout + done.stderr).decode()}"
            ran += 1
    assert ran > 30
    installed = tmp_path / "home/pipx"
    for name in ("imgfetch.1", *(f"completions/imgfetch.{shell}" for shell in SHELLS)):
        assert (installed / "imgfetch/data" / name).read_bytes() == (PROJECT / "imgfetch/data" / name).read_bytes()
    assert (installed / "share/man/man1/imgfetch.1").exists()
    assert (tmp_path / "home/.local/share/imgfetch/bin/imgfetch").exists()


def troubleshooting() -> list[str]:
    """Return the messages of imgfetch in the table of remedies."""
    return re.findall(r"^\| `([^`]+)` \|", README[README.index("## Troubleshooting") :], re.MULTILINE)


def test_the_messages_in_the_table_of_remedies_are_those_that_imgfetch_prints(
    registry: Loopback, run: Run, tmp_path: Path
) -> None:
    registry.answers["/v2/busy/app/manifests/1"] = Answer(b"{}", 429)
    spoilt = image(hello("spoilt"))
    registry.add("spoilt/app", "1", spoilt)
    registry.answers[f"/v2/spoilt/app/blobs/{spoilt.layers[0].digest}"] = Answer(bytes(len(spoilt.layers[0].content)))
    registry.add("other/app", "1", image(hello("other"), platform=ARM64))
    save = ("save", "-o", str(tmp_path / "x.tar"), "--platform", "linux/amd64", "--retries", "0")
    app = f"{registry.host}/team/app:1.4"
    with Loopback() as secure:
        made = certificates.make(tmp_path / "certificates")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(made.server_cert, made.server_key)
        secure._server.socket = context.wrap_socket(secure._server.socket, server_side=True)
        printed = [
            run(*save, f"{registry.host}/other/app:1"),
            run(*save, f"{registry.host}/team/app:9"),
            run(*save, f"{registry.host}/private/app:1"),
            run(*save, f"{registry.host}/busy/app:1"),
            run(*save, f"localhost:{secure.host.rpartition(':')[2]}/team/app"),
            run(*save, f"{registry.host}/spoilt/app:1"),
            run(*save, app, "--dry-run") if not Path("/dev/full").exists() else run("save", app, "-o", "/dev/full"),
        ]
    for message, done in zip(troubleshooting(), printed, strict=True):
        assert message in done.stderr.decode(), done


LOADING = {
    "docker: `docker-import-…/blobs/sha256/…: no such file or directory`": ("docker-20.10", "docker-28.5"),
    "docker: `docker-import-…/blobs/json: no such file or directory`": ("docker-20.10", "docker-28.5"),
    "docker, ctr: `archive/tar: invalid tar header`": ("docker-20.10", "ctr-1.6", "ctr-2.1-local"),
}
"""The messages of other tools in the table of remedies, and tools that print them."""


@pytest.mark.parametrize(("cell", "reader"), [(each, reader) for each in LOADING for reader in LOADING[each]])
def test_the_messages_of_other_tools_in_the_table_of_remedies_are_theirs(
    cell: str, reader: str, registry: Loopback, save: Save, started: Started
) -> None:
    assert f"\n| {cell} |" in README
    old, new = (f"{registry.host}/team/app:{tag}" for tag in ("1.4", "1.5"))
    platform = ("--platform", "linux/amd64")
    if "header" in cell:
        archive = save("compressed.tar.zst", new, *platform)
    elif "json" in cell:
        archive = save("layout.tar", new, *platform, "--format", "oci")
    else:
        archive = save("update.tar", new, *platform, "--base", save("base.tar", old, *platform))
    engine = started(reader)
    engine.forget()
    with pytest.raises(ConsumerError) as refused:
        engine.read(archive)
    message = cell.partition("`")[2].rstrip("`")
    assert re.search(".*".join(map(re.escape, message.split("…"))), str(refused.value))
