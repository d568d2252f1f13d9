"""The save of one archive; `imgfetch.pull.save_each` saves several."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass, replace
from pathlib import Path
from typing import BinaryIO, Self, Unpack

from imgfetch.archive import compressed
from imgfetch.archive.output import Output, opened, regular
from imgfetch.archive.tarlayout import Blob
from imgfetch.defaults import CACHE_SIZE, CONNECTIONS, JOBS, MAX_LAYER
from imgfetch.files import storage_errors
from imgfetch.http.ratelimit import RateLimit
from imgfetch.oci.names import References
from imgfetch.progress import Progress
from imgfetch.pull.downloads import Downloads
from imgfetch.pull.layer import Layer
from imgfetch.pull.make_plan import make_plan
from imgfetch.pull.plan import ArchiveOptions, SaveRequest
from imgfetch.pull.results import Saved, finish
from imgfetch.pull.session import Session, Sessions
from imgfetch.pull.tally import Tally
from imgfetch.pull.write import ExistingArchive, Writer
from imgfetch.store import eviction
from imgfetch.store.blobs import BlobStore
from imgfetch.store.workspace import Workspace, beside


@dataclass(frozen=True, eq=False, repr=False)
class Saving:
    """A request with the settings of its save, which `Client.save` documents; ``tally`` receives the progress."""

    request: SaveRequest
    sessions: Sessions
    tally: Tally
    _: KW_ONLY
    if_changed: bool
    jobs: int
    connections: int
    rate_limit: RateLimit
    cache_dir: str | os.PathLike[str] | None
    cache_size: int
    max_layer_size: int

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if self.jobs < 1:
            raise ValueError(f"jobs must be 1 or more, not {self.jobs}")
        if self.connections < 1:
            raise ValueError(f"connections must be 1 or more, not {self.connections}")

    @classmethod
    def of(
        cls,
        references: References,
        sessions: Sessions,
        *,
        if_changed: bool = False,
        jobs: int = JOBS,
        limit_rate: int | None = None,
        connections: int = CONNECTIONS,
        cache_dir: str | os.PathLike[str] | None = None,
        cache_size: int = CACHE_SIZE,
        max_layer_size: int = MAX_LAYER,
        progress: Progress | None = None,
        **archive: Unpack[ArchiveOptions],
    ) -> Self:
        """Return a save with the options of `Client.save`, and their defaults."""
        return cls(
            SaveRequest.parse(references, **archive),
            sessions,
            Tally(progress or Progress()),
            if_changed=if_changed,
            jobs=jobs,
            connections=connections,
            rate_limit=RateLimit(limit_rate),
            cache_dir=cache_dir,
            cache_size=cache_size,
            max_layer_size=max_layer_size,
        )

    def check_output(self, path: Path | None) -> None:
        """Refuse options that a file, or another output, does not have."""
        if self.request.zstd_window is not None and compressed.compression(path) != "zstd":
            raise ValueError("zstd_window is only for an output whose name ends in .tar.zst")

    def open(self, stack: ExitStack, workspace: Workspace | None) -> Session:
        """Open a session; the stack closes it."""
        spare = (lambda: workspace.folder) if workspace else None
        return self.sessions.open(stack, self.cache_dir, spare, is_serial=self.jobs == 1, rate_limit=self.rate_limit)

    def downloads(
        self,
        session: Session,
        layers: Sequence[Layer],
        *,
        copy: Callable[[Blob, int, bytes], None] | None = None,
        keep_going: bool = False,
    ) -> Downloads:
        """Return the downloads of layers."""
        return Downloads(
            layers,
            session.resolver.source,
            session.store,
            jobs=self.jobs,
            connections=self.connections,
            progress=self.tally,
            tolerance=session.resolver.tolerance,
            retries=session.resolver.retries,
            max_layer_size=self.max_layer_size,
            keep_going=keep_going,
            copy=copy,
        )

    def trim(self, store: BlobStore) -> None:
        """Evict what a cache has room for no more, from a store that is closed."""
        if store.uses_cache:
            eviction.trim(store.root, self.cache_size)


def save(saving: Saving, output: Output) -> Saved:
    """Write an archive of all images; see `Client.save`."""
    with ExitStack() as stack:
        path = regular(output)
        saving.check_output(path)
        stream = None if path else stack.enter_context(opened(output, None))
        workspace = stack.enter_context(beside(path)) if path else None
        session = saving.open(stack, workspace)
        store = session.store
        existing = ExistingArchive.at(path, store) if path and saving.if_changed else None
        session.resolver.expects_documents = existing is not None
        plan = make_plan(saving.request, session.resolver, saving.tally, is_serial=saving.jobs == 1)
        if existing and existing.has(plan, store):
            return Saved.of(plan, existing.path.stat().st_size, is_unchanged=True)
        writer = Writer(plan, store, path)
        layout = writer.prepare(None if saving.jobs == 1 else session.resolver.source)
        out = stream or stack.enter_context(opened(output, workspace and workspace.folders))
        saving.tally.planned(plan.items)
        with saving.downloads(session, writer.layers, copy=writer.copier(layout, out)) as downloads:
            final = writer.transfer(layout, downloads, out, jobs=saving.jobs)
        size = _size(out) if path else final.tar.size
    saving.trim(store)
    saved = finish(plan, final, downloads.contents(plan.layers), size)
    downloaded, cached = saving.tally.share(plan.items)
    return replace(saved, downloaded=downloaded, cached=cached, received=session.registry.received)


def _size(file: BinaryIO) -> int:
    with storage_errors("the output", "write"):
        file.flush()
        return os.fstat(file.fileno()).st_size
