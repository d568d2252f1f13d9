"""The media types in the documents of an OCI image layout, and the kinds of content that they show."""

from __future__ import annotations

from collections.abc import Iterator

from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.descriptor import Descriptor
from imgfetch.text import quoted


def config_of(manifest: str) -> str:
    """Return the name of a manifest's config in messages."""
    return f"the config of {manifest.removeprefix('the manifest ')}"


def config_type(document: object) -> str | None:
    """Return the media type of a parsed manifest's config as it is written."""
    media_type = strictjson.fields(strictjson.fields(document).get("config")).get("mediatype")
    return media_type if isinstance(media_type, str) else None


def is_artifact(document: object) -> bool:
    """Return whether a parsed manifest's types show that it is an artifact's."""
    own = strictjson.fields(document).get("mediatype")
    media_type = config_type(document) or (own if isinstance(own, str) else "")
    known = mediatypes.CONFIGS | mediatypes.VAGUE_CONFIGS | mediatypes.DOCUMENTS
    return not mediatypes.is_of_images(media_type) and mediatypes.essence(media_type) not in known


def odd_types(document: object, what: str) -> Iterator[str]:
    """Yield a finding for each media type of a parsed document or an entry that readers would not recognize."""
    entries = strictjson.fields(document).get("manifests")
    for each in (document, *(entries if isinstance(entries, list) else ())):
        media_type = strictjson.fields(each).get("mediatype")
        if isinstance(media_type, str) and media_type != mediatypes.essence(media_type):
            yield f"{what} has the media type {quoted(media_type)}, which some readers do not know"


def is_attestation(child: Descriptor) -> bool:
    """Return whether every reader skips it; they go by the platform, not by annotations."""
    return child.is_attestation and not (child.platform and child.platform.is_known)
