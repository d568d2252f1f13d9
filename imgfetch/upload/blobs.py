"""The blobs of a push, each in all repositories that need it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import NamedTuple

from imgfetch.errors import NotFoundError
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.mediatypes import is_foreign
from imgfetch.oci.reference import Reference
from imgfetch.progress import Item, Progress
from imgfetch.registry.uploads import Uploads
from imgfetch.store.uploads import UploadNotes
from imgfetch.upload.blob import BlobUpload, Outgoing
from imgfetch.upload.contents import Contents
from imgfetch.upload.results import PushedBlob


class BlobSender(NamedTuple):
    """Sends blobs to the first repository that lacks them, and mounts them in the others.

    Attributes:
        bases: repositories that may have the layers that the archive leaves out.
        is_dry_run: whether it only asks.
    """

    contents: Contents
    uploads: Uploads
    retries: RetryPolicy
    notes: UploadNotes
    progress: Progress
    bases: tuple[str, ...]
    is_dry_run: bool

    def send(self, blob: Descriptor, names: Iterable[str]) -> list[PushedBlob]:
        """Bring a blob to some repositories, and return its fate in each.

        Raises:
            NotFoundError: the archive leaves it out, and a repository lacks it.
        """
        item = Item(str(blob.digest), blob.size)
        self.progress.started(item)
        done = list(self._bring(blob, names, item))
        self.progress.finished(item, cached=not any(each.state == "sent" for each in done))
        return done

    def _bring(self, blob: Descriptor, names: Iterable[str], item: Item) -> Iterator[PushedBlob]:
        has = ""
        for name in names:
            repository = Reference(self.uploads.name, name)
            if self.uploads.has(repository, blob):
                state = "present"
            elif has or self.contents.has(blob):
                state = self._transfer(blob, repository, item, has)
            else:
                state = self._from_base(blob, repository)
            if state:
                has = name
                yield PushedBlob(blob.digest, blob.size, state, name)

    def _transfer(self, blob: Descriptor, repository: Reference, item: Item, has: str) -> str:
        if self.is_dry_run:
            return "mounted" if has else "sent"
        with self.notes.of(repository.name, str(blob.digest)) as note:
            outgoing = Outgoing(self.contents, blob, partial(self.progress.advanced, item))
            upload = BlobUpload(self.uploads, repository, blob, outgoing, note)
            if begun := upload.continued():
                self.progress.resumed(item, begun.offset)
                outgoing.was_sent(begun.offset)
            else:
                begun = self.uploads.begin(repository, blob, has)
            if begun is None:
                return "mounted"
            if not self.contents.has(blob):
                raise self._absent(blob, repository)
            upload.run(begun, self.retries)
            return "sent"

    def _from_base(self, blob: Descriptor, repository: Reference) -> str:
        """Mount a layer that the archive leaves out; return nothing if registries need not have it."""
        for base in self.bases:
            if self.uploads.has(Reference(self.uploads.name, base), blob) and (
                self.is_dry_run or self.uploads.begin(repository, blob, base) is None
            ):
                return "mounted"
        if is_foreign(blob.media_type) and blob.urls:
            return ""
        raise self._absent(blob, repository)

    def _absent(self, blob: Descriptor, repository: Reference) -> NotFoundError:
        return NotFoundError(
            f"{self.contents.name} leaves out {blob.digest}, which {repository.name} lacks",
            url="",
            status=404,
            hint="push the base image to the same registry first, or save the image without --base",
        )
