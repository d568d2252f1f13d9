"""The save of an archive for each image, into one directory.

All names are resolved before the first layer is downloaded.  The archives share the store and the downloads, so a blob
of several images is downloaded once.  An archive is written when all its layers are in the store, from its first byte
to its last, so its checksum is known at the end, and an archive that waits for layers needs no open file.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, NamedTuple, cast

from imgfetch import threads
from imgfetch.archive.checksums import CHECKSUMS, HashedOutput, forget_checksums, write_checksums
from imgfetch.archive.output import opened, regular
from imgfetch.errors import ImgfetchError, InvalidReferenceError, StorageError
from imgfetch.files import storage_errors
from imgfetch.oci.names import ImageRequest
from imgfetch.pull.downloads import Downloads
from imgfetch.pull.layer import Key, Layer, shared
from imgfetch.pull.make_plan import make_plans
from imgfetch.pull.plan import Plan, SaveRequest, remembered
from imgfetch.pull.results import Saved, finish
from imgfetch.pull.save import Saving
from imgfetch.pull.session import Session
from imgfetch.pull.together import combined
from imgfetch.pull.write import ExistingArchive, Writer, require_space
from imgfetch.store.workspace import Workspace, beside
from imgfetch.text import sanitize

_GRACE = 0.5  # seconds for the comparison of existing archives to end


class SavedEach(NamedTuple):
    """The archives of several images.

    Attributes:
        archives: by their paths, in the order of the images.
        failures: the errors of images without an archive, with ``keep_going``.
    """

    archives: Mapping[Path, Saved]
    failures: tuple[ImgfetchError, ...] = ()


def save_each(saving: Saving, directory: Path, saved: Callable[[Path, Saved], object]) -> SavedEach:
    """Write an archive for each image; see `Client.save_each`."""
    images = _paths(saving.request, directory)
    for path in (*images, directory / CHECKSUMS):
        saving.check_output(path)
        if regular(path) is None:
            raise StorageError(f"cannot write {sanitize(str(path))}: it is not a regular file")
    with storage_errors(directory, "create"):
        directory.mkdir(parents=True, exist_ok=True)
    failures: list[ImgfetchError] = []
    with ExitStack() as stack:
        workspace = stack.enter_context(beside(directory / CHECKSUMS, keeps=lambda: bool(failures)))
        _require_case(images, workspace)
        session = saving.open(stack, workspace)
        plans = _plans(saving, session, images, failures)
        archives = _Archives(saving, session, workspace, failures, saved)
        archives.save(plans)
        if archives.done:
            write_checksums(directory, {path.name: archives.checksums.get(path) for path in archives.done})
    saving.trim(session.store)
    return SavedEach({path: archives.done[path] for path in images if path in archives.done}, tuple(failures))


def _paths(request: SaveRequest, directory: Path) -> dict[Path, ImageRequest]:
    """Return the path of each archive with its image; an image that is listed twice counts once.

    Raises:
        InvalidReferenceError: two images would have one path.
        SeveralImagesError: there are several such pairs.
    """
    paths: dict[Path, ImageRequest] = {}
    mistakes: list[ImgfetchError] = []
    for image in request.images:
        path = directory / f"{(image.name or request.name or image.reference).file_name}.tar"
        other = paths.setdefault(path, image)
        if other._replace(origin=image.origin) != image:
            mistakes.append(
                InvalidReferenceError(
                    f"{_listed(other)} and {_listed(image)} would both be saved to {sanitize(str(path))}",
                    hint=f"{_advice(other, image)}give one of them another name, with --name in a list",
                )
            )
    if mistakes:
        raise combined(mistakes, len(request.images))
    return paths


def _require_case(images: Mapping[Path, ImageRequest], workspace: Workspace) -> None:
    """Refuse paths that are one where the file system ignores case, as on most USB sticks.

    Raises:
        StorageError: the file system ignores case, and two paths differ only in that.
    """
    found: dict[str, Path] = {}
    for path in images:
        other = found.setdefault(path.name.casefold(), path)
        if other is not path and workspace.ignores_case:
            raise StorageError(
                f"cannot write both {sanitize(str(other))} and {path.name}: the file system ignores case",
                hint="give one of them another name, with --name in a list",
            )


def _advice(first: ImageRequest, second: ImageRequest) -> str:
    """Return how to save the same image for several platforms, or different images in one archive."""
    if first.reference != second.reference:
        return "use -o FILE, or "
    return "write one line with all platforms in --platform, or "


def _listed(image: ImageRequest) -> str:
    """Return an image with the place where it is listed."""
    return f"{image.reference} ({image.origin})" if image.origin else str(image.reference)


def _plans(
    saving: Saving, session: Session, images: Mapping[Path, ImageRequest], failures: list[ImgfetchError]
) -> dict[Path, Plan]:
    """Resolve all images, and return the plan of each archive."""
    paths = {image: path for path, image in images.items()}

    def look(image: ImageRequest) -> None:
        if saving.if_changed:
            ExistingArchive.at(paths[image], session.store)

    session.resolver.expects_documents = saving.if_changed and any(map(Path.is_file, images))
    request = replace(saving.request, images=tuple(paths))
    found = make_plans(request, session.resolver, failures, saving.tally, is_serial=saving.jobs == 1, look=look)
    return {paths[image]: plan for image, plan in found}


class _Archives:
    """Archives that are written while their layers arrive.

    Attributes:
        done: those that are complete.
        checksums: those of the archives that were written.
    """

    def __init__(
        self,
        saving: Saving,
        session: Session,
        workspace: Workspace,
        failures: list[ImgfetchError],
        saved: Callable[[Path, Saved], object],
    ) -> None:
        self._saving = saving
        self._session = session
        self._workspace = workspace
        self._failures = failures
        self._saved = saved
        self._lock = threading.Lock()
        self._received = Counter[str]()
        self.done: dict[Path, Saved] = {}
        self.checksums: dict[Path, str] = {}

    def save(self, plans: Mapping[Path, Plan]) -> None:
        """Write the archives of plans, unless they exist already."""
        if self._saving.if_changed:
            self._for_each(plans, self._compare, grace=_GRACE)
        fresh = {path: plan for path, plan in plans.items() if path not in self.done}
        if fresh:
            self._save(fresh)

    def _save(self, fresh: Mapping[Path, Plan]) -> None:
        """Write the archives of plans."""
        layers = self._reserve(fresh)
        self._saving.tally.planned([layer.item for layer in layers])
        users = Counter(layer.key for plan in fresh.values() for layer in plan.layers)
        keep_going = self._saving.request.keep_going
        with self._saving.downloads(self._session, layers, keep_going=keep_going) as downloads:

            def write(path: Path, plan: Plan, is_over: Callable[[], bool]) -> None:
                try:
                    self._write(path, plan, downloads, is_over)
                except ImgfetchError as error:
                    if isinstance(error, StorageError) or not keep_going:
                        raise
                    self._give_up(plan, error, downloads, users)

            self._for_each(fresh, write, stop=downloads.stop)

    def _for_each(
        self,
        plans: Mapping[Path, Plan],
        function: Callable[[Path, Plan, Callable[[], bool]], None],
        *,
        stop: Callable[[], None] = lambda: None,
        grace: float | None = None,
    ) -> None:
        threads.for_each(
            plans.items(),
            lambda item, is_over: function(*item, is_over),
            jobs=self._saving.jobs,
            name="imgfetch-archive",
            stop=stop,
            grace=grace,
        )

    def _compare(self, path: Path, plan: Plan, is_over: Callable[[], bool]) -> None:
        existing = ExistingArchive.at(path, self._session.store)
        if existing and existing.has(plan, self._session.store) and not is_over():
            with self._lock:
                self._complete(path, Saved.of(plan, path.stat().st_size, is_unchanged=True))

    def _reserve(self, plans: Mapping[Path, Plan]) -> tuple[Layer, ...]:
        """Reserve the blobs of archives, and require the free space; return the blobs, those of the first ones first.

        The archives are laid out again when they are written, because there may be many.
        """
        store = self._session.store
        layers = shared(layer for path, plan in plans.items() for layer in Writer(plan, store, path).layers)
        store.reserve(layer.descriptor.digest for layer in layers)
        layouts = (plan.layout(remembered(plan, store), store) for plan in plans.values())
        size = sum(layout.tar.size for layout in layouts if layout)
        require_space(store, layers, (self._workspace.parent.path, size, "the archives"))
        return layers

    def _write(self, path: Path, plan: Plan, downloads: Downloads, is_over: Callable[[], bool]) -> None:
        def interrupt() -> None:
            if is_over():
                raise StorageError("stopped because another archive failed")

        downloads.wait(plan.layers)
        forget_checksums(path.parent)
        with opened(path, self._workspace.folders) as file:
            out = HashedOutput(file, interrupt)
            writer = Writer(plan, self._session.store, path, is_sequential=True)
            final = writer.transfer(None, downloads, cast(BinaryIO, out), jobs=1)
        saved = finish(plan, final, downloads.contents(plan.layers), out.size)
        with self._lock:
            downloaded, cached = self._saving.tally.share(plan.items)
            self.checksums[path] = out.checksum
            received = self._newly_received()
            self._complete(path, replace(saved, downloaded=downloaded, cached=cached, received=received))

    def _complete(self, path: Path, saved: Saved) -> None:
        self.done[path] = saved
        self._saved(path, saved)

    def _newly_received(self) -> dict[str, int]:
        """Return the bytes that each place has sent since the last archive."""
        before, self._received = self._received, Counter(self._session.registry.received)
        return {name: count - before[name] for name, count in self._received.items()}

    def _give_up(self, plan: Plan, error: ImgfetchError, downloads: Downloads, users: Counter[Key]) -> None:
        """Keep the error of an archive, and download the layers that no other archive needs no more."""
        (image,) = plan.request.images
        with self._lock:
            self._failures.append(error.of_image(image.reference.name, str(image.reference), image.origin))
            users.subtract(layer.key for layer in plan.layers)
            downloads.leave(layer for layer in plan.layers if not users[layer.key])
