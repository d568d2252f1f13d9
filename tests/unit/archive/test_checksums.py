from __future__ import annotations

import hashlib
import io
from pathlib import Path

import pytest

from imgfetch.archive.checksums import HashedOutput, write_checksums


def test_what_is_written_is_hashed_and_counted() -> None:
    file = io.BytesIO()
    output = HashedOutput(file, lambda: None)
    assert [output.write(data) for data in (b"one", b"", b"three")] == [3, 0, 5]
    assert (file.getvalue(), output.size) == (b"onethree", 8)
    assert output.checksum == hashlib.sha256(b"onethree").hexdigest()


def test_a_hashed_output_can_be_interrupted() -> None:
    file = io.BytesIO()

    def interrupt() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        HashedOutput(file, interrupt).write(b"one")
    assert file.getvalue() == b""


def test_only_a_file_whose_checksum_is_unknown_is_read(tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(b"content")
    write_checksums(tmp_path, {"b.tar": None, "a.tar": "1" * 64})
    digest = hashlib.sha256(b"content").hexdigest()
    assert (tmp_path / "SHA256SUMS").read_text() == f"{'1' * 64}  a.tar\n{digest}  b.tar\n"
