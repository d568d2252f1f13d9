"""Archives over which readers may differ: the image that somebody pinned, and another one that they may load."""

from __future__ import annotations

from tests.hostile.documents import DOCUMENTS
from tests.hostile.findings import APPROVED, expected
from tests.hostile.headers import HEADERS
from tests.hostile.keys import KEYS
from tests.hostile.members import MEMBERS
from tests.hostile.modes import MODES
from tests.hostile.names import NAMES
from tests.hostile.oldest import OLDEST
from tests.hostile.parts import Hostile, Pair
from tests.hostile.platforms import PLATFORM
from tests.hostile.streams import STREAMS

__all__ = ["APPROVED", "GROUPS", "HOSTILE", "Hostile", "Pair", "expected"]

GROUPS = (NAMES, OLDEST, PLATFORM, KEYS, DOCUMENTS, MEMBERS, MODES, HEADERS, STREAMS)
HOSTILE: dict[str, Hostile] = {title: hostile for group in GROUPS for title, hostile in group.items()}
