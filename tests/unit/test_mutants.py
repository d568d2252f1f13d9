"""The mutants' patches apply, and name tests that exist; ``make mutants`` runs them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import imgfetch
from tests.mutants.__main__ import main
from tests.mutants.catalogue import MUTANTS
from tests.mutants.mutant import Mutant

PACKAGE = Path(imgfetch.__file__).parent
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy = tmp_path_factory.mktemp("package") / "imgfetch"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    return copy


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: f"{mutant.function}-{mutant.tests[0]}")
def test_a_mutant_changes_one_function_and_names_tests_that_exist(mutant: Mutant, package: Path) -> None:
    assert mutant.find_tests(TESTS)
    with mutant.applied(package) as changed:
        original = (PACKAGE / changed.relative_to(package)).read_text()
        assert changed.read_text() != original
    assert changed.read_text() == original


def test_a_mutant_of_an_unknown_function_is_an_error(package: Path) -> None:
    with pytest.raises(ValueError, match="defined 0 times"), Mutant("nowhere", "a", "b").applied(package):
        pass


def test_a_mutant_of_a_text_that_is_not_there_is_an_error(package: Path) -> None:
    mutant = Mutant("TarReader.__init__", "no such text", "b")
    with pytest.raises(ValueError, match="0 times, expected once"), mutant.applied(package):
        pass


def test_a_word_that_no_mutant_matches_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no such mutant"]) == 2
    assert capsys.readouterr().err == "no mutant matches no such mutant\n"
