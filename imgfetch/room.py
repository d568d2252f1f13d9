"""Whether there is room for what a plan needs, before any of it is fetched (M19)."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from imgfetch.errors import StorageError
from imgfetch.files import storing
from imgfetch.text import clean, size


def check(needs: Iterable[tuple[Path, int, str]]) -> None:
    """Compare what is needed with what is free, on each file system.

    Args:
        needs: directories that are there, the bytes that will be written there, and what these are.

    Raises:
        StorageError: there is too little room.
    """
    together: dict[int, list[tuple[Path, int, str]]] = {}
    for directory, count, what in needs:
        with storing(directory, "use"):
            together.setdefault(directory.stat().st_dev, []).append((directory, count, what))
    for entries in together.values():
        directory = entries[0][0]
        needed = sum(count for _, count, _ in entries)
        with storing(directory, "use"):
            free = shutil.disk_usage(directory).free
        if needed > free:
            parts = " and ".join(f"{size(count)} for {what}" for _, count, what in entries if count)
            raise StorageError(
                f"no room on the file system of {clean(str(directory))}: {size(needed)} needed ({parts}), "
                f"{size(free)} free",
                hint="free some space (imgfetch cache prune), or choose another --output or --cache-dir",
            )
