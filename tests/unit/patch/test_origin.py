"""The registry's documents in a patch: read once, whatever lists them."""

from __future__ import annotations

import json

import pytest

from imgfetch.oci import mediatypes
from imgfetch.oci.digest import Digest
from imgfetch.patch import origin
from imgfetch.patch.origin import Origins
from tests.images import hello, image, sha256

IMAGE = image(hello())


def listing(document: bytes, media_type: str, times: int) -> bytes:
    """Return an index that lists a document several times."""
    one = {"mediaType": media_type, "digest": sha256(document), "size": len(document)}
    return json.dumps({"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": [one] * times}).encode()


def test_a_document_that_is_listed_a_million_times_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = [IMAGE.raw]
    for media_type in (mediatypes.OCI_MANIFEST, mediatypes.OCI_INDEX, mediatypes.OCI_INDEX):
        documents.append(listing(documents[-1], media_type, 1000))
    origins, parse, asked = Origins(documents), origin.parse_document, []
    monkeypatch.setattr(
        origin, "parse_document", lambda *given, **named: asked.append(given[2]) or parse(*given, **named)
    )
    assert origins._image_ids(Digest.of(documents[-1])) == {Digest.parse(IMAGE.config.digest)}
    assert len(asked) == len(documents)
