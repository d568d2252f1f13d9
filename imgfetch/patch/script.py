"""The instructions of a block, as numbers of variable length.

A block makes the next bytes of the result from two sources: parts of old layers, and the content of its frame, whose
prefix is made of parts of old layers, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

from imgfetch.errors import VerificationError
from imgfetch.patch.frames import MAX_CONTENT, MAX_PREFIX

MAX_SCRIPT = 4 * 1024 * 1024
"""Maximum bytes of the instructions of a block."""
MAX_STEPS = 100_000
"""Maximum parts of a block's result, and of its prefix."""
_PART = 4096
"""Bytes that are copied in about the time that a part takes."""
_RATIO = 16
"""Bytes that a patch may have copied for one byte of its result and its old layers: several times what it needs."""
_LITTLE = 1024**3
"""Bytes that any patch may have copied."""
_MAX_DIGITS = 9
"""Maximum bytes of a number: up to 2 ** 63."""
_BITS, _DIGIT, _MORE = 7, 0x7F, 0x80
_SPAN = 1
"""The number before a part of an old layer; an even one is twice the length of a part of the frame's content."""


class Span(NamedTuple):
    """A part of an old layer."""

    layer: int
    position: int
    length: int

    @property
    def end(self) -> int:
        """The position behind it."""
        return self.position + self.length


class Take(NamedTuple):
    """The next bytes of the frame's content."""

    length: int


class Script(NamedTuple):
    """The instructions of a block.

    Attributes:
        prefix: the parts of the frame's prefix.
        steps: the parts of the result.
    """

    prefix: tuple[Span, ...]
    steps: tuple[Span | Take, ...]

    @property
    def content_size(self) -> int:
        """The bytes that come from the frame."""
        return sum(step.length for step in self.steps if isinstance(step, Take))

    @property
    def size(self) -> int:
        """The bytes of the result."""
        return sum(step.length for step in self.steps)

    @property
    def work(self) -> int:
        """The work that a reader has beside the result, in bytes that are copied."""
        return sum(span.length for span in self.prefix) + _PART * (1 + len(self.prefix) + len(self.steps))


def most_work(size: int) -> int:
    """Return the most work that a patch may make, or else a small one could keep its reader busy for days.

    ``size`` is that of the old layers and of the result so far, together: a result that is only claimed costs nothing.
    """
    return _RATIO * size + _LITTLE


def encode(script: Script) -> bytes:
    """Return instructions as bytes.

    Positions count from the end of the part before, in the same layer, so that most of them are small.
    """
    out, ends = bytearray(), dict[int, int]()

    def span(each: Span) -> None:
        moved = each.position - ends.get(each.layer, 0)
        for value in (each.layer, 2 * moved if moved >= 0 else -2 * moved - 1, each.length):
            _put(out, value)
        ends[each.layer] = each.end

    _put(out, len(script.prefix))
    for each in script.prefix:
        span(each)
    for step in script.steps:
        if isinstance(step, Take):
            _put(out, 2 * step.length)
        else:
            _put(out, _SPAN)
            span(step)
    return bytes(out)


def decode(data: bytes, sizes: Sequence[int]) -> Script:
    """Read instructions; ``sizes`` are those of the old layers.

    Raises:
        VerificationError: they are malformed, or go beyond a layer or a bound.
    """
    numbers, ends = _numbers(data), dict[int, int]()

    def span() -> Span:
        layer, moved, length = _next(numbers), _next(numbers), _next(numbers)
        position = ends.get(layer, 0) + (-(moved + 1) // 2 if moved % 2 else moved // 2)
        if layer >= len(sizes) or position < 0 or length < 1 or position + length > sizes[layer]:
            raise VerificationError("it refers to bytes that no old layer has")
        ends[layer] = position + length
        return Span(layer, position, length)

    count = _next(numbers)
    prefix = tuple(span() for _ in range(min(count, MAX_STEPS)))
    script = Script(prefix, () if count > MAX_STEPS else tuple(islice(_steps(numbers, span), MAX_STEPS + 1)))
    if max(count, len(script.steps)) > MAX_STEPS:
        raise VerificationError(f"it has more than {MAX_STEPS} parts")
    if sum(each.length for each in prefix) > MAX_PREFIX or script.content_size > MAX_CONTENT:
        raise VerificationError(f"its frame has more than {MAX_CONTENT} bytes, or the prefix more than {MAX_PREFIX}")
    return script


def _steps(numbers: Iterator[int], span: Callable[[], Span]) -> Iterator[Span | Take]:
    for number in numbers:
        if number == _SPAN:
            yield span()
        elif number % 2 or not number:
            raise VerificationError("it has an unknown instruction")
        else:
            yield Take(number // 2)


def _put(out: bytearray, value: int) -> None:
    """Append a number: seven bits a byte, the lowest first, and the eighth bit in all but the last byte."""
    while value > _DIGIT:
        out.append(value & _DIGIT | _MORE)
        value >>= _BITS
    out.append(value)


def _numbers(data: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in data:
        value |= (byte & _DIGIT) << shift
        shift += _BITS
        if not byte & _MORE:
            if not byte and shift > _BITS:
                raise VerificationError("it has a number that is longer than it need be")
            yield value
            value = shift = 0
        elif shift >= _BITS * _MAX_DIGITS:
            raise VerificationError("it has a number that is too long")
    if shift:
        raise VerificationError("its instructions end early")


def _next(numbers: Iterator[int]) -> int:
    try:
        return next(numbers)
    except StopIteration:
        raise VerificationError("its instructions end early") from None
