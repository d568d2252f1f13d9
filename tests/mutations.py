"""Changes that a mistaken or hostile program, or a bad disk, makes to a JSON document."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any

Json = Any

ODD = [
    None,
    True,
    0,
    -1,
    1,
    2**63,
    10**400,
    1.5,
    "",
    "x",
    "sha256:",
    "sha256:" + "0" * 64,
    "\ud800",
    "a\x00b",
    [],
    {},
    [[]],
]


def places(value: Json) -> Iterator[tuple[Json, Any]]:
    """Yield every container in a document with each of its keys."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from places(inner)


def structurally(chance: random.Random, raw: bytes) -> bytes:
    """Change a document in one to three places, as a mistaken or hostile program would."""
    document = json.loads(raw)
    for _ in range(chance.randint(1, 3)):
        container, key = chance.choice(list(places(document)) or [({"x": 0}, "x")])
        value = container[key]
        match chance.randrange(8):
            case 0:
                del container[key]
            case 1:
                container[key] = chance.choice(ODD)
            case 2:
                container[key] = [value, value]
            case 3:
                container[key] = {"x": value}
            case 4 if isinstance(container, dict):
                container[key.swapcase()] = chance.choice([value, *ODD])
            case 5 if isinstance(value, str):
                container[key] = value.upper() if chance.random() < 0.5 else value[: len(value) // 2]
            case 6 if isinstance(value, int):
                container[key] = value + chance.choice([-1, 1, 512, -(2**70)])
            case _:
                other, name = chance.choice(list(places(document)) or [(container, key)])
                container[key], other[name] = copy.deepcopy(other[name]), copy.deepcopy(value)
    return json.dumps(document).encode()


def bytewise(chance: random.Random, raw: bytes) -> bytes:
    """Change some bytes of a document, as a bad disk would."""
    changed = bytearray(raw)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(changed) + 1)
        match chance.randrange(4):
            case 0:
                changed[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                del changed[at : at + chance.randint(1, 40)]
            case 2:
                changed[at:at] = chance.randbytes(chance.randint(1, 8))
            case _:
                changed[at:at] = changed[at : at + chance.randint(1, 60)]
    return bytes(changed)


CHANGES: Mapping[str, Callable[[random.Random, bytes], bytes]] = {"structure": structurally, "bytes": bytewise}
