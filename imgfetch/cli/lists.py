"""Lists of images: one in each line, with options of its own.

    # a comment
    quay.io/prometheus/busybox:latest                       # another one
    registry.example/team/app:1.4 --platform linux/arm64 --name app:stable

All mistakes of all lists are reported together.
"""

from __future__ import annotations

import codecs
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from imgfetch.archive.wanted import Wanted
from imgfetch.errors import ImgfetchError, InvalidReferenceError, SeveralImagesError
from imgfetch.files import storage_errors
from imgfetch.inputs import STDIN, own_descriptor, read_settings
from imgfetch.oci.names import ImageRequest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.text import quoted, sanitize

MAX_LINES = 10_000
_MAX_LINE = 10_000
_COMMENT = re.compile(r"(?:^|\s)#.*")  # a word may contain the character
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


def is_stdin(name: object) -> bool:
    """Return whether a file's name stands for stdin."""
    return name == "-" or (isinstance(name, (str, Path)) and own_descriptor(name) == 0)


def parse(
    text: str, name: str, convert: Callable[[Sequence[str], str], _Item], mistakes: list[ImgfetchError]
) -> Iterator[_Item]:
    """Yield the converted lines of a list, whose ``name`` is for messages; malformed ones become ``mistakes``."""
    lines, count = text.splitlines(), 0
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
        hint = "write one image in each line, such as alpine:3.20"
        mistakes.append(InvalidReferenceError(f"{name} lists no image", hint=hint))


def _read(files: Iterable[str], convert: Callable[[Sequence[str], str], _Item]) -> list[_Item]:
    found, mistakes, wrong = list[_Item](), list[ImgfetchError](), list[str]()
    for file in files:
        path, shown = (STDIN, "stdin") if file == "-" else (file, sanitize(file))
        content = b""
        if not is_stdin(path) or sys.stdin is not None:
            with storage_errors(shown, "read"):
                content = read_settings(path)
        before = len(mistakes)
        found += parse(_decoded(content), shown, convert, mistakes)
        wrong += [shown] if len(mistakes) > before else []
    if len(mistakes) > 1:
        raise SeveralImagesError(f"{len(mistakes)} mistakes in {', '.join(wrong)}", errors=tuple(mistakes))
    if mistakes:
        raise mistakes[0]
    return found


def _decoded(content: bytes) -> str:
    """Decode a list, which may have a byte order mark, as from PowerShell."""
    encoding = next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), "utf-8")
    return content.decode(encoding, "backslashreplace")


def _image(words: Sequence[str], origin: str) -> ImageRequest:
    """Convert a line's words."""
    options = _options(words[1:])
    reference = Reference.parse(words[0]).with_default_tag()
    platforms = dict.fromkeys(Platform.parse(each) for value in options["--platform"] for each in value.split(","))
    names = {Reference.parse(value).with_default_tag() for value in options["--name"]}
    if len(names) > 1:
        raise InvalidReferenceError("--name is given twice", hint="list the image once for each name")
    name = next(iter(names), None)
    if name and name.digest:
        raise InvalidReferenceError(f"the name of an image in an archive cannot have a digest: {quoted(str(name))}")
    return ImageRequest(reference, tuple(platforms), name, origin)


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
    wanted = Wanted.parse(words[0])
    if wanted.reference is None:
        words = ["x", *words[1:]]
    image = _image(words, origin)
    if wanted.reference is None:
        return Wanted(image.name, wanted.digest, image.platforms)
    return Wanted(image.name or wanted.reference, wanted.digest, image.platforms)
