from __future__ import annotations

import gzip
import random
import subprocess
import sys
import zlib
from pathlib import Path
from types import ModuleType

import pytest

from imgfetch.layers import inflate
from imgfetch.layers.inflate import GZIP, LIBRARIES, InflateError, Inflater
from tests.oracle import golang

LAYERS = Path(__file__).parents[3] / "fixtures/layers"
TEXT = b" ".join(b"%d" % number for number in range(4000))


def outcome(library: ModuleType, data: bytes, step: int) -> tuple[bytes, bool, bytes] | None:
    """Return the decompressed bytes, whether the end came, and the bytes behind it; nothing if the data is damaged."""
    stream = Inflater(library, GZIP)
    out, rest = b"", data
    try:
        while rest and not stream.eof:
            out += stream.decompress(rest[:step], 5000)
            while not stream.eof and not stream.needs_input:
                out += stream.decompress(b"", 5000)
            rest = rest[step:]
    except InflateError:
        return None
    return out, stream.eof, stream.unused_data + rest


def with_header_fields(data: bytes) -> bytes:
    """Add every optional field to the header of a gzip stream (RFC 1952, section 2.3.1)."""
    header = data[:3] + bytes([2 | 4 | 8 | 16]) + data[4:10]
    header += b"\x05\x00extra" + b"name.tar\0" + b"comment\0"
    return header + (zlib.crc32(header) & 0xFFFF).to_bytes(2, "little") + data[10:]


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)
@pytest.mark.parametrize("step", [1, 7, 1000, 10**6])
def test_a_whole_stream_is_decompressed_wherever_it_is_cut(library: ModuleType, step: int) -> None:
    for data in (gzip.compress(TEXT), gzip.compress(TEXT, 0), with_header_fields(gzip.compress(TEXT))):
        for tail in (b"", b"tail", bytes(20)):
            assert outcome(library, data + tail, step) == (TEXT, True, tail)


@pytest.mark.parametrize("library", LIBRARIES, ids=lambda library: library.__name__)
def test_an_incomplete_huffman_code_is_refused(library: ModuleType) -> None:
    assert outcome(library, (LAYERS / "incomplete-huffman.tar.gz").read_bytes(), 10**6) is None


def test_all_libraries_accept_the_same_streams() -> None:
    rng = random.Random(1)
    data = gzip.compress(TEXT)
    for _ in range(3000):
        bad = bytearray(data)
        for _ in range(rng.randint(1, 3)):
            bad[rng.choice([rng.randrange(10, 120), rng.randrange(len(bad))])] ^= 1 << rng.randrange(8)
        raw = bytes(bad)[: rng.randint(len(bad) - 12, len(bad))]
        results = [outcome(library, raw, rng.choice([100, 10**6])) for library in LIBRARIES]
        assert all((result is None) == (results[0] is None) for result in results), raw.hex()
        whole = [result for result in results if result and result[1]]
        assert len(whole) in (0, len(LIBRARIES))
        assert all(result[0] == TEXT for result in whole), raw.hex()


def test_streams_made_by_chance_are_read_alike_by_all_libraries_wherever_they_are_cut() -> None:
    assert list(golang.compare(1500, 1, None)) == []


def test_without_zlib_ng_zlib_takes_its_place() -> None:
    code = "import sys; sys.modules['zlib_ng'] = None; from imgfetch.layers import inflate; print(inflate.ENGINE)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == f"zlib {zlib.ZLIB_RUNTIME_VERSION}"


def test_the_fastest_library_is_named() -> None:
    assert inflate.ENGINE.startswith(LIBRARIES[0].__name__.rpartition(".")[2].replace("_", "-") + " ")
