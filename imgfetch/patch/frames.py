"""zstd frames with a prefix: bytes of old layers, to which the new bytes are compared.

Decompression needs only `zstandard`.  Compression needs the library of Python 3.14, or `backports.zstd` for older
versions, because `zstandard` does not find matches far back in a prefix.
"""

from __future__ import annotations

from types import ModuleType

import zstandard

from imgfetch import shortage
from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.text import installation

MAX_CONTENT = 32 * 1024 * 1024
"""Maximum bytes of a frame's content."""
MAX_PREFIX = 96 * 1024 * 1024
"""Maximum bytes of a frame's prefix."""
MAX_FRAME = MAX_CONTENT + MAX_CONTENT // 128 + 1024
"""Maximum bytes of a frame, for content that cannot be compressed."""
_LEVEL = 9  # level 19 overlooks long matches in a prefix (docs/design.md)
_WINDOW_LOG = 27
_HASH_LOG = 23
"""Places that are remembered, as a power of two: 8 Mi, four times as many as by default."""


def compress(
    content: bytes,
    prefix: bytes,
    library: ModuleType,
    *,
    window_log: int = _WINDOW_LOG,
    has_checksum: bool = False,
) -> bytes:
    """Return content as one frame with its size."""
    parameter = library.CompressionParameter
    options = {
        parameter.compression_level: _LEVEL,
        parameter.window_log: window_log,
        parameter.hash_log: _HASH_LOG,
        parameter.checksum_flag: int(has_checksum),
        parameter.enable_long_distance_matching: 1,
        parameter.dict_id_flag: 0,
    }
    dictionary = library.ZstdDict(prefix, is_raw=True).as_prefix if prefix else None
    compressor = library.ZstdCompressor(options=options, zstd_dict=dictionary)
    compressor.set_pledged_input_size(len(content))
    frame: bytes = compressor.compress(content, mode=compressor.FLUSH_FRAME)
    return frame


def decompress(frame: bytes, prefix: bytes | bytearray, size: int) -> bytes:
    """Return the content of a frame, which has exactly ``size`` bytes.

    Raises:
        VerificationError: the frame is damaged, or has another size.
    """
    dictionary = zstandard.ZstdCompressionDict(prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if prefix else None
    del prefix  # of which the dictionary has a copy
    try:
        parameters = zstandard.get_frame_parameters(frame)
        if parameters.content_size != size:
            raise VerificationError("its frame has another size")
        if parameters.window_size > 1 << _WINDOW_LOG or parameters.dict_id:
            raise VerificationError("its frame has a window or a dictionary that the format does not know")
        return zstandard.ZstdDecompressor(dict_data=dictionary).decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        if shortage.of(error):
            raise MemoryError from error
        raise VerificationError(f"its frame is damaged ({error})") from None


def compression_library() -> ModuleType:
    """Return the library that compresses.

    Raises:
        UnsupportedError: it is not installed.
    """
    try:
        from compression import zstd  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415
    except ImportError:
        try:
            from backports import zstd  # noqa: PLC0415
        except ImportError:
            raise UnsupportedError(
                "making a patch needs Python 3.14 or the library backports.zstd",
                hint=f"{installation('patch')}; applying a patch needs neither",
            ) from None
    found: ModuleType = zstd
    return found
