"""The version and the help appear without an import of the HTTP client, and a save without the reader of archives."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

from imgfetch.layers import inflate
from tests.conftest import Run
from tests.images import hello, image
from tests.loopback import Loopback

NOT_FOR_A_SAVE = {
    *(
        "ancestors",
        "attached",
        "document_types",
        "contents",
        "directory",
        "entry_names",
        "foreign",
        "foreign_members",
        "read_docker",
        "read_image_layout",
    ),
    *("recognise", "scan", "source", "tarheader", "tarreader", "verify", "wanted", "writers"),
}
"""The modules of `imgfetch.archive` that read archives."""
HEAVY = {"requests", "urllib3", "tqdm", "zstandard", "publicsuffixlist"}


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


def test_a_save_imports_neither_the_reader_of_archives_nor_lists_of_tags(loopback: Loopback, tmp_path: Path) -> None:
    reference = loopback.add("team/app", "1", image(hello()))
    code = "import sys; from imgfetch.cli.main import main\nprint(main(sys.argv[1:])); print(*sys.modules)"
    arguments = ["save", "-q", "-o", str(tmp_path / "y.tar"), "--cache-dir", str(tmp_path / "cache"), reference]
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, check=True, text=True)
    status, modules = done.stdout.splitlines()
    loaded = set(modules.split())
    assert status == "0"
    assert "imgfetch.archive.formats" in loaded
    assert not loaded & {f"imgfetch.archive.{name}" for name in NOT_FOR_A_SAVE}
    assert not loaded & {
        "imgfetch.registry.links",
        "imgfetch.registry.tags",
        "imgfetch.registry.logins",
        "imgfetch.registry.referrers",
    }
    assert not loaded & {
        "imgfetch.pull.inspection",
        "imgfetch.pull.referrers",
        "imgfetch.signatures",
        "imgfetch.push",
        "difflib",
    }


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
