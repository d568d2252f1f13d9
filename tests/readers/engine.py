"""The duties of a reader, and the parts that readers share."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tests.engines import Command
from tests.tools import tool

Programs = Callable[[str], Command]
"""Returns the beginning of a command that runs a program."""

TIMEOUT = 180.0  # seconds that a command gets


@dataclass(frozen=True)
class Loaded:
    """An image as a reader loaded it from an archive.

    Attributes:
        image_id: the digest of the config.
        digest: the digest of the manifest or index, where the reader keeps it, else empty.
        names: the names that it has in the reader, where the reader keeps any.
    """

    image_id: str
    digest: str = ""
    names: frozenset[str] = frozenset()


class Engine(Protocol):
    """A reader that is ready to read."""

    version: str

    def load(self, archive: Path) -> Loaded:
        """Load an archive of one image.

        Raises:
            ConsumerError: the reader refuses it.
        """
        ...

    def forget(self) -> None:
        """Remove all images."""


class Loader(Engine, Protocol):
    """A reader that keeps images under names."""

    @property
    def load_command(self) -> Command:
        """Loads an archive from stdin."""
        ...

    def read(self, archive: Path) -> str:
        """Load an archive of any number of images, and return the reader's output."""
        ...

    def image_named(self, name: str) -> str:
        """Return which image a name stands for: the digest of its config, or else of its manifest or index."""
        ...


def installed(name: str) -> Command:
    return [tool(name)]


def version_in(text: str) -> str:
    """Return the first version in a text."""
    found = re.search(r"\d+\.\d+(\.\d+)*", text)
    return found[0] if found else ""


def config_digest(content: Callable[[str], str], digest: str) -> str:
    """Return the digest of an image's config, which may be in an index."""
    document = json.loads(content(digest))
    if "config" in document:
        return str(document["config"]["digest"])
    children = document["manifests"]
    amd64 = [child for child in children if child.get("platform", {}).get("architecture") == "amd64"]
    return config_digest(content, (amd64 or children)[0]["digest"])


def answers_to(*command: str | Path) -> Callable[[], bool]:
    def answers() -> bool:
        return subprocess.run(command, capture_output=True, check=False, timeout=TIMEOUT).returncode == 0

    return answers
