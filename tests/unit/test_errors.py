"""Errors are complete, and reach another process as they are."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from imgfetch import errors
from imgfetch.errors import ImgfetchError, TransportError

RESPONSE = {"url": "https://registry.example/v2/", "status": 404, "codes": ("MANIFEST_UNKNOWN",)}
PARTICULARS: dict[str, dict[str, Any]] = {
    "NotTlsError": {"host": "registry.example:80"},
    "RefusedError": {"host": "registry.example:80"},
    "RegistryError": RESPONSE,
    "NotFoundError": RESPONSE,
    "UnavailableError": {**RESPONSE, "retry_after": 7.0},
    "RateLimitedError": {**RESPONSE, "retry_after": 7.0},
    "VerificationError": {"wanted": "1 byte", "got": "2 bytes"},
    "CutShortError": {"missing": 3},
    "SeveralImagesError": {"errors": (errors.NotFoundError("no such image", **RESPONSE),)},
    "PlatformNotFoundError": {"wanted": "linux/arm64", "available": ("linux/amd64",)},
    "TagExistsError": {"references": ("registry.example/app:1",)},
    "StorageError": {"path": Path("y.tar")},
}


def kinds(kind: type[ImgfetchError] = ImgfetchError) -> Iterator[type[ImgfetchError]]:
    yield kind
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield from kinds(each)


def shown(error: ImgfetchError) -> object:
    """Return everything that an error says, with that of the errors within it."""
    attributes = {**error.__dict__, "errors": [shown(each) for each in error.__dict__.get("errors", ())]}
    return type(error), error.args, error.tries, attributes


@pytest.mark.parametrize(
    "copied",
    [lambda error: pickle.loads(pickle.dumps(error)), copy.copy, copy.deepcopy],
    ids=["pickle", "copy", "deep"],
)
@pytest.mark.parametrize("kind", list(kinds()), ids=lambda kind: kind.__name__)
def test_an_error_of_a_worker_reaches_the_process_that_waits_for_it(
    kind: type[ImgfetchError], copied: Callable[[ImgfetchError], ImgfetchError]
) -> None:
    error = kind("it failed", **PARTICULARS.get(kind.__name__, {}))
    error = error.replace(hint="try again", tries=9).within("images.txt:3")
    assert str(error).startswith("images.txt:3: it failed")
    assert shown(copied(error)) == shown(error)


NAME, WHAT = "registry.example/app", "layer 1/2 of registry.example/app:1"


@pytest.mark.parametrize(
    ("message", "origin", "says"),
    [
        ("refused", "", f"{WHAT}: refused"),
        (f"{NAME}:1: refused", "", f"{NAME}:1: refused"),
        ("refused", "list.txt:3", f"list.txt:3: {WHAT}: refused"),
        (f"{NAME}:1: refused", "list.txt:3", f"list.txt:3: {NAME}:1: refused"),
        (f"list.txt:3: {NAME}:1: refused", "list.txt:3", f"list.txt:3: {NAME}:1: refused"),
    ],
)
def test_an_error_names_its_image_and_the_place_of_that_once(message: str, origin: str, says: str) -> None:
    error = TransportError(message, hint="try again").of_image(NAME, WHAT, origin)
    assert (str(error), error.hint) == (says, "try again")
