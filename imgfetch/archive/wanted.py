"""The images that an archive must contain, by name, by digest, or by both."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from imgfetch.archive.contents import Archive, ArchivedImage, Choice, without_digest
from imgfetch.errors import InvalidReferenceError, VerificationError
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.text import format_some

_DIGITS = re.compile("[0-9a-f]{64}")
_SHORT = re.compile("[0-9a-f]{7,63}")
_MAX_SHOWN = 5
_MAX_COMPARED = 1000
_MAX_SUGGESTIONS = 20
"""Missing images for which names in the archive are listed, as many as are printed."""
_ALONE = "to accept any name, verify the digest alone"
_HINT = (
    "the digest of a multi-platform index is present only in archives saved by that digest: save the image again by "
    "it, for example with the list of imgfetch digest, or verify the digest that imgfetch digest --platform prints"
)
_DECOMPRESSED = (
    "its layers are decompressed, as by save --layers plain or apply, which changes the digest: verify the name alone; "
    "imgfetch apply --expect proves the registry's digest"
)
_NO_DIGEST = "no digest under that name, as after docker save; verify the name alone, or save the image with imgfetch"


@dataclass(frozen=True, slots=True)
class Wanted:
    """An image that an archive must contain.

    Attributes:
        reference: its name, with a tag or a digest; ``None`` if a digest under any name will do.
        digest: that of its manifest or of an index that lists it; without a name, the image ID is possible, too.
        platforms: the platforms for which it must contain the image, in place of those of all images.
    """

    reference: Reference | None
    digest: Digest | None
    platforms: tuple[Platform, ...] = ()

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


_Name = tuple[str, str | None]
"""A repository and a tag; ``None`` is any tag."""
_NONE: dict[int, None] = {}


class Finder:
    """Finds the images in an archive by their names and digests, which are collected once."""

    def __init__(self, archive: Archive, platforms: Sequence[Platform] = ()) -> None:
        """Index an archive; what is wanted must be there for each of the platforms."""
        self._images = archive.images
        self._platforms = platforms
        self._by_name: dict[_Name, dict[int, None]] = {}
        self._by_digest: dict[Digest, dict[int, None]] = {}
        self._by_id: dict[Digest, dict[int, None]] = {}
        self._choices: dict[_Name, list[Choice]] = {}
        self._bare_choices: dict[str, list[Choice]] = {}
        self._suggestions = _MAX_SUGGESTIONS
        for number, image in enumerate(archive.images):
            for name in (each for text in image.names for each in _names_of(text)):
                self._by_name.setdefault(name, {})[number] = None
            for digest in image.digests:
                self._by_digest.setdefault(digest, {})[number] = None
            self._by_id.setdefault(image.config_digest, {})[number] = None
        for choice in archive.choices:
            for name in _names_of(choice.name):
                self._choices.setdefault(name, []).append(choice)
            if "/" not in choice.name:
                self._bare_choices.setdefault(choice.name, []).append(choice)

    def answer(self, wanted: Wanted) -> Answer:
        """Return the images that are wanted, or a finding."""
        named = self._by_name.get(_name_of(wanted.reference), _NONE) if wanted.reference else None
        identified = self._identified(wanted)
        if identified is None:
            numbers: Collection[int] = named or ()
        else:
            numbers = [number for number in identified if named is None or number in named]
        found = tuple(self._images[number] for number in numbers)
        if not found:
            return Answer(wanted, (), self._missing(wanted, named or _NONE, identified or _NONE))
        return Answer(wanted, found, self._other_content(wanted, found) or self._other_platform(wanted, found))

    def _identified(self, wanted: Wanted) -> dict[int, None] | None:
        """Return the images with the digest, or ``None`` if there is none to compare."""
        if wanted.digest is None:
            return None
        by_id = self._by_id if wanted.reference is None else {}
        return self._by_digest.get(wanted.digest) or by_id.get(wanted.digest) or _NONE

    def _other_content(self, wanted: Wanted, found: Sequence[ArchivedImage]) -> str:
        """Return a finding if a reader may choose something without the wanted digest under the image's name."""
        if wanted.digest is None:
            return ""
        is_digest = wanted.digest in self._by_digest
        digest = wanted.digest if is_digest else next(iter(found[0].digests), None)
        names = {name for image in found for name in image.names}
        for choice in self._relevant_choices(wanted, names):
            is_named = choice.name in names or without_digest(choice.name) in names
            if is_named and not choice.is_only(digest):
                origin = f", which imgfetch digest {choice.name} prints" if "/" in choice.name else ""
                return (
                    f"{choice.name} is an index with other content than {digest}, from which readers choose by "
                    f"platform; verify the digest of the index{origin}"
                )
        return ""

    def _relevant_choices(self, wanted: Wanted, names: Iterable[str]) -> Iterator[Choice]:
        """Yield the choices under the wanted name, or under any of the names; and under bare tags."""
        for name in names:
            yield from self._bare_choices.get(name, ())
        of_names = (
            [_name_of(wanted.reference)] if wanted.reference else [each for text in names for each in _names_of(text)]
        )
        for of_name in of_names:
            yield from self._choices.get(of_name, ())

    def _other_platform(self, wanted: Wanted, found: Sequence[ArchivedImage]) -> str:
        for platform in wanted.platforms or self._platforms:
            if not any(image.config.platform.fit(platform) is not None for image in found):
                there = dict.fromkeys(str(image.config.platform) for image in found)
                only = f"{wanted} is in the archive only for {_shortened(there)}, not for {platform}"
                return f"{only}{platform.suggestion(there)}"
        return ""

    def _missing(self, wanted: Wanted, named: Iterable[int], identified: Iterable[int]) -> str:
        """Return the reason why no image has both the name and the digest."""
        if identified:
            names = _shortened(_full_names(self._images[number] for number in identified))
            where = f"as {names}" if names else "without a name"
            return f"{wanted} is in the archive only {where}; {_ALONE}: {wanted.digest}"
        if named:
            digests = dict.fromkeys(str(digest) for number in named for digest in self._images[number].digests[:1])
            hint = _DECOMPRESSED if all(self._images[number].is_plain for number in named) else _HINT
            there = f"{_shortened(digests)} under that name; {hint}" if digests else _NO_DIGEST
            return f"{wanted} is not in the archive, which has {there}"
        if digest := self._abbreviated(wanted):
            return f"{wanted} is not in the archive; if it is the beginning of a digest, write {digest}"
        contents = self._suggested(wanted)
        if wanted.reference is None:
            return f"no image with the digest {wanted} is in the archive{contents}"
        return f"{wanted} is not in the archive{contents}"

    @cached_property
    def _names(self) -> list[str]:
        return _full_names(self._images)

    def _abbreviated(self, wanted: Wanted) -> Digest | None:
        """Return the digest in the archive whose first digits were given, as docker shows them, in place of a name."""
        name = str(wanted.reference or "").removeprefix("docker.io/library/").removesuffix(":latest")
        is_short = wanted.digest is None and _SHORT.fullmatch(name)
        digests = (*self._by_digest, *self._by_id) if is_short else ()
        return next((digest for digest in digests if digest.encoded.startswith(name)), None)

    def _suggested(self, wanted: Wanted) -> str:
        """Return names in the archive: those that look like the wanted one first, and later only its other tags."""
        if not self._suggestions:
            return ""
        is_first = self._suggestions == _MAX_SUGGESTIONS
        self._suggestions -= 1
        own = (f"{wanted.reference.name}:", f"{wanted.reference.name}@") if wanted.reference else ()
        same = [name for name in self._names if name.startswith(own)]
        if not is_first:
            return f", which contains {_shortened(same)}" if same else ""
        close = difflib.get_close_matches(str(wanted), self._names[:_MAX_COMPARED], _MAX_SHOWN, cutoff=0.75)
        shown = _shortened(dict.fromkeys([*same, *close, *self._names]))
        return f", which contains {shown or 'only images without names'}"


def _parsed(text: str) -> Reference | Digest:
    """Parse a digest or a name; a mistyped digest would pass for an image called ``sha256``."""
    if _DIGITS.fullmatch(text):
        raise InvalidReferenceError("a digest begins with its algorithm", hint=f"write sha256:{text}")
    try:
        return Digest.parse(text)
    except VerificationError as error:
        if text.startswith(("sha256:", "sha512:")):
            raise InvalidReferenceError(str(error)) from None
        return Reference.parse(text)


def _name_of(reference: Reference) -> _Name:
    return reference.name, reference.tag


def _names_of(text: str) -> tuple[_Name, ...]:
    """Return the names that stand for a full name in an archive; a bare tag is not a name."""
    try:
        reference = Reference.parse(text) if "/" in text else None
    except InvalidReferenceError:
        return ()
    return tuple(dict.fromkeys([(reference.name, None), _name_of(reference)])) if reference else ()


def _full_names(images: Iterable[ArchivedImage]) -> list[str]:
    """Return the full names of images: with a tag, or else with a digest."""
    found: set[str] = set()
    for image in images:
        names = {without_digest(name) for name in image.names if "/" in name}
        tagged = {name.rpartition(":")[0] for name in names if "@" not in name}
        found |= {name for name in names if "@" not in name or name.partition("@")[0] not in tagged}
    return sorted(found)


def _shortened(names: Collection[str]) -> str:
    return format_some(names, _MAX_SHOWN)
