"""Whether a text means a file or a reference."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = {".tar.gz": "gzip", ".tgz": "gzip", ".tar.zst": "zstd"}
"""How the names of archives end that are compressed as a whole."""


def is_file(text: str) -> bool:
    """Tell whether a text means a file: one that is there, or that looks like the name of one."""
    looks = text.startswith(("/", "./", "../")) or text.endswith((".tar", *SUFFIXES))
    return looks or Path(text).is_file()
