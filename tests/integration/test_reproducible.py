"""The archive is a function of images and options alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.engines import RealRegistry
from tests.images import OCI_TAR, OCI_ZSTD, hello, image, layer, tar
from tests.integration.conftest import Command, Save
from tests.loopback import Loopback
from tests.make_fixtures import hello_image
from tests.tools import missing

PROJECT = Path(__file__).parents[2]
BUILT = image(
    *(
        layer(tar({f"{number}.txt": bytes([number]) * 5000 * number}), OCI_ZSTD if number % 2 else OCI_TAR)
        for number in range(1, 9)
    ),
    hello("top"),
)
PLATFORM = ("--platform", "linux/amd64")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def first(save: Save, loopback: Loopback, tmp_path: Path) -> tuple[str, str]:
    """Return a reference and the digest of its archive, from the network."""
    reference = loopback.add("team/app", "v1", BUILT)
    save(reference, "--no-cache", to="first.tar")
    return reference, sha256(tmp_path / "first.tar")


@pytest.mark.parametrize("jobs", ["1", "2", "9"])
def test_any_number_of_jobs_gives_the_same_bytes(jobs: str, first: tuple[str, str], save: Save, tmp_path: Path) -> None:
    target = tmp_path / "again.tar"
    save(first[0], "--no-cache", "-j", jobs, to=target)
    assert sha256(target) == first[1]


def test_the_store_gives_the_same_bytes_as_the_network_and_asks_for_no_layer(
    first: tuple[str, str], save: Save, loopback: Loopback, tmp_path: Path
) -> None:
    target = tmp_path / "again.tar"
    save(first[0], to=target)
    assert sha256(target) == first[1]
    loopback.requests.clear()
    save(first[0], to=target)
    assert sha256(target) == first[1]
    assert loopback.paths == ["/v2/team/app/manifests/v1"]


def test_a_pipe_gets_the_same_bytes_as_a_file(first: tuple[str, str], run: Run) -> None:
    done = run("save", first[0], *PLATFORM)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(done.stdout).hexdigest() == first[1]


def test_a_named_pipe_and_dev_stdout_get_the_same_bytes(first: tuple[str, str], run: Run) -> None:
    done = run("save", first[0], "-o", "/dev/stdout", *PLATFORM)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(done.stdout).hexdigest() == first[1]


def test_the_time_of_the_entries_is_source_date_epoch(first: tuple[str, str], run: Run, tmp_path: Path) -> None:
    target = tmp_path / "dated.tar"
    env = {"SOURCE_DATE_EPOCH": "1700000000"}
    assert run("save", first[0], "-o", str(target), *PLATFORM, env=env).returncode == 0
    assert sha256(target) != first[1]
    listing = subprocess.run(
        ["tar", "--utc", "-tvf", target], capture_output=True, check=True, timeout=60
    ).stdout.decode()
    assert all("2023-11-14" in line for line in listing.splitlines())


def other_pythons() -> list[str]:
    """Return interpreters of other supported versions, from PATH and from pyenv."""
    candidates = [shutil.which(f"python3.{minor}") for minor in range(11, 20)]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    candidates += [str(path) for path in sorted(pyenv.glob("versions/3.*/bin/python3"))]
    found: dict[str, str] = {}
    for path in filter(None, candidates):
        code = "import sys, venv; print('%d.%d' % sys.version_info[:2])"
        done = subprocess.run([path, "-c", code], capture_output=True, check=False, timeout=30)
        version = done.stdout.decode().strip()
        is_new = done.returncode == 0 and tuple(map(int, version.split("."))) >= (3, 11)
        if is_new and version != "{}.{}".format(*sys.version_info):
            found.setdefault(version, path)
    return list(found.values())


FORMS = {
    "docker": ("de3400cfbfee54de0e5b28c13535c37652be2670498ca973caeb3a008e01a4dd", "--format", "docker", *PLATFORM),
    "plain": ("8f4ab3412ea5edf891f657822d4fcc6bef15dd2e171b990b9db69b39ecae6de6", "--layers", "plain", *PLATFORM),
    "classic": (
        "23a682984bc397a9e6d629c9e711347bb7a878ef8928a176b1dfbfaecf2a2913",
        "--format",
        "docker-classic",
        *PLATFORM,
    ),
    "oci": ("4e2db52b8d53053c03ea3f54994a1f8036f008ee4886629cf5943bc013707a51", "--format", "oci", *PLATFORM),
    "kept index": ("b962ff35760fd47d30344d69981e8ad2af6fa3762266754e770b6a05b1943952", "--keep-index", *PLATFORM),
    "all platforms": ("11e894e989b06b0e2a33243d62edd659a1c71f4323cfbbd9a72130f686a9d1f0", "--all-platforms", *PLATFORM),
}
"""The digest of the archive of `hello_image` in each form, and the options that make it."""


def form_options(loopback: Loopback, form: str) -> list[str]:
    """Return arguments that do not let the registry's port into the archive."""
    reference = loopback.add("demo/hello", "v1", hello_image())
    return ["save", reference, "--name", "registry.example/demo/hello:v1", "--no-cache", *FORMS[form][1:]]


@pytest.mark.parametrize("form", FORMS)
def test_a_form_has_always_had_these_bytes(form: str, command: Command, loopback: Loopback, tmp_path: Path) -> None:
    assert command(*form_options(loopback, form), "-o", tmp_path / "y.tar").status == 0
    assert sha256(tmp_path / "y.tar") == FORMS[form][0]


def test_another_python_gives_the_same_bytes(first: tuple[str, str], loopback: Loopback, tmp_path: Path) -> None:
    pythons = other_pythons()
    if not pythons:
        pytest.skip("no other Python from 3.11 on is installed")
    for number, python in enumerate(pythons):
        venv = tmp_path / f"venv-{number}"
        subprocess.run([python, "-m", "venv", "--without-pip", venv], check=True, capture_output=True, timeout=120)
        source = tmp_path / f"source-{number}"
        shutil.copytree(PROJECT, source, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info"))
        pip = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python"]
        install = [*pip, "install", "--quiet", source]
        done = subprocess.run(install, check=False, capture_output=True, timeout=300)
        if done.returncode:
            missing(f"imgfetch cannot be installed for {python}: {done.stderr.decode()[-300:]}")
        target = tmp_path / f"{number}.tar"
        command = [venv / "bin" / "imgfetch", "save", first[0], "-o", target, "--no-cache", *PLATFORM]
        subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=tmp_path)
        assert sha256(target) == first[1], python
        for form, (digest, *_) in FORMS.items():
            command = [venv / "bin" / "imgfetch", *form_options(loopback, form), "-o", target]
            subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=tmp_path)
            assert sha256(target) == digest, (python, form)


def test_two_runs_against_a_real_registry_give_the_same_bytes(
    registry: RealRegistry, save: Save, tmp_path: Path
) -> None:
    reference = registry.push("team/app", "v1", BUILT)
    targets = [tmp_path / "one.tar", tmp_path / "two.tar"]
    for target in targets:
        save(reference, "--no-cache", to=target)
    assert sha256(targets[0]) == sha256(targets[1])
