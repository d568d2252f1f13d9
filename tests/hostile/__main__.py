"""Give archives to readers: ``python -m tests.hostile READER [PART OF A TITLE]...``, as root.

It prints each archive over which somebody could get another image: what the reader then has under the pinned name, and
what `verify` says.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from imgfetch.archive.verify import verify
from imgfetch.errors import ImgfetchError
from tests import modern
from tests.hostile import HOSTILE, Pair
from tests.hostile.fate import GOOD, NOTHING, fate
from tests.readers import READERS, installed


def main(name: str, *parts: str) -> int:
    """Return 1 if a reader has another image after an archive that was approved."""
    titles = [title for title in HOSTILE if not parts or any(part in title for part in parts)]
    wrong = 0
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="h") as directory:  # podman takes no long path
        place, reader = Path(directory), READERS[name]
        programs = modern.tree(place).program if reader.is_modern else installed
        with reader.start(place, programs) as engine:
            for title in titles:
                pair, archive = HOSTILE[title].pair(title), place / "y.tar"
                archive.write_bytes(HOSTILE[title].make(pair))
                found, verdict = fate(engine, archive, pair), verdict_of(archive, pair)
                is_wrong = found not in (GOOD, NOTHING) and verdict == "ok"
                wrong += is_wrong
                print(f"{'WRONG' if is_wrong else '':6}{found:8} {title} | {verdict}", flush=True)
    return wrong > 0


def verdict_of(archive: Path, pair: Pair) -> str:
    try:
        return next(iter(verify(archive, pair.pinned).findings), "ok")
    except ImgfetchError as error:
        return str(error)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
