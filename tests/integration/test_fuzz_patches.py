"""Patches that are nearly right: `apply` ends in one of our own errors, or in the archive of a second reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from imgfetch.errors import VerificationError
from imgfetch.patch import apply, script
from tests import patchfuzz

CASES = 300


def test_a_patch_made_by_chance_is_refused_by_name_or_is_read_as_another_reader_does() -> None:
    found = patchfuzz.chunk(22, range(CASES))
    assert found.faults == []
    assert found.kinds["applied"] > CASES // 20
    assert len(found.kinds) > 20


def test_the_fuzzer_notices_a_traceback_and_a_patch_that_should_have_been_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with patchfuzz.prepared() as old:
        good = next(
            raw for raw in (patchfuzz.case(old, 1, which) for which in range(99)) if applies(raw, old, tmp_path)
        )
        monkeypatch.setattr(apply, "examine", lambda *_given, **_named: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            patchfuzz.tried(good, old, tmp_path)
        monkeypatch.undo()
        monkeypatch.setattr(apply, "opened_base", lambda *_given: (_ for _ in ()).throw(VerificationError("x")))
        assert patchfuzz.tried(good, old, tmp_path).fault == "the message does not name the patch: x"


def test_the_fuzzer_notices_a_number_that_the_format_does_not_allow(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(script, "MAX_STEPS", 1)
    with patchfuzz.prepared() as old:
        outcomes = [patchfuzz.tried(patchfuzz.case(old, 1, which), old, tmp_path) for which in range(40)]
    assert any(outcome.fault.startswith("a right patch is refused: ") for outcome in outcomes)


def applies(raw: bytes, old: patchfuzz.Old, directory: Path) -> bool:
    return not patchfuzz.tried(raw, old, directory).error
