"""Lists of referrers for registries without the referrers API.

Source: OCI distribution specification, "Unavailable Referrers API": the client keeps an index under a tag that is made
from the subject's digest.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from imgfetch.archive.image_layout import compact
from imgfetch.errors import VerificationError
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import MAX_MANIFESTS
from imgfetch.oci.reference import Reference
from imgfetch.oci.referrers import list_tag
from imgfetch.registry.uploads import Uploads
from imgfetch.upload.contents import Node

_logger = logging.getLogger(__name__)


def add(uploads: Uploads, repository: Reference, subject: Digest, nodes: Iterable[Node]) -> None:
    """Add manifests to the list of a subject's referrers, unless it has them.

    A tag with anything but such a list is left untouched, with a warning.
    """
    reference = Reference(repository.registry, repository.repository, list_tag(subject))
    raw = uploads.document(reference)
    try:
        listed = _entries(raw, f"the list of referrers {reference}") if raw else []
    except VerificationError as error:
        _logger.warning("%s; it is left untouched, so readers will not find the signatures", error)
        return
    known = {entry.get("digest") for entry in listed}
    new = [_entry(node) for node in nodes if str(node.descriptor.digest) not in known]
    if not new:
        return
    index = {"schemaVersion": 2, "mediaType": mediatypes.OCI_INDEX, "manifests": [*listed, *new]}
    content = compact(index)
    uploads.put(reference, Descriptor.of(content, mediatypes.OCI_INDEX), content)


def _entries(raw: bytes, what: str) -> list[Mapping[str, object]]:
    """Return the entries of a list as they are."""
    members = strictjson.Object(strictjson.loads(raw, what), what)
    if members.text("mediaType") != mediatypes.OCI_INDEX or "manifests" not in members:
        raise VerificationError(f"{what} is not an index")
    entries = members.items_of("manifests")
    if len(entries) >= MAX_MANIFESTS:
        raise VerificationError(f"{what} has {len(entries)} entries")
    return [strictjson.Object(entry, f"an entry of {what}") for entry in entries]


def _entry(node: Node) -> dict[str, object]:
    """Return a descriptor with the type and the annotations, by which readers choose."""
    what = f"the manifest {node.descriptor.digest}"
    members = strictjson.Object(strictjson.loads(node.raw, what), what)
    config = strictjson.fields(members.get("config")).get("mediatype")
    artifact_type = members.text("artifactType") or (config if isinstance(config, str) else "")
    more = {"artifactType": artifact_type, "annotations": members.texts("annotations")}
    return {**node.descriptor.entry(), **{key: value for key, value in more.items() if value}}
