"""Ask a containerd, as the kubelet does, for the image that a name stands for.

Only one call of Kubernetes' Container Runtime Interface is needed, so its two messages are encoded here.
"""

from __future__ import annotations

from pathlib import Path

import grpc

_TIMEOUT = 60.0


def image_status(socket: Path, name: str) -> str | None:
    """Return the ID of the image that a pod would run for a name, or nothing if it would have to be pulled."""
    with grpc.insecure_channel(f"unix://{socket}") as channel:
        call = channel.unary_unary("/runtime.v1.ImageService/ImageStatus")
        answer = call(_field(1, _field(1, name.encode())), timeout=_TIMEOUT, wait_for_ready=True)
    image = _first(answer, 1)
    return None if image is None else (_first(image, 1) or b"").decode()


def _field(number: int, value: bytes) -> bytes:
    """Encode a field of bytes, text or a message."""
    return bytes([number << 3 | 2]) + _varint(len(value)) + value


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + _varint(number >> 7)


def _first(message: bytes, number: int) -> bytes | None:
    """Return the first field of this number, which is bytes, text or a message."""
    position = 0
    while position < len(message):
        key, position = _decode(message, position)
        size, position = _decode(message, position)
        if key & 7 == 0:  # a number, which has no size
            continue
        assert key & 7 == 2, message
        if key >> 3 == number:
            return message[position : position + size]
        position += size
    return None


def _decode(message: bytes, position: int) -> tuple[int, int]:
    """Return the varint at a position, and the position behind it."""
    byte, shift, number = 128, 0, 0
    while byte & 128:
        byte = message[position]
        number |= (byte & 127) << shift
        position, shift = position + 1, shift + 7
    return number, position
