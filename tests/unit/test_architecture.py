"""The shape of the code: which module may know which."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

import imgfetch
from imgfetch import commands, formats, options

PACKAGE = Path(imgfetch.__file__).parent

RANKS = {
    0: [
        "challenges",
        "connections",
        "contentrange",
        "defaults",
        "errors",
        "inflate",
        "mediatypes",
        "payload",
        "printable",
        "progress",
        "retryafter",
        "signals",
        "targets",
        "ustar",
        "version",
    ],
    1: [
        "digest",
        "display",
        "files",
        "login",
        "oddities",
        "origin",
        "peercert",
        "platforms",
        "repeats",
        "retries",
        "strictjson",
        "tarheaders",
        "versions",
        "zstdframes",
    ],
    2: [
        "bars",
        "credential_helpers",
        "decompress",
        "logs",
        "output",
        "permissions",
        "proxies",
        "realms",
        "reference",
        "reporting",
        "room",
        "tarreader",
        "trust",
        "workspace",
    ],
    3: [
        "archive",
        "claims",
        "codings",
        "commands",
        "credentials",
        "failures",
        "image",
        "imagelist",
        "layers",
        "mirrors",
        "outer",
        "taglists",
        "values",
    ],
    4: ["access", "answer", "archived", "details", "eviction", "options", "parts", "running", "scanning", "selection"],
    5: [
        "blobs",
        "cli",
        "command_completion",
        "held",
        "httperrors",
        "invocation",
        "oci_layout",
        "read_docker",
        "transport",
    ],
    6: [
        "classic_archive",
        "command_cache",
        "docker_archive",
        "fetching",
        "oci_archive",
        "plain",
        "read_layout",
        "stores",
        "tokens",
    ],
    7: ["auth", "downloads", "formats", "resolve", "understanding"],
    8: ["mirrored", "multiplatform", "plan", "registry", "verification"],
    9: ["command_verify", "forecast", "planning", "registries", "unchanged", "writing"],
    10: ["inspection", "pull", "queries"],
    11: ["command_digest", "command_inspect", "command_save", "command_tags"],
    12: ["__init__"],
    13: ["__main__"],
}
THIRD_PARTY = {
    "requests": {"transport", "answer", "failures", "trust"},
    "truststore": {"trust"},
    "urllib3": {"connections", "failures"},
    "zlib_ng": {"inflate"},
    "zstandard": {"decompress", "outer"},
    "tqdm": {"bars"},
    "platformdirs": {"invocation"},
    "shtab": {"command_completion"},
    "filelock": {"claims", "workspace"},
}
RANK = {name: rank for rank, names in RANKS.items() for name in names}
MODULES = sorted(path.stem for path in PACKAGE.glob("*.py"))


def imports(module: str) -> set[str]:
    """Return the dotted names that a module imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse((PACKAGE / f"{module}.py").read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used"
            name = node.module or ""
            found |= {f"imgfetch.{alias.name}" for alias in node.names} if name == "imgfetch" else {name}
    return found


def test_every_module_has_a_rank() -> None:
    assert sorted(RANK) == MODULES


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_ranks_below_its_own(module: str) -> None:
    own = {name.removeprefix("imgfetch.") for name in imports(module) if name.startswith("imgfetch")}
    assert {name for name in own if RANK.get(name, 99) >= RANK[module]} == set()


@pytest.mark.parametrize("module", MODULES)
def test_third_parties_stay_behind_their_doors(module: str) -> None:
    roots = {name.partition(".")[0] for name in imports(module)}
    allowed = {party for party, modules in THIRD_PARTY.items() if module in modules}
    assert roots - set(sys.stdlib_module_names) - {"imgfetch"} == allowed


def test_no_module_has_a_standard_modules_name() -> None:
    assert set(MODULES) & set(sys.stdlib_module_names) == set()


@pytest.mark.parametrize("module", [name for name in MODULES if name != "__main__"])
def test_a_module_begins_with_what_it_is_for(module: str) -> None:
    assert ast.get_docstring(ast.parse((PACKAGE / f"{module}.py").read_text()))


def test_the_public_names_exist_and_are_documented() -> None:
    assert len(imgfetch.__all__) == len(set(imgfetch.__all__))
    for name in imgfetch.__all__:
        thing = getattr(imgfetch, name)
        assert name == "__version__" or thing.__doc__


def test_only_the_command_and_the_display_know_the_terminal_and_the_environment() -> None:
    for module in set(MODULES) - {"bars", "cli", "display", "invocation", "payload", "running", "__main__"}:
        source = (PACKAGE / f"{module}.py").read_text()
        for word in ("print(", "os.environ", "sys.argv", "sys.stderr", "sys.stdout", "sys.exit"):
            assert word not in source, f"{module} has {word}"


def test_every_command_has_its_module() -> None:
    assert set(commands._MODULES.values()) == {name for name in MODULES if name.startswith("command_")}


def test_the_formats_that_the_parser_names_are_those_that_there_are() -> None:
    assert tuple(formats.FORMATS) == options.FORMATS


def test_public_names_come_from_where_they_are_looked_for() -> None:
    assert set(imgfetch._HOMES) | {"__version__"} == set(imgfetch.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        imgfetch.nothing  # noqa: B018
    assert set(imgfetch.__all__) <= set(dir(imgfetch))
