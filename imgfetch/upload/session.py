"""A push from its start: the archive is verified before the registry receives the first request."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TypedDict

from imgfetch.archive.stored import Reading, examined
from imgfetch.archive.streams import silently
from imgfetch.archive.verify import Verified
from imgfetch.defaults import JOBS
from imgfetch.errors import VerificationError
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci.reference import Reference
from imgfetch.progress import Progress
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.client import Registry
from imgfetch.registry.endpoints import Endpoint
from imgfetch.registry.opening import registry_at
from imgfetch.registry.uploads import Uploads
from imgfetch.store.uploads import UploadNotes
from imgfetch.store.workspace import temporary
from imgfetch.tolerance import Tolerance
from imgfetch.upload.contents import Contents
from imgfetch.upload.names import Destination, Rewrite
from imgfetch.upload.plan import targets
from imgfetch.upload.push import Push
from imgfetch.upload.results import Pushed

_MAX_FINDINGS = 20

Rewrites = str | Rewrite | Iterable[str | Rewrite]


class PushOptions(TypedDict, total=False):
    """The optional arguments of `Client.push`, for functions that pass them on."""

    rewrite: Rewrites
    force: bool
    allow_digest_change: bool
    dry_run: bool
    jobs: int
    cache_dir: str | os.PathLike[str] | None
    progress: Progress | None
    reading: Reading | None


@dataclass(frozen=True, eq=False, repr=False)
class Pusher:
    """Pushes archives, with the settings of a `Client`, which documents them."""

    config: RegistryConfig
    retries: RetryPolicy
    _: KW_ONLY
    timeout: float
    is_strict: bool

    def push(
        self,
        archive: str | os.PathLike[str],
        destination: str,
        *,
        rewrite: Rewrites = (),
        force: bool = False,
        allow_digest_change: bool = False,
        dry_run: bool = False,
        jobs: int = JOBS,
        cache_dir: str | os.PathLike[str] | None = None,
        progress: Progress | None = None,
        reading: Reading | None = None,
    ) -> Pushed:
        """Push all images of an archive; see `Client.push`."""
        if jobs < 1:
            raise ValueError(f"jobs must be 1 or more, not {jobs}")
        place = Destination.parse(destination, rewrite)
        with ExitStack() as stack:
            spools = lambda: stack.enter_context(temporary()).unnamed()  # noqa: E731
            found, stored = stack.enter_context(examined(archive, spools, reading or silently))
            _require_sound(found.verified, stored.name)
            contents = Contents(found, stored)
            several = targets(contents, place, allow_digest_change=allow_digest_change)
            retries = self.retries.fresh()
            registry = stack.enter_context(self._registry(several[0].reference, retries))
            notes = UploadNotes(Path(cache_dir) if cache_dir and not dry_run else None)
            stack.callback(notes.close)
            push = Push(
                contents,
                several,
                place.repositories(contents.bases),
                Uploads(registry, retries),
                retries=retries,
                notes=notes,
                progress=progress or Progress(),
                jobs=jobs,
                force=force,
                stop=registry.abort,
            )
            return push.rehearse() if dry_run else push.run()

    def _registry(self, reference: Reference, retries: RetryPolicy) -> Registry:
        """Return the registry itself, never a mirror."""
        *_, endpoint = self.config.mirrors.endpoints(reference)
        if endpoint.renamed(reference) != reference or endpoint.path:
            endpoint = Endpoint(reference.registry, reference.repository, insecure=endpoint.insecure, is_mirror=False)
        return registry_at(
            endpoint,
            self.config,
            retries=retries,
            timeout=self.timeout,
            tolerance=Tolerance(strict=self.is_strict),
            pushes=True,
        )


def _require_sound(verified: Verified, name: str) -> None:
    """Refuse an archive with findings, of which nothing is pushed."""
    if verified.findings:
        first, *more = verified.findings
        message = first if first.startswith(f"{name} ") else f"{name}: {first}"
        raise VerificationError(
            f"{message}; nothing was pushed",
            details=tuple(more[:_MAX_FINDINGS]),
            hint="copy or download the file again" if verified.is_damaged or verified.is_cut_short else None,
        )
