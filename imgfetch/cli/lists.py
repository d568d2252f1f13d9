"""Lists of images: one in each line, with options of its own.

    # a comment
    quay.io/prometheus/busybox:latest                       # another one
    registry.example/team/app:1.4 --platform linux/arm64 --name app:stable

All mistakes of all lists are reported together.
"""

from __future__ import annotations

import codecs
import errno
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from imgfetch.cli.parse import is_archive
from imgfetch.errors import ImgfetchError, InvalidReferenceError, SeveralImagesError, StorageError
from imgfetch.files import storage_errors
from imgfetch.inputs import STDIN, own_descriptor, read_settings
from imgfetch.oci import names
from imgfetch.oci.names import ImageRequest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.text import quoted, sanitize

if TYPE_CHECKING:
    from imgfetch.archive.wanted import Wanted

MAX_LINES = 10_000
_MAX_LINE = 10_000
_COMMENT = re.compile(r"(?:^|\s)#.*")  # a word may contain the character
_HINT = "write one image in each line, such as alpine:3.20"
_OPTIONS = ("--platform", "--name")
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16", codecs.BOM_UTF8: "utf-8-sig"}

_Item = TypeVar("_Item")


def read_images(files: Iterable[str]) -> list[ImageRequest]:
    """Return the images in files, in order; ``-`` is stdin.

    Raises:
        InvalidReferenceError: a line is malformed, or a file is empty or not a list.
        SeveralImagesError: several lines are malformed.
    """
    return _read(files, _image)


def read_wanted(files: Iterable[str]) -> list[Wanted]:
    """Return what an archive must contain: the images in files, by the names that an archive of the list would have.

    A line may also be a digest alone.
    """
    return _read(files, _wanted)


def is_pinned(content: bytes) -> bool:
    """Return whether a file is a list in which every image has a digest."""
    mistakes: list[ImgfetchError] = []
    images = list(parse(_decoded(content), "", _image, mistakes))
    return not mistakes and all(image.reference.digest for image in images)


def shard(images: Sequence[ImageRequest], number: int, count: int) -> list[ImageRequest]:
    """Return the images of one of ``count`` shards, of which the first is number 1; together they are all images.

    Images are dealt out in turn, each once.  So an image that is added at the end changes no other one's shard.
    """
    distinct: dict[ImageRequest, ImageRequest] = {}
    for image in images:
        distinct.setdefault(image._replace(origin=""), image)
    return list(distinct.values())[number - 1 :: count]


def is_stdin(name: object) -> bool:
    """Return whether a file's name stands for stdin."""
    return name == "-" or (isinstance(name, (str, Path)) and own_descriptor(name) == 0)


def parse(
    text: str, name: str, convert: Callable[[Sequence[str], str], _Item], mistakes: list[ImgfetchError]
) -> Iterator[_Item]:
    """Yield the converted lines of a list, whose ``name`` is for messages; malformed ones become ``mistakes``."""
    lines, count = text.splitlines(), 0
    if "\0" in text:
        mistakes.append(InvalidReferenceError(f"{name} is not a list of images, but binary", hint=_HINT))
        return
    if len(lines) > MAX_LINES or any(len(line) > _MAX_LINE for line in lines):
        mistakes.append(
            InvalidReferenceError(f"{name} is not a list of images: it has too many lines, or lines that are too long")
        )
        return
    for number, line in enumerate(lines, 1):
        origin = f"{name}:{number}"
        if words := _COMMENT.sub("", line).split():
            count += 1
            try:
                yield convert(words, origin)
            except ImgfetchError as error:
                mistakes.append(error.within(origin))
    if not count:
        mistakes.append(InvalidReferenceError(f"{name} lists no image", hint=_HINT))


def _read(files: Iterable[str], convert: Callable[[Sequence[str], str], _Item]) -> list[_Item]:
    found, mistakes, wrong = list[_Item](), list[ImgfetchError](), list[str]()
    for file in files:
        path, shown = (STDIN, "stdin") if file == "-" else (file, sanitize(file))
        content = b""
        if not is_stdin(path) or sys.stdin is not None:
            with _list_errors(shown):
                content = read_settings(path)
        before = len(mistakes)
        found += parse(_decoded(content), shown, convert, mistakes)
        wrong += [shown] if len(mistakes) > before else []
    if len(mistakes) > 1:
        raise SeveralImagesError(f"{len(mistakes)} mistakes in {', '.join(wrong)}", errors=tuple(mistakes))
    if mistakes:
        raise mistakes[0]
    return found


@contextmanager
def _list_errors(shown: str) -> Iterator[None]:
    """Raise a `StorageError` for a file that cannot be read, or is not a list."""
    try:
        with storage_errors(shown, "read"):
            yield
    except StorageError as error:
        cause = error.__cause__
        if isinstance(cause, OSError) and cause.errno == errno.EINVAL:  # it does not have the form of a list
            raise error.replace(hint=f"a list of images is a text file: {_HINT}") from cause
        raise


def _decoded(content: bytes) -> str:
    """Decode a list, which may have a byte order mark, as from PowerShell."""
    encoding = next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), "utf-8")
    return content.decode(encoding, "backslashreplace")


def _image(words: Sequence[str], origin: str) -> ImageRequest:
    """Convert a line's words."""
    options = _options(words[1:])
    if is_archive(words[0]):
        raise InvalidReferenceError(f"{quoted(words[0])} looks like a file, not an image")
    reference = Reference.parse(words[0]).with_default_tag()
    platforms = dict.fromkeys(Platform.parse(each) for value in options["--platform"] for each in value.split(","))
    given = set(map(names.name, options["--name"]))
    if len(given) > 1:
        raise InvalidReferenceError("--name is given twice", hint="list the image once for each name")
    return ImageRequest(reference, tuple(platforms), next(iter(given), None), origin)


def _options(words: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of each option."""
    rest = list(words)
    options: dict[str, list[str]] = {option: [] for option in _OPTIONS}
    while rest:
        option, equals, value = rest.pop(0).partition("=")
        if option not in options:
            raise InvalidReferenceError(
                f"{quoted(option)} after the image is neither {' nor '.join(_OPTIONS)}",
                hint="write one image in each line; # begins a comment",
            )
        value = value if equals else rest.pop(0) if rest else ""
        if not value:
            raise InvalidReferenceError(f"{option} has no value")
        options[option].append(value)
    return options


def _wanted(words: Sequence[str], origin: str) -> Wanted:
    from imgfetch.archive.wanted import Wanted  # noqa: PLC0415

    wanted = Wanted.parse(words[0])
    if wanted.reference is None:
        words = ["x", *words[1:]]
    image = _image(words, origin)
    if wanted.reference is None:
        return Wanted(image.name, wanted.digest, image.platforms)
    return Wanted(image.name or wanted.reference, wanted.digest, image.platforms)
