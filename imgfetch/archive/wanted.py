"""The images that an archive must contain, by name, by digest, or by both."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from imgfetch.archive.contents import Archive, ArchivedImage, without_digest
from imgfetch.errors import InvalidReferenceError, VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference

_MAX_NAMED = 5
_MAX_COMPARED = 1000
_HINT = (
    "; the digest of a multi-platform index is present only in archives saved by that digest, "
    "and imgfetch digest --platform prints that of one image"
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image that an archive must contain.

    Attributes:
        reference: its name, with a tag or a digest; ``None`` if a digest under any name will do.
        digest: that of its manifest or of an index that lists it; without a name, the image ID is possible, too.
    """

    reference: Reference | None
    digest: Digest | None

    @classmethod
    def parse(cls, given: Wish) -> Wanted:
        """Read a name or a bare digest.

        Raises:
            InvalidReferenceError: the text is malformed.
        """
        if isinstance(given, Wanted):
            return given
        parsed = _parsed(given) if isinstance(given, str) else given
        if isinstance(parsed, Digest):
            return cls(None, parsed)
        return cls(parsed.with_default_tag(), parsed.digest)

    def __str__(self) -> str:
        """Return the name, or else the digest."""
        return str(self.reference or self.digest)

    def has_name(self, name: str) -> bool:
        """Return whether a name in an archive is this one; without a tag, any name in the repository is."""
        if self.reference is None:
            return True
        try:
            found = Reference.parse(name)
        except InvalidReferenceError:
            return False
        return found.name == self.reference.name and self.reference.tag in (None, found.tag)

    def has_digest(self, image: ArchivedImage) -> bool:
        """Return whether an image has the digest, if there is one."""
        is_id = self.reference is None and self.digest == image.config_digest
        return self.digest is None or is_id or self.digest in image.digests


def _parsed(text: str) -> Reference | Digest:
    try:
        return Digest.parse(text)
    except VerificationError:
        return Reference.parse(text)


Wish = str | Reference | Digest | Wanted


class Answer(NamedTuple):
    """The images that an archive has of those that are wanted.

    Attributes:
        wanted: the name or digest.
        images: the images, for several platforms perhaps.
        finding: the reason if the archive does not contain it, or else an empty text.
    """

    wanted: Wanted
    images: tuple[ArchivedImage, ...]
    finding: str = ""


def answer(wanted: Wanted, archive: Archive, platforms: Iterable[Platform] = ()) -> Answer:
    """Return the images that are wanted, or a finding; there must be one for each platform."""
    named = [image for image in archive.images if wanted.reference is None or any(map(wanted.has_name, image.names))]
    found = tuple(image for image in named if wanted.has_digest(image))
    if not found:
        return Answer(wanted, (), _missing(wanted, archive.images, named))
    if wanted.digest and (finding := _other_content(wanted, found, archive)):
        return Answer(wanted, found, finding)
    for platform in platforms:
        if not any(image.config.platform.fit(platform) is not None for image in found):
            there = ", ".join(dict.fromkeys(str(image.config.platform) for image in found))
            return Answer(wanted, found, f"{wanted} is in the archive only for {there}, not for {platform}")
    return Answer(wanted, found)


def _other_content(wanted: Wanted, found: Sequence[ArchivedImage], archive: Archive) -> str:
    """Return a finding if a reader may choose something without the wanted digest under the image's name."""
    names = {name for image in found for name in image.names}
    is_id = wanted.digest == found[0].config_digest
    digest = next(iter(found[0].digests), None) if is_id else wanted.digest
    for choice in archive.choices:
        is_named = choice.name in names or without_digest(choice.name) in names
        is_relevant = "/" not in choice.name or wanted.has_name(choice.name)
        if is_named and is_relevant and not choice.is_only(digest):
            return (
                f"{choice.name} is an index with other content than {digest}, from which readers choose by platform; "
                f"verify the digest of the index, which imgfetch digest {choice.name} prints"
            )
    return ""


def _missing(wanted: Wanted, images: Sequence[ArchivedImage], named: Sequence[ArchivedImage]) -> str:
    """Return the reason why no image has the name and the digest."""
    with_digest = [image for image in images if wanted.digest and wanted.has_digest(image)]
    if with_digest:
        names = _shortened(_names(with_digest))
        alone = f"; to accept any name, verify the digest alone: {wanted.digest}"
        return f"{wanted} is in the archive only {f'as {names}' if names else 'without a name'}{alone}"
    if wanted.reference and wanted.digest and named:
        digests = _shortened(dict.fromkeys(str(image.digests[0]) for image in named if image.digests))
        return f"{wanted} is not in the archive, which has {digests or 'no digest'} under that name{_HINT}"
    contents = _shortened(_closest(wanted, images)) or "only images without names"
    if wanted.reference is None:
        return f"no image with the digest {wanted} is in the archive, which contains {contents}"
    return f"{wanted} is not in the archive, which contains {contents}"


def _names(images: Iterable[ArchivedImage]) -> list[str]:
    """Return the names of images, without digests; a tag alone is not a name."""
    return sorted({name.partition("@")[0] for image in images for name in image.names if "/" in name})


def _closest(wanted: Wanted, images: Sequence[ArchivedImage]) -> list[str]:
    """Return the names in an archive, those that look like the wanted one first."""
    names = _names(images)
    same = [name for name in names if wanted.reference and name.startswith(f"{wanted.reference.name}:")]
    close = difflib.get_close_matches(str(wanted), names[:_MAX_COMPARED], _MAX_NAMED, cutoff=0.75)
    return list(dict.fromkeys([*same, *close, *names]))


def _shortened(names: Iterable[str]) -> str:
    several = list(names)
    more = f" and {len(several) - _MAX_NAMED} more" if len(several) > _MAX_NAMED else ""
    return ", ".join(several[:_MAX_NAMED]) + more
