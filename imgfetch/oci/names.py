"""Conversion of a caller's images and platforms: one or many, each as text or parsed.

Text is parsed by `Reference.parse` and `Platform.parse`, with their errors.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple, TypeVar

from imgfetch.errors import InvalidReferenceError
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.text import quoted


class ImageRequest(NamedTuple):
    """An image with options of its own.

    Attributes:
        reference: the image.
        platforms: its platforms, in place of those of all images.
        name: its name in an archive, if not its reference.
        origin: the place where it is listed, such as ``images.txt:3``, for messages.
    """

    reference: Reference
    platforms: tuple[Platform, ...] = ()
    name: Reference | None = None
    origin: str = ""


References = str | Reference | ImageRequest | Iterable[str | Reference | ImageRequest]
Platforms = str | Platform | Iterable[str | Platform]

_T = TypeVar("_T")


def one_or_many(given: str | _T | Iterable[str | _T]) -> tuple[str | _T, ...]:
    """Return one value or several as a tuple; a text or a path is one value."""
    if isinstance(given, Iterable) and not isinstance(given, (str, bytes, os.PathLike)):
        return tuple(given)
    return (given,)


def reference(given: str | Reference) -> Reference:
    """Return a reference."""
    return Reference.parse(given) if isinstance(given, str) else given


def name(given: str | Reference) -> Reference:
    """Return an image's name in an archive, with a default tag.

    Raises:
        InvalidReferenceError: it has a digest.
    """
    named = reference(given).with_default_tag()
    if named.digest:
        raise InvalidReferenceError(f"the name of an image in an archive cannot have a digest: {quoted(str(named))}")
    return named


def images(given: References) -> tuple[ImageRequest, ...]:
    """Return one or more images, with default tags.

    Raises:
        ValueError: the list is empty.
    """
    requests: tuple[str | Reference | ImageRequest, ...]
    requests = (given,) if isinstance(given, ImageRequest) else one_or_many(given)
    several = tuple(map(_request, requests))
    if not several:
        raise ValueError("the list of references is empty; give at least one")
    return several


def _request(given: str | Reference | ImageRequest) -> ImageRequest:
    request = given if isinstance(given, ImageRequest) else ImageRequest(reference(given))
    return request._replace(reference=request.reference.with_default_tag())


def platforms(given: Platforms | None) -> tuple[Platform, ...]:
    """Return platforms without duplicates; none for ``None``."""
    several = one_or_many(given) if given is not None else ()
    return tuple(dict.fromkeys(Platform.parse(each) if isinstance(each, str) else each for each in several))


def platform(given: Platforms | None) -> Platform | None:
    """Return a single platform, or ``None``.

    Raises:
        ValueError: there are several.
    """
    several = platforms(given)
    if len(several) > 1:
        raise ValueError(f"expected one platform, got {', '.join(map(str, several))}")
    return several[0] if several else None
