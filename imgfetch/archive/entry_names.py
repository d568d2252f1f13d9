"""Names of the entries of `index.json`, which are in two annotations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imgfetch.archive.image_layout import NAME, REF_NAME
from imgfetch.errors import InvalidReferenceError
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference, is_tag
from imgfetch.text import sanitize


def names(entry: Descriptor) -> tuple[str, ...]:
    """Return the full name of an entry of `index.json`, or else its tag."""
    full = _full_name(entry, NAME) or _full_name(entry, REF_NAME)
    name = str(full) if full else entry.annotations.get(REF_NAME, "")
    return (name,) if name else ()


def odd_names(entry: Descriptor, what: str) -> Iterator[str]:
    """Yield a finding for a name that is malformed, and for two annotations that do not stand for one name."""
    name, other = entry.annotations.get(NAME), entry.annotations.get(REF_NAME)
    full = _full_name(entry, NAME)
    if name is not None and full is None:
        yield f"{what} has the name {name!a}, which is malformed"
    elif full and other is not None and other not in _parts(full) and _full_name(entry, REF_NAME) != full:
        yield f"{what} has two names, {full} and {sanitize(other)}; readers disagree about which one counts"
    elif other and name is None and not is_tag(other) and _full_name(entry, REF_NAME) is None:
        yield f"{what} has the name {other!a}, which is malformed"


def ambiguous_tags(entries: Iterable[Descriptor]) -> Iterator[str]:
    """Yield a finding for each bare tag that is the only name of one entry, and a part of another's."""
    alone: dict[str, Digest] = {}
    for entry in entries:
        if NAME not in entry.annotations and REF_NAME in entry.annotations:
            alone[entry.annotations[REF_NAME]] = entry.digest
    for entry in entries:
        tag = entry.annotations.get(REF_NAME, "")
        if alone.get(tag, entry.digest) != entry.digest:
            yield f"the name {tag} is ambiguous: it refers to different images"


def _parts(name: Reference) -> set[str]:
    """Return the parts of a name that writers repeat as ``ref.name``."""
    digest = f"@{name.digest}" if name.digest else ""
    return {name.tag or "", f"{name.tag or ''}{digest}", digest, digest.removeprefix("@")}


def _full_name(entry: Descriptor, key: str) -> Reference | None:
    text = entry.annotations.get(key, "")
    if not text or (key == REF_NAME and not {"/", ":"} & set(text)):
        return None
    try:
        return Reference.parse(text).with_default_tag()
    except InvalidReferenceError:
        return None
