"""The push of an archive: compare it with the registry, and send what that lacks.

Blobs come first, then manifests, those that an index lists before it, and tags last.  So a reader of the registry finds
each tag only when everything below it is there, and a push that was interrupted leaves no broken image.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import TypeVar

from imgfetch import threads
from imgfetch.errors import TagExistsError
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.progress import Item, Progress
from imgfetch.registry.uploads import Uploads
from imgfetch.store.uploads import UploadNotes
from imgfetch.upload import fallback
from imgfetch.upload.blobs import BlobSender
from imgfetch.upload.contents import Contents, Node
from imgfetch.upload.plan import Target
from imgfetch.upload.results import Pushed, PushedBlob, PushedImage, State

AT_A_TIME = 8
SMALL = 1024 * 1024
"""Bytes of blobs of which `AT_A_TIME` are sent at a time."""

_Item = TypeVar("_Item")


@dataclass(eq=False, repr=False)
class Push:
    """The push of some targets to one registry.

    Attributes:
        contents: has the blobs.
        targets: the manifests and indexes with their names.
        bases: repositories that may have the layers that the archive leaves out.
        uploads: the registry's write side.
        retries: the attempts for each blob.
        notes: the uploads of earlier runs.
        progress: receives the blobs.
        jobs: the number of large blobs that are sent at a time; with 1, there is one request at a time.
        force: replace tags that exist with other content, and check images that the registry has.
        stop: ends all requests after a failure.
    """

    contents: Contents
    targets: tuple[Target, ...]
    bases: tuple[str, ...]
    uploads: Uploads
    _: KW_ONLY
    retries: RetryPolicy
    notes: UploadNotes
    progress: Progress
    jobs: int
    force: bool
    stop: Callable[[], None]
    _blobs: list[PushedBlob] = field(default_factory=list)
    _unlisted: dict[tuple[str, Digest], list[Node]] = field(default_factory=lambda: defaultdict(list))

    def run(self) -> Pushed:
        """Send everything that the registry lacks, and return it."""
        states = self._states()
        self._send_blobs(self._missing(states))
        self._send_manifests(self._missing(states, referrers=True))
        self._each(self._unlisted.items(), self._list, AT_A_TIME)
        return self._result(states)

    def rehearse(self) -> Pushed:
        """Return what would be sent, after requests that change nothing."""
        states = self._states()
        self._send_blobs(self._missing(states), is_dry_run=True)
        return self._result(states, is_dry_run=True)

    def _missing(self, states: Mapping[Reference, State], *, referrers: bool = False) -> list[Target]:
        """Return the targets to send; with ``referrers``, also those whose response says whether they are listed."""
        return [
            target
            for target in self.targets
            if self.force or states[target.reference] != "unchanged" or (referrers and target.node.subject)
        ]

    def _result(self, states: Mapping[Reference, State], *, is_dry_run: bool = False) -> Pushed:
        images = (
            PushedImage(target.names, target.reference, target.node.descriptor.digest, states[target.reference])
            for target in self.targets
        )
        return Pushed(tuple(images), tuple(self._blobs), is_dry_run)

    def _states(self) -> dict[Reference, State]:
        """Compare all tags and digests with the registry.

        Raises:
            TagExistsError: a tag exists with other content, and nothing is forced.
        """
        found: dict[Reference, Digest | None] = {}

        def look(target: Target) -> None:
            found[target.reference] = self.uploads.digest(target.reference)
            self.progress.resolving(len(found), len(self.targets), str(target.reference))

        for several in (self.targets[:1], self.targets[1:]):  # the first one alone, for the registry's challenge
            self._each(several, look, AT_A_TIME)
        states: dict[Reference, State] = {}
        for target in self.targets:
            there, own = found[target.reference], target.node.descriptor.digest
            states[target.reference] = "new" if there is None else "unchanged" if there == own else "replaced"
        taken = [str(reference) for reference, state in states.items() if state == "replaced"]
        if taken and not self.force:
            raise TagExistsError(
                f"{self.uploads.name} has other images under {len(taken)} of the names; nothing was pushed",
                references=tuple(taken),
                details=tuple(f"{name} is {found_digest}" for name, found_digest in _named(found, taken)),
                hint="push under other names (--rewrite OLD=NEW, or a prefix), or replace them with --force",
            )
        return states

    def _send_blobs(self, missing: Iterable[Target], *, is_dry_run: bool = False) -> None:
        """Send each blob to all its repositories, large ones first, a few at a time."""
        wanted: dict[Digest, tuple[Descriptor, dict[str, None]]] = {}
        for target in missing:
            for node in target.node.family():
                for blob in node.blobs:
                    wanted.setdefault(blob.digest, (blob, {}))[1][target.reference.repository] = None
        progress = Progress() if is_dry_run else self.progress
        sender = BlobSender(self.contents, self.uploads, self.retries, self.notes, progress, self.bases, is_dry_run)
        progress.planned([Item(str(blob.digest), blob.size) for blob, _ in wanted.values()])
        for is_small, jobs in ((False, self.jobs), (True, AT_A_TIME)):
            several = [each for each in wanted.values() if (each[0].size <= SMALL) is is_small]
            self._each(several, lambda each: self._blobs.extend(sender.send(*each)), jobs)

    def _send_manifests(self, missing: Iterable[Target]) -> None:
        """Store manifests, children first, and tags at the end."""
        several = list(missing)
        below: dict[str, Target] = {}
        for target in several:
            *inner, _ = target.node.family()
            for node in inner:
                own = Reference(self.uploads.name, target.reference.repository, None, node.descriptor.digest)
                below.setdefault(str(own), Target(own, node))
        levels: dict[int, list[Target]] = {}
        for target in below.values():
            levels.setdefault(_height(target), []).append(target)
        for level in sorted(levels):
            self._each(levels[level], self._put, AT_A_TIME)
        for is_tag in (False, True):
            self._each([each for each in several if (each.reference.tag is not None) is is_tag], self._put, AT_A_TIME)

    def _put(self, target: Target) -> None:
        node = target.node
        is_listed = self.uploads.put(target.reference, node.descriptor, node.raw)
        if node.subject and not is_listed:
            self._unlisted[target.reference.repository, node.subject].append(node)

    def _list(self, unlisted: tuple[tuple[str, Digest], list[Node]]) -> None:
        """Add manifests to the list of their subject, because the registry has no such lists."""
        (repository, subject), nodes = unlisted
        fallback.add(self.uploads, Reference(self.uploads.name, repository), subject, nodes)

    def _each(self, items: Iterable[_Item], function: Callable[[_Item], None], jobs: int) -> None:
        """Call a function for each item, several at a time unless all requests come one after the other."""
        jobs = 1 if self.jobs == 1 else jobs
        threads.for_each(items, lambda item, _: function(item), jobs=jobs, name="imgfetch-push", stop=self.stop)


def _named(found: Mapping[Reference, Digest | None], names: Iterable[str]) -> Iterable[tuple[str, Digest | None]]:
    by_name = {str(reference): digest for reference, digest in found.items()}
    return ((name, by_name[name]) for name in names)


def _height(target: Target) -> int:
    """Return the number of levels of manifests below one."""
    node = target.node
    return max((_height(target._replace(node=child)) + 1 for child in node.children), default=0)
