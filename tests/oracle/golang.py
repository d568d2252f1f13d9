"""Comparison of imgfetch with Go's standard library on gzip streams made by chance.

Each is given to imgfetch in pieces of any length, and with each library.
"""

from __future__ import annotations

import random
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from imgfetch.errors import VerificationError
from imgfetch.layers import inflate
from imgfetch.layers.compression import decompressor
from imgfetch.layers.windows import WINDOWS
from tests.oracle.program import built
from tests.oracle.streams import mutated, stream

_ANSWER = struct.Struct(">?II")
_BATCH = 500


@dataclass(frozen=True)
class Outcome:
    """The output of a library for a stream.

    Attributes:
        plain: the length and the CRC-32 of what came out, if it accepts the stream.
        oddity: the reason why some readers refuse it, or empty.
    """

    plain: tuple[int, int] | None
    oddity: str = ""


def of_imgfetch(data: bytes, steps: Iterator[int]) -> Outcome:
    """Decompress a stream that arrives in pieces of these lengths."""
    decoder, count, crc, at = decompressor("gzip", WINDOWS.lease()), 0, 0, 0
    try:
        while at < len(data):
            step = next(steps)
            for piece in decoder.feed(data[at : at + step]):
                count, crc = count + len(piece), zlib.crc32(piece, crc)
            at += step
        return Outcome((count, crc), decoder.finish() or "")
    except VerificationError:
        return Outcome(None)


def disagreement(ours: Outcome, go: Outcome) -> str:
    """Return the rule that imgfetch breaks, or nothing."""
    if go.plain and not ours.plain:
        return "Go accepts a stream that imgfetch refuses"
    if ours.plain and not ours.oddity and ours != go:
        return "imgfetch finds nothing odd about a stream that Go refuses or reads differently"
    if ours.plain and go.plain and ours.plain != go.plain:
        return "imgfetch and Go read a stream differently"
    return ""


@contextmanager
def golang() -> Iterator[Callable[[Sequence[bytes]], list[Outcome]]]:
    """Yield a function that asks Go."""
    program = built([Path(__file__).with_name("gzip.go")])
    with subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin
        assert process.stdout

        def ask(streams: Sequence[bytes]) -> list[Outcome]:
            assert process.stdin
            assert process.stdout
            answers = []
            for data in streams:
                process.stdin.write(struct.pack(">I", len(data)) + data)
                process.stdin.flush()
                is_accepted, count, crc = _ANSWER.unpack(process.stdout.read(_ANSWER.size))
                answers.append(Outcome((count, crc) if is_accepted else None))
            return answers

        yield ask
        process.stdin.close()


def compare(count: int, seed: int, ask: Callable[[Sequence[bytes]], list[Outcome]] | None) -> Iterator[str]:
    """Yield a sentence for each of ``count`` streams that are read differently by two libraries, or by Go."""
    rng = random.Random(seed)
    for _ in range(0, count, _BATCH):
        streams = [mutated(rng, stream(rng)) for _ in range(min(_BATCH, count))]
        answers = ask(streams) if ask else [None] * len(streams)
        for data, go in zip(streams, answers, strict=True):
            results = [_by(library, data, rng) for library in inflate.LIBRARIES]
            if any(result != results[0] for result in results):
                yield f"the libraries differ: {results}: {data.hex()}"
            if go and (rule := disagreement(results[0], go)):
                yield f"{rule}: {results[0]}, {go}: {data.hex()}"


def _by(library: object, data: bytes, rng: random.Random) -> Outcome:
    longest = rng.choice([1, 7, 40, 600, 10**6]) if len(data) < 10**4 else 10**6
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inflate, "LIBRARIES", (library,))
        return of_imgfetch(data, iter(lambda: rng.randint(1, longest), 0))
