"""Whatever is changed in a signature, it is refused, or the change is one that cosign accepts as well."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from typing import Any

import pytest

from imgfetch.errors import VerificationError
from imgfetch.signatures.policy import Signer
from tests.forgeries import World
from tests.images import Blob
from tests.signing import (
    bundle_by_certificate,
    bundle_by_key,
    bundled,
    by_certificate,
    by_key,
    envelope,
    manifest,
    payload,
    statement,
)
from tests.unit.signatures.test_policy import DIGEST, OTHER, check, identity, key

COUNT = 1500
SIGNATURE, CERTIFICATE, ENTRY = (
    f"dev.{name}"
    for name in ("cosignproject.cosign/signature", "sigstore.cosign/certificate", "sigstore.cosign/bundle")
)
ODD: tuple[object, ...] = (None, "", {}, [], 0, -1, "x", 2**70, True, [None], {"x": 1}, "00", 1.0)
NAMES = ("x", "keyid", "publicKey", "certificate", "messageSignature", "timestampVerificationData", "hint", "log_index")
MEANINGLESS = (
    ".verificationMaterial.publicKey.hint",
    ".verificationMaterial.timestampVerificationData",
    ".dsseEnvelope.signatures[0].keyid",
)
"""Members of a bundle that decide nothing, if they have the right type: a hint, and what is empty."""
NAME = re.compile("(?<=\n\u2014 )\\S+")
"""The name of a signature of a checkpoint, which is found by a part of its key's digest."""
CERTIFICATES = re.compile(b"-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----")


@pytest.fixture(scope="module")
def world() -> World:
    return World(DIGEST, OTHER)


@pytest.mark.parametrize("seed", range(2))
def test_a_change_that_is_accepted_has_no_meaning(seed: int, world: World) -> None:
    chance = random.Random(seed)
    leaf = world.authority.leaf()
    keyed, certified = by_key(payload(DIGEST), world.key), by_certificate(payload(DIGEST), leaf, world.log)
    bundles = (
        (key(world), json.dumps(bundle_by_key(envelope(statement(DIGEST), world.key))).encode()),
        (
            identity(world),
            json.dumps(bundle_by_certificate(envelope(statement(DIGEST), leaf.key), leaf, world.log)).encode(),
        ),
    )
    accepted = 0
    for _ in range(COUNT):
        if chance.randrange(2):
            signer, before = chance.choice(bundles)
            after = changed(chance, before)
            blob, explained = bundled(after), is_meaningless(before, after)
        else:
            signer, good = chance.choice([(key(world), keyed), (identity(world), certified)])
            blob, explained = changed_annotation(chance, good)
        if is_accepted(signer, blob):
            assert explained, (blob.content, blob.extra)
            accepted += 1
    assert accepted > COUNT // 100  # white space, and members that decide nothing


def is_accepted(signer: Signer, blob: Blob) -> bool:
    try:
        check([signer], manifest(blob))
    except VerificationError:
        return False
    return True


def changed_annotation(chance: random.Random, good: Blob) -> tuple[Blob, bool]:
    """Return a signature with another annotation or payload, and whether that has no meaning."""
    annotations = dict(good.extra["annotations"])
    name = chance.choice([*annotations, ""])
    before = annotations[name].encode() if name else good.content
    after = changed(chance, before)
    if not name:
        return Blob(after, good.media_type, extra=good.extra), before == after
    annotations[name] = after.decode(errors="replace")
    explained = before == after
    if name == CERTIFICATE:
        explained = certificate(before) == certificate(after)
    if name == ENTRY:
        explained = has_only_more(before, after)
    return Blob(good.content, good.media_type, extra={"annotations": annotations}), explained


def certificate(pem: bytes) -> bytes:
    """Return the base64 of the first certificate in a text, around which there may be anything."""
    found = CERTIFICATES.search(pem)
    return b"".join(found[1].split()) if found else b""


def is_meaningless(before: bytes, after: bytes) -> bool:
    """Return whether two bundles differ in nothing but what decides nothing."""
    return all(path in MEANINGLESS for path, _ in differences(before, after))


def has_only_more(before: bytes, after: bytes) -> bool:
    """Return whether a log entry differs by more members only, which nobody reads."""
    return all(is_added for _, is_added in differences(before, after))


def differences(before: bytes, after: bytes) -> Iterator[tuple[str, bool]]:
    """Yield the path of each difference of two documents, and whether it is a new member."""
    try:
        found = json.loads(after)
    except ValueError:
        return iter([("", False)])
    return _differences(json.loads(before), found, "")


def _differences(before: Any, after: Any, path: str) -> Iterator[tuple[str, bool]]:
    if isinstance(before, dict) and isinstance(after, dict):
        for name in before.keys() | after.keys():
            if name in before and name in after:
                yield from _differences(before[name], after[name], f"{path}.{name}")
            else:
                yield f"{path}.{name}", name in after
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, (one, other) in enumerate(zip(before, after, strict=True)):
            yield from _differences(one, other, f"{path}[{number}]")
    elif isinstance(before, str) and isinstance(after, str) and NAME.sub("", before) == NAME.sub("", after):
        return
    elif type(before) is not type(after) or before != after:
        yield path, False


def changed(chance: random.Random, content: bytes) -> bytes:
    """Return content with a few bytes or one member replaced, removed or repeated."""
    return (changed_member if chance.randrange(2) else changed_bytes)(chance, content)


def changed_bytes(chance: random.Random, content: bytes) -> bytes:
    start = chance.randrange(len(content))
    end = min(len(content), start + chance.choice([0, 1, 1, 1, 1, chance.randrange(1, 40)]))
    others = [b"", content[start:end] * 2, content[start:end].swapcase(), *map(bytes, ([chance.randrange(256)],))]
    others += [b" ", b"\n", b"=", b"\\", b"-", b"_", b'"', b"{}", b"null", b"9" * 30]
    return content[:start] + chance.choice(others) + content[end:]


def changed_member(chance: random.Random, content: bytes) -> bytes:
    try:
        document = json.loads(content)
    except ValueError:
        return changed_bytes(chance, content)
    place = chance.choice([each for each in _containers(document) if each])
    name = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
    match chance.randrange(4):
        case 0:
            del place[name]
        case 1:
            place[name] = chance.choice(ODD)
        case 2 if isinstance(place, dict):
            place[chance.choice([*NAMES, name.upper()])] = chance.choice(ODD)
        case _:
            text = place[name]
            place[name] = (
                changed_bytes(chance, text.encode()).decode(errors="replace")
                if text and isinstance(text, str)
                else [text]
            )
    return json.dumps(document).encode()


def _containers(value: Any) -> Iterator[Any]:
    """Yield all objects and arrays in a document."""
    if isinstance(value, dict | list):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from _containers(each)
