"""Default settings, and their bounds."""

from __future__ import annotations

from typing import Literal, get_args

ArchiveFormat = Literal["docker", "docker-classic", "oci"]
LayerForm = Literal["original", "plain"]

FORMAT: ArchiveFormat = "docker"
"""The kind of archive."""
LAYERS: tuple[LayerForm, ...] = get_args(LayerForm)
"""How layers stand in an archive: as the registry has them, which is the default, or decompressed."""
PROGRESS = ("auto", "bar", "plain", "json", "none")
"""How progress may be shown: `imgfetch.cli.display.DISPLAYS`, bars, or what fits."""
JOBS = 4
"""Layers that are fetched at a time."""
CACHE_SIZE = 10 * 1024**3
"""Bytes that a cache may grow to."""
MAX_LAYER = 100 * 1024**3
"""Bytes of a decompressed layer at most (S27)."""
MTIME = 1
"""The time of every entry of an archive, in seconds since 1970; GNU tar warns at 0."""
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
"""Seconds between two bytes; a blob that goes on may take as long as it likes (P08)."""
RETRIES = 4
"""Attempts after the first one."""
MAX_WAIT = 60.0
"""Seconds that a server may make us wait at a time."""
LONGEST_WAIT = 6 * 3600.0
"""Seconds that anybody may allow at most."""
