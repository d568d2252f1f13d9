"""The shape of the code: the folders that each folder may import."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import imgfetch
from imgfetch.archive import formats
from imgfetch.cli import commands
from imgfetch.pull.client import SaveOptions
from imgfetch.pull.shortcuts import Settings

PACKAGE = Path(imgfetch.__file__).parent

FOLDERS = {
    # folder: (the folders that it may import, the third parties)
    "": ((), ""),
    "oci": (("",), ""),
    "layers": (("oci",), "zlib_ng zstandard"),
    "archive": (("layers",), "zstandard"),
    "patch": (("archive",), "backports compression zstandard"),
    "store": (("layers",), ""),
    "http": (("layers",), "idna requests urllib3"),
    "auth": (("http",), "publicsuffixlist"),
    "registry": (("auth",), "yaml"),
    "signatures": (("oci",), "cryptography re2 sigstore sigstore_models"),
    "upload": (("registry", "store", "archive"), ""),
    "pull": (("upload", "patch"), ""),
    "cli": (("pull", "signatures"), "platformdirs tqdm"),
}
"""A folder may import what those that it names may import, too; all modules at the top level are one folder."""
LAZY = {
    "__init__.py": "a public name is imported when it is used, and what logs with it",
    "cli/context.py": "the verification of signatures, for few commands",
    "patch/frames.py": "the library that compresses with a prefix is an extra, and needed for making patches only",
    "cli/displays.py": "tqdm is slow to import, and needed on terminals only",
    "redaction.py": "the names of HTML's characters, for the few texts that have any",
    "cli/lists.py": "the reader of archives takes a tenth of a save's start, and a save reads none",
    "pull/client.py": "the same reader, and the code of a push and of a patch",
    "pull/make_plan.py": "the same reader, for --base; and the search for signatures, for --signatures",
    "pull/write.py": "the same reader, for --if-changed",
    "registry/client.py": "lists of tags and of referrers, and logins, which few commands need",
    "cli/main.py": "the start-up boundary: --version and --help end before it",
    "cli/parse.py": "the same boundary: half of --version's time, for values that it does not have",
    "registry/registries_yaml.py": "PyYAML is an extra, and needed on machines with k3s only",
    "signatures/load.py": "cryptography and sigstore are an extra, slow to import, and for policies only",
    "text.py": "the search for what a misspelt word may mean, for few command lines",
}
"""The modules that import something in a function, and why."""
OPENERS = {
    "inputs.py": "os.open open",  # regular files and open streams, up to a bound
    "files.py": "os.open",  # new files, which replace others atomically
    "archive/directory.py": "os.open",  # below an open directory, without following links
    "archive/output.py": "os.open Path(f'/proc/self/fdinfo/{descriptor}').read_bytes",  # devices and pipes
    "archive/source.py": "os.open",  # archives, which may be pipes
    "archive/stored.py": "os.open",  # below an open directory, of archives that were verified
    "cli/command_makefile.py": "rules.read_bytes",  # a file of the package
    "cli/command_completion.py": "script.read_bytes",  # likewise
    "cli/stdout.py": "os.open",  # /dev/null
}
"""The calls that open files, by module; the store has its own rules."""
READERS = {
    "auth/authenticator.py": "answer _respond",  # the URL that was asked; scopes, realm and service of a challenge
    "auth/challenges.py": "parse",
    "http/client.py": "_pass_on_warnings",
    "http/redirects.py": "target",
    "http/response.py": "codings content_length continues",
    "http/retries.py": "retry_after",
    "http/status_errors.py": "_words _pull_limit",
    "registry/blobs.py": "validator",
    "registry/client.py": "read _document _stated_digest _note_limit _compare_header",
    "registry/elsewhere.py": "answer _match",
    "registry/links.py": "following",
    "registry/uploads.py": "_address _least _received _stated",
    "text.py": "__init__ shown __bool__",
}
"""The functions that read a server's text as it was sent, by module; each parses it or compares it."""
ROOF = {PACKAGE / "__init__.py", PACKAGE / "__main__.py"}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path not in ROOF)
each_module = pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))


def folder_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0] if path.parent != PACKAGE else ""


def below(folder: str) -> set[str]:
    """Return the folders that one may import, and itself."""
    return {folder}.union(*map(below, FOLDERS[folder][0]))


def imports(path: Path) -> Iterator[list[str]]:
    """Yield the parts of the dotted name of each thing that a module imports, in a function or for types too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports are not used"
            yield from (f"{node.module}.{alias.name}".split(".") for alias in node.names)


def test_every_folder_is_in_the_table_and_says_what_belongs_there() -> None:
    assert {folder_of(path) for path in MODULES} == set(FOLDERS)
    for folder in filter(None, FOLDERS):
        body = ast.parse((PACKAGE / folder / "__init__.py").read_text()).body
        assert len(body) == 1, f"{folder}/__init__.py has more than a docstring"


def test_the_design_has_the_folders_and_their_libraries() -> None:
    design = (PACKAGE.parent / "docs" / "design.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| .* \| (.*) ?\|$", design, re.MULTILINE)
    shown = {folder: set(re.findall(r"\w+", libraries.replace("-", "_"))) for folder, libraries in rows}
    assert shown == {folder: set(libraries.split()) for folder, (_, libraries) in FOLDERS.items() if folder}


@each_module
def test_imports_go_one_way(path: Path) -> None:
    own = [parts[1] if parts[1] in FOLDERS else "" for parts in imports(path) if parts[0] == "imgfetch"]
    assert set(own) <= below(folder_of(path))


def test_no_module_imports_in_a_function_without_a_reason() -> None:
    found = {
        str(path.relative_to(PACKAGE))
        for path in PACKAGE.rglob("*.py")
        for function in ast.walk(ast.parse(path.read_text()))
        if isinstance(function, ast.FunctionDef)
        and any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.walk(function))
    }
    assert found == set(LAZY)


@each_module
def test_files_are_opened_in_few_places(path: Path) -> None:
    is_mode = re.compile(r"[rwax]b?\+?").fullmatch
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    found = {
        name
        for call in calls
        if (name := ast.unparse(call.func)) in {"open", "os.open"}
        or name.rpartition(".")[2] in {"read_text", "read_bytes", "write_text", "write_bytes"}
        or (name.endswith(".open") and any(is_mode(ast.unparse(each).strip("'")) for each in call.args))
    }
    allowed = OPENERS.get(str(path.relative_to(PACKAGE)), "any" if folder_of(path) == "store" else "")
    assert allowed == "any" or found == set(allowed.split())


@each_module
def test_a_servers_text_is_read_as_it_was_sent_in_few_places(path: Path) -> None:
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    found = {name for function in functions for name in [innermost(function)] if name}
    assert found == set(READERS.get(str(path.relative_to(PACKAGE)), "").split())


def innermost(function: ast.FunctionDef) -> str:
    """Return a function's name if it, and no function within it, reads a server's text."""
    inner = {
        id(node)
        for each in ast.walk(function)
        if each is not function and isinstance(each, ast.FunctionDef)
        for node in ast.walk(each)
    }
    reads = (node for node in ast.walk(function) if isinstance(node, ast.Attribute) and node.attr == "as_sent")
    return function.name if any(id(node) not in inner for node in reads) else ""


def test_one_module_reads_the_responses_of_the_library_below() -> None:
    readers = {
        path.relative_to(PACKAGE)
        for path in PACKAGE.glob("http/*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and ast.unparse(node.value) in {"answer", "self._response"}
    }
    assert readers == {Path("http/response.py")}


REFUSED = """
from imgfetch.errors import ImgfetchError, RegistryError
from imgfetch.http.response import Response
from imgfetch.text import quoted, sanitize, shown_url

def wrong(response: Response) -> object:
    said = response.header("Location")
    ImgfetchError(said)  # type: ignore[arg-type]
    ImgfetchError("the server said " + said)  # type: ignore[operator]
    RegistryError("x", url=said, status=200)  # type: ignore[arg-type]
    RegistryError("x", url=response.address, status=200)  # type: ignore[arg-type]
    RegistryError("x", url="", status=200, codes=(said,))  # type: ignore[arg-type]
    ImgfetchError("x", hint=response.excerpt())  # type: ignore[arg-type]
    ImgfetchError("x", details=tuple(response.headers("Warning")))  # type: ignore[arg-type]
    ", ".join(response.headers("Warning"))  # type: ignore[arg-type]
    shown_url(response.address)  # type: ignore[arg-type]
    said.strip()  # type: ignore[attr-defined]
    said[:80]  # type: ignore[index]
    said == "text"  # type: ignore[comparison-overlap]
    f"{response.document(80, 'x')}"  # type: ignore[str-bytes-safe]
    "%s" % response.document(80, "x")  # type: ignore[str-bytes-safe]
    return f"{said} {response.address} {response.excerpt()}"  # each of them shown safely
"""


def test_a_type_checker_refuses_every_other_way_to_show_what_a_server_said(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    (tmp_path / "wrong.py").write_text(REFUSED)
    checked = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", tmp_path / "cache", tmp_path / "wrong.py"]
    done = subprocess.run(checked, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout  # an error that is not refused would be an ignore that is not used


@each_module
def test_third_parties_stay_behind_their_doors(path: Path) -> None:
    foreign = {parts[0] for parts in imports(path)} - set(sys.stdlib_module_names) - {"imgfetch"}
    assert foreign <= set(FOLDERS[folder_of(path)][1].split())


@each_module
def test_a_module_begins_with_its_purpose(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_no_module_has_a_standard_modules_name() -> None:
    assert {path.stem for path in MODULES} & set(sys.stdlib_module_names) == set()


def test_the_public_names_exist_and_are_documented() -> None:
    assert len(imgfetch.__all__) == len(set(imgfetch.__all__))
    for name in set(imgfetch.__all__) - set(imgfetch._RENAMED):
        thing = getattr(imgfetch, name)
        assert name == "__version__" or thing.__doc__


def test_only_the_command_line_knows_the_terminal_and_the_environment() -> None:
    for path in PACKAGE.rglob("*.py"):
        if folder_of(path) == "cli" or path.name == "__main__.py":
            continue
        for word in ("print(", "os.environ", "sys.argv", "sys.stderr", "sys.stdout", "sys.exit"):
            assert word not in path.read_text(), f"{path} has {word}"


@each_module
def test_no_error_changes_once_it_is_made(path: Path) -> None:
    targets = [
        target
        for node in ast.walk(ast.parse(path.read_text()))
        for target in (node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)])
        if isinstance(target, ast.Attribute) and target.attr in {"tries", "hint", "details", "retry_after", "__cause__"}
    ]
    constructors = {"self", "copy"} if path.name == "errors.py" else set()
    assert {ast.unparse(target.value) for target in targets} <= constructors


def test_every_command_has_its_module() -> None:
    modules = {f"command_{name.partition(' ')[0]}" for name in commands.COMMANDS}
    assert modules == {path.stem for path in PACKAGE.glob("cli/command_*.py")}


def test_the_formats_that_the_parser_names_are_those_that_there_are() -> None:
    assert tuple(formats.FORMATS) == commands.FORMATS


def test_public_names_come_from_where_they_are_looked_for() -> None:
    assert set(imgfetch._HOMES) | set(imgfetch._RENAMED) | {"__version__"} == set(imgfetch.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        imgfetch.nothing  # noqa: B018
    assert set(imgfetch.__all__) <= set(dir(imgfetch))


@pytest.mark.parametrize(("old", "new"), imgfetch._RENAMED.items())
def test_an_old_public_name_works_with_a_warning(old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=f"imgfetch.{old} is now imgfetch.{new}") as caught:
        assert getattr(imgfetch, old) is getattr(imgfetch, new)
    assert caught[0].filename == __file__


def test_an_old_argument_of_a_registry_works_with_a_warning() -> None:
    tolerance = imgfetch.Registry("registry.example")._tolerance
    with pytest.warns(DeprecationWarning, match="oddities is now tolerance") as caught:
        assert imgfetch.Registry("registry.example", oddities=tolerance)._tolerance is tolerance
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "function",
    [
        imgfetch.save,
        imgfetch.save_each,
        imgfetch.dry_run,
        imgfetch.pin,
        imgfetch.tags,
        imgfetch.inspect,
        imgfetch.push,
    ],
)
def test_help_shows_all_options_of_a_function(function: Callable[..., object]) -> None:
    options = inspect.signature(function).parameters
    kinds = {option.kind for option in options.values()}
    assert inspect.Parameter.VAR_KEYWORD not in kinds
    assert options.keys() >= Settings.__annotations__.keys()
    if function in (imgfetch.save, imgfetch.save_each):
        assert options.keys() >= SaveOptions.__annotations__.keys()
