"""The version and the help appear without an import of the HTTP client."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys

import pytest

from imgfetch.layers import inflate
from tests.conftest import Run

HEAVY = {"requests", "urllib3", "tqdm", "zstandard", "truststore", "publicsuffixlist"}


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["save", "--help"], ["save"]])
def test_little_is_imported_for_it(arguments: list[str]) -> None:
    code = "import sys; from imgfetch.cli.main import main\ntry: main(sys.argv[1:])\nfinally: print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=False, text=True)
    *said, modules = done.stdout.splitlines()
    loaded = set(modules.split())
    assert "TypeError" not in done.stderr
    assert bool(said) == ("-" in arguments[-1])
    assert "imgfetch.cli.options" in loaded
    assert not loaded & HEAVY


def test_the_package_imports_what_is_used_of_it() -> None:
    code = "import sys, imgfetch; imgfetch.Reference; print(*sys.modules)\nimgfetch.save; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    before, after = (set(line.split()) for line in done.stdout.splitlines())
    assert not before & HEAVY
    assert "requests" in after


def test_the_version_names_the_libraries_if_asked(run: Run) -> None:
    for arguments in (["--version", "-v"], ["-v", "--version"]):
        said = run(*arguments).stdout.decode().splitlines()
        assert said[0].startswith("imgfetch ")
        assert f"gzip by {inflate.ENGINE}" in said
        assert f"requests {importlib.metadata.version('requests')}" in said


def test_without_zlib_ng_the_version_names_zlib() -> None:
    code = "import sys; sys.modules['zlib_ng'] = None\nfrom imgfetch.cli.main import main; main(['--version', '-v'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert "\ngzip by zlib " in done.stdout


def test_no_command_is_a_usage_error(run: Run) -> None:
    done = run()
    assert done.returncode == 2
    assert b"no command given; see imgfetch --help" in done.stderr
