"""A small change that breaks one check on purpose, and the tests that must notice."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True, slots=True)
class Mutant:
    """A patch.  It names functions, not files, so it survives a move; the rule that it breaks is its tests' name.

    Attributes:
        function: the qualified name of a function, method or class, such as ``TarReader._number``.
            If several modules have one, ``module:name`` selects, by the module's file name.
        old: the text to be replaced, which occurs exactly once in the function.
        new: its replacement.
        tests: names of the test functions of which at least one must fail, each with or without
            the id of one case in brackets.
    """

    function: str
    old: str
    new: str
    tests: tuple[str, ...] = ()

    def noticed_by(self, *tests: str) -> Mutant:
        return replace(self, tests=tests)

    def __str__(self) -> str:
        return f"{self.function}: {self.old!r} becomes {self.new!r}: {', '.join(self.tests)}"

    @contextmanager
    def applied(self, package: Path) -> Iterator[Path]:
        """Change the one file below a package that has the function while the block runs; yield its path.

        Raises:
            ValueError: no file, or more than one, has the function; or the text does not occur once.
        """
        module, _, name = self.function.rpartition(":")
        found = [
            (path, node)
            for path in sorted(package.rglob(f"{module or '*'}.py"))
            for node in _functions(_parsed(path.read_text()), name)
        ]
        if len(found) != 1:
            raise ValueError(f"{self.function} is defined {len(found)} times, expected once")
        path, node = found[0]
        original = path.read_text()
        lines = original.splitlines(keepends=True)
        start, end = node.lineno - 1, node.end_lineno
        text = "".join(lines[start:end])
        if text.count(self.old) != 1:
            raise ValueError(f"{self.function} contains {self.old!r} {text.count(self.old)} times, expected once")
        changed = "".join([*lines[:start], text.replace(self.old, self.new), *lines[end:]])
        ast.parse(changed)
        path.write_text(changed)
        try:
            yield path
        finally:
            path.write_text(original)

    def find_tests(self, tests: Path) -> list[str]:
        """Return pytest's ids of the tests, relative to the parent of ``tests``.

        Raises:
            ValueError: a name is not that of exactly one test function.
        """
        return [_test_id(name, tests) for name in self.tests]


@cache
def _parsed(source: str) -> ast.Module:
    """Parse a module, once for all mutants."""
    return ast.parse(source)


def _functions(tree: ast.AST, name: str) -> list[Function]:
    """Return the definitions with a qualified name."""
    first, _, rest = name.partition(".")
    found: list[Function] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function) and node.name == first:
            found += _functions(node, rest) if rest else [node]
    return found


def _test_id(name: str, tests: Path) -> str:
    function = name.partition("[")[0]
    found = _test_files(tests).get(function, [])
    if len(found) != 1:
        raise ValueError(f"{function} is a test in {len(found)} files, expected one")
    return f"{found[0].relative_to(tests.parent)}::{name}"


@cache
def _test_files(tests: Path) -> dict[str, list[Path]]:
    """Return by test function the files that have it."""
    found: dict[str, list[Path]] = {}
    for path in sorted(tests.rglob("test_*.py")):
        for function in set(re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)):
            found.setdefault(function, []).append(path)
    return found
