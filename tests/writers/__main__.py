"""Writes the stored samples anew, by running every writer: ``python -m tests.writers``."""

from __future__ import annotations

import gzip
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests import modern
from tests.engines import docker_registry
from tests.readers import READERS, Engine, installed
from tests.writers import IMAGES, Lab
from tests.writers.packaged import WRITERS
from tests.writers.samples import STORED, stored

_GZIP = b"\x1f\x8b"


@contextmanager
def laboratory(directory: Path) -> Iterator[Lab]:
    """Return a place where writers run, until the block ends."""
    tree = modern.tree(directory)
    running: dict[str, Engine] = {}
    with ExitStack() as stack:

        def started(name: str) -> Engine:
            if name not in running:
                own = Path(tempfile.mkdtemp(dir=directory))
                start = READERS[name].start(own, tree.program if READERS[name].is_modern else installed)
                running[name] = stack.enter_context(start)
            return running[name]

        yield Lab(directory, tree, started)


def main(directory: Path) -> None:
    with docker_registry(directory) as registry, laboratory(directory) as lab:
        references = {name: registry.push(f"verify/{name}", "v1", built) for name, built in IMAGES.items()}
        shutil.rmtree(STORED, ignore_errors=True)
        STORED.mkdir()
        for name, image in stored():
            target = directory / f"{name}-{image}.tar"
            WRITERS[name].write(lab, references[image], target)
            raw = target.read_bytes()
            (STORED / f"{target.name}.gz").write_bytes(raw if raw.startswith(_GZIP) else gzip.compress(raw, mtime=0))
            print(target.name, flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        sys.exit(main(Path(temporary)))
