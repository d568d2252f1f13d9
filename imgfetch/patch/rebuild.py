"""The result of a patch, piece by piece."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from imgfetch.errors import VerificationError
from imgfetch.patch.container import Block, PatchReader
from imgfetch.patch.frames import decompress
from imgfetch.patch.layerfile import PIECE, LayerFile, gathered
from imgfetch.patch.script import Script, Take


def rebuilt(patch: PatchReader, layers: Sequence[LayerFile]) -> Iterator[bytes]:
    """Yield the result; ``layers`` are the old ones by number.

    Raises:
        VerificationError: the patch is damaged, or makes another number of bytes than it says.
    """
    size = 0
    for number, block in enumerate(patch.blocks(), 1):
        size += block.script.size
        if size > patch.head.size:
            break
        with patch.naming(f"block {number}/{patch.head.blocks}"):
            content = _content(block, layers)
        yield from _joined(_pieces(block.script, content, layers))
        del content  # before the next one is in memory
    if size != patch.head.size:
        raise VerificationError(
            f"{patch.name} makes an archive of another size", wanted=f"{patch.head.size} bytes", got=f"{size} bytes"
        )


def _content(block: Block, layers: Sequence[LayerFile]) -> memoryview:
    """Return the content of a block's frame."""
    script = block.script
    if not script.content_size:
        if block.frame or script.prefix:
            raise VerificationError("it has a frame or a prefix without content")
        return memoryview(b"")
    return memoryview(decompress(block.frame, gathered(layers, script.prefix), script.content_size))


def _pieces(script: Script, content: memoryview, layers: Sequence[LayerFile]) -> Iterator[bytes]:
    at = 0
    for step in script.steps:
        if isinstance(step, Take):
            for start in range(at, at + step.length, PIECE):
                yield bytes(content[start : min(start + PIECE, at + step.length)])
            at += step.length
        else:
            yield from layers[step.layer].pieces(step.position, step.length)


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Join small pieces, of which a block may have many."""
    waiting, size = list[bytes](), 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
