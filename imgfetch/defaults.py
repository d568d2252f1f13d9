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
MIN_RATE = 1000
"""The lowest limit for the rate of a download, in bytes a second; below it a download would take days."""
CONNECTIONS = 8
"""Connections to one registry or mirror, at most; see docs/registries.md#several-connections."""
CACHE_SIZE = 10 * 1024**3
"""The largest size of a cache, in bytes."""
MAX_LAYER = 100 * 1024**3
"""The largest size of a decompressed layer, in bytes; see docs/registries.md#limits-for-layers."""
ZSTD_WINDOW = 128 * 1024**2
"""The bytes in which a `.tar.zst` archive refers to earlier content; all readers of zstd accept as many."""
ZSTD_WINDOWS = (1024**2, 2 * 1024**3)
"""The smallest and the largest value of that setting."""
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
NOTICE = 25
"""The level of log records that every user should see unless quiet, and that are no warnings."""
