"""Work on several images at a time, with one error for all that fail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from imgfetch import threads
from imgfetch.errors import ImgfetchError, SeveralImagesError, StorageError
from imgfetch.oci.names import ImageRequest
from imgfetch.oci.reference import Reference
from imgfetch.progress import Progress

AT_A_TIME = 8
_GRACE = 0.5  # seconds for calls to end after `stop`; one that waits for a connection does not

_Result = TypeVar("_Result")


def each(
    images: Sequence[ImageRequest],
    function: Callable[[ImageRequest], _Result],
    *,
    stop: Callable[[], None],
    progress: Progress | None = None,
    is_serial: bool = False,
    failed: Callable[[ImgfetchError], None] | None = None,
) -> list[tuple[ImageRequest, _Result]]:
    """Return all images with the results of a function, in their order.

    The first image comes alone: afterwards the registry's pull limit is known, and perhaps a token is here.

    Args:
        images: they are announced to ``progress``.
        function: it is called for each image.
        stop: ends the calls that are running, after a signal or an error of this machine.
        progress: receives each image when its result is here.
        is_serial: one call at a time.
        failed: receives each error instead of raising it, unless the function fails for all images.

    Raises:
        SeveralImagesError: the function has raised errors for several images.
        ImgfetchError: the error of the only image, with its place.
    """
    progress = progress or Progress()
    results: dict[int, _Result] = {}
    failures: dict[int, ImgfetchError] = {}
    lock = threading.Lock()

    def work(number: int, _: object) -> None:
        image = images[number]
        try:
            result = function(image)
        except StorageError:  # of this machine, and so of every image
            raise
        except ImgfetchError as error:
            failures[number] = error.of_image(image.reference.name, str(image.reference), image.origin)
        else:
            results[number] = result
        with lock:
            progress.resolving(len(results) + len(failures), len(images), str(image.reference))

    progress.resolving(0, len(images), str(images[0].reference))
    work(0, None)
    threads.for_each(
        range(1, len(images)),
        work,
        jobs=1 if is_serial else AT_A_TIME,
        name="imgfetch-resolve",
        stop=stop,
        grace=_GRACE,
    )
    errors = [failures[number] for number in sorted(failures)]
    if errors and (failed is None or not results):
        raise combined(errors, len(images))
    for error in errors:
        if failed:
            failed(error)
    return [(images[number], results[number]) for number in sorted(results)]


@contextmanager
def named(reference: Reference, what: str = "") -> Iterator[None]:
    """Name an image in the errors of the block, unless they do already; ``what`` stands before its name."""
    try:
        yield
    except StorageError:  # of this machine
        raise
    except ImgfetchError as error:
        whole = error.of_image(reference.name, f"{what}{reference}")
        raise whole from whole.__cause__


def combined(errors: Sequence[ImgfetchError], count: int) -> ImgfetchError:
    """Return one error for those of some of ``count`` images."""
    if len(errors) == 1:
        return errors[0]
    return SeveralImagesError(f"{len(errors)} of {count} images failed", errors=tuple(errors))
