"""Default settings, and their bounds."""

from __future__ import annotations

from typing import Literal, get_args

ArchiveFormat = Literal["docker", "docker-classic", "oci"]
LayerForm = Literal["original", "plain"]

FORMAT: ArchiveFormat = "docker"
"""The kind of archive."""
LAYERS: tuple[LayerForm, ...] = get_args(LayerForm)
"""The forms of layers in an archive: as the registry has them, which is the default, or decompressed."""
PROGRESS = ("auto", "bar", "plain", "json", "none")
"""The kinds of progress display; ``auto`` chooses one that fits."""
JOBS = 4
"""Layers that are downloaded at a time."""
CACHE_SIZE = 10 * 1024**3
"""The largest size of a cache, in bytes."""
MAX_LAYER = 100 * 1024**3
"""The largest size of a decompressed layer, in bytes; see docs/registries.md#limits-for-layers."""
MTIME = 1
"""The time of every entry of an archive, in seconds since 1970; GNU tar warns at 0."""
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 60.0
"""The longest time without data, in seconds; the whole download has no limit (docs/registries.md#timeouts)."""
RETRIES = 4
"""Attempts after the first one."""
MAX_WAIT = 60.0
"""The longest wait that a server may request, in seconds."""
LONGEST_WAIT = 6 * 3600.0
"""The largest value of that setting, in seconds."""
