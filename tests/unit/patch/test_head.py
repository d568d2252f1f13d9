"""The head of a patch: what it needs, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from imgfetch.errors import VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.patch.head import MAX_BASE, Head, NewImage, OldLayer

DIGEST = Digest.of(b"x")
HEAD = Head(
    (OldLayer(DIGEST, 512, "layer 1/1 of x:1"),),
    DIGEST,
    10240,
    (NewImage(("x:2",), DIGEST, "linux/amd64"),),
    (b'{"a":1}', b"", b"\xff"),
    3,
    99,
)


def changed(change: Callable[[dict[str, Any]], object], rest: bytes = b"") -> bytes:
    """Return a head with another JSON document."""
    raw = HEAD.to_bytes()
    end = 4 + int.from_bytes(raw[:4], "little")
    document = json.loads(raw[4:end])
    change(document)
    text = json.dumps(document).encode()
    return len(text).to_bytes(4, "little") + text + raw[end:] + rest


def test_a_head_is_read_as_it_was_written() -> None:
    assert Head.from_bytes(HEAD.to_bytes(), "it") == HEAD


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(more=1),
        lambda document: document.pop("blocks"),
        lambda document: document["base"][0].update(more=1),
        lambda document: document["result"].pop("size"),
        lambda document: document["images"][0].update(more=1),
    ],
)
def test_an_unknown_or_a_missing_key_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(VerificationError, match="lacks keys, or has others"):
        Head.from_bytes(changed(change), "it")


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(documents=[7, 0]),
        lambda document: document.update(documents=[7, 0, 2]),
        lambda document: document.update(documents=[9, -1]),
        lambda document: document.update(documents=[7, True]),
        lambda document: document.update(documents="7"),
        lambda document: document.update(blocks=-1),
        lambda document: document["base"][0].update(size="512"),
        lambda document: document["result"].update(digest="sha256:x"),
    ],
)
def test_a_malformed_value_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    with pytest.raises(VerificationError):
        Head.from_bytes(changed(change), "it")


def test_the_number_of_old_layers_has_a_bound() -> None:
    with pytest.raises(VerificationError, match="more than 4096"):
        Head.from_bytes(changed(lambda document: document.update(base=document["base"] * (MAX_BASE + 1))), "it")


def test_bytes_behind_the_documents_are_refused() -> None:
    with pytest.raises(VerificationError, match="bytes of documents"):
        Head.from_bytes(changed(lambda _: None, b"x"), "it")
