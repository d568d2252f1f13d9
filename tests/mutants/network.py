"""Mutants of the checks on requests, retries and resumed downloads."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = ()
