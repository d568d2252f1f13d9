"""The archive is a function of images and options alone."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import zstandard

from tests.conftest import Run
from tests.engines import RealRegistry
from tests.images import OCI_TAR, OCI_ZSTD, cosign_tag, cosigned, hello, image, index, layer, referrer, tar
from tests.integration.conftest import Command, Save
from tests.loopback import Loopback
from tests.make_fixtures import hello_image
from tests.patches import NEW, OLD, archive
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
    "signed": ("13bc5350ec52401c10d715f874167d8cb5aa87b095b9f9550e119f436663a92e", "--signatures", *PLATFORM),
    "all platforms": ("11e894e989b06b0e2a33243d62edd659a1c71f4323cfbbd9a72130f686a9d1f0", "--all-platforms", *PLATFORM),
}
"""The digest of the archive of `hello_image` in each form, and the options that make it."""


COMPRESSED = {(1, 5, 7): "751e789c74bdf4aa5a08a35f7ea64a4ebd71b248731c5c86a85fbc7a2dae55e8"}
"""The digest of `hello_image` in a file `y.tar.zst` with decompressed layers, by the version of zstd."""


def form_options(loopback: Loopback, form: str) -> list[str]:
    """Return arguments that do not let the registry's port into the archive."""
    built = hello_image()
    reference = loopback.add("demo/hello", "v1", built)
    for subject in (built, built.children[0]) if form == "signed" else ():
        loopback.add("demo/hello", cosign_tag(subject), cosigned(subject))
        loopback.add("demo/hello", cosign_tag(subject, ""), index(referrer(subject)))
    return ["save", reference, "--name", "registry.example/demo/hello:v1", "--no-cache", *FORMS[form][1:]]


@pytest.mark.parametrize("form", FORMS)
def test_a_form_has_always_had_these_bytes(form: str, command: Command, loopback: Loopback, tmp_path: Path) -> None:
    assert command(*form_options(loopback, form), "-o", tmp_path / "y.tar").status == 0
    assert sha256(tmp_path / "y.tar") == FORMS[form][0]


@pytest.mark.skipif(zstandard.ZSTD_VERSION not in COMPRESSED, reason="other versions of zstd may write other bytes")
def test_an_archive_that_zstd_compresses_has_these_bytes(command: Command, loopback: Loopback, tmp_path: Path) -> None:
    assert command(*form_options(loopback, "plain"), "-o", tmp_path / "y.tar.zst").status == 0
    assert sha256(tmp_path / "y.tar.zst") == COMPRESSED[zstandard.ZSTD_VERSION]


OLDEST = (
    'zstandard==0.22.0; python_version < "3.13"',
    'zstandard==0.23.0; python_version == "3.13"',
    'backports.zstd==1.0.0; python_version < "3.14"',
)
"""The oldest libraries for Zstandard that imgfetch allows and that have wheels for a version of Python."""


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return by interpreter the command of each other version of Python, with the oldest libraries for Zstandard."""
    commands = {}
    for number, python in enumerate(other_pythons()):
        directory = tmp_path_factory.mktemp(f"python-{number}")
        venv, source = directory / "venv", directory / "source"
        subprocess.run([python, "-m", "venv", "--without-pip", venv], check=True, capture_output=True, timeout=120)
        shutil.copytree(PROJECT, source, ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info"))
        pip = [sys.executable, "-m", "pip", "--python", venv / "bin" / "python"]
        install = [*pip, "install", "--quiet", f"{source}[patch]", *OLDEST]
        done = subprocess.run(install, check=False, capture_output=True, timeout=300)
        if done.returncode:
            missing(f"imgfetch cannot be installed for {python}: {done.stderr.decode()[-300:]}")
        commands[python] = venv / "bin" / "imgfetch"
    if not commands:
        pytest.skip("no other Python from 3.11 on is installed")
    return commands


def test_another_python_gives_the_same_bytes(
    first: tuple[str, str], others: dict[str, Path], loopback: Loopback, tmp_path: Path
) -> None:
    target = tmp_path / "y.tar"
    for python, imgfetch in others.items():
        command = [imgfetch, "save", first[0], "-o", target, "--no-cache", *PLATFORM]
        subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=tmp_path)
        assert sha256(target) == first[1], python
        for form, (digest, *_) in FORMS.items():
            command = [imgfetch, *form_options(loopback, form), "-o", target]
            subprocess.run(command, check=True, capture_output=True, timeout=120, cwd=tmp_path)
            assert sha256(target) == digest, (python, form)


def test_a_patch_of_any_python_makes_the_same_archive_with_every_other(others: dict[str, Path], tmp_path: Path) -> None:
    old, new, target = tmp_path / "old.tar", tmp_path / "new.tar", tmp_path / "y.tar"
    archive(OLD, old)
    archive(NEW, new, layers="plain")
    commands = {sys.executable: [sys.executable, "-m", "imgfetch"], **{python: [at] for python, at in others.items()}}
    for number, maker in enumerate(commands.values()):
        patch = tmp_path / f"{number}.patch"
        subprocess.run([*maker, "patch", old, new, "-o", patch], check=True, capture_output=True, timeout=120)
        for python, command in commands.items():
            apply = [*command, "apply", patch, "--from", old, "-o", target]
            subprocess.run(apply, check=True, capture_output=True, timeout=120)
            assert sha256(target) == sha256(new), (maker, python)


def test_two_runs_against_a_real_registry_give_the_same_bytes(
    registry: RealRegistry, save: Save, tmp_path: Path
) -> None:
    reference = registry.push("team/app", "v1", BUILT)
    targets = [tmp_path / "one.tar", tmp_path / "two.tar"]
    for target in targets:
        save(reference, "--no-cache", to=target)
    assert sha256(targets[0]) == sha256(targets[1])
