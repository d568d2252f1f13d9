"""A clock, a body and a registry for unit tests, which do what they are told and remember what they were asked."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from imgfetch.errors import NotFoundError
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Source
from tests.images import Blob, Built


@dataclass
class Clock:
    """The time, which passes when a test says so."""

    now: float = 1000.0


@dataclass
class FakeBody:
    """A body that comes in pieces.

    Attributes:
        step: the bytes of a piece; by default there are 32 pieces.
        between: called between two pieces.
        error: raised at its end.
        limits: how much of it was wanted, each time.
    """

    content: bytes
    start: int = 0
    codings: tuple[str, ...] = ()
    name: str = "registry.example"
    step: int = 0
    between: Callable[[], object] = lambda: None
    error: Exception | None = None
    limits: list[int] = field(default_factory=list)

    def chunks(self, limit: int) -> Iterator[bytes]:
        self.limits.append(limit)
        content = self.content[:limit]
        step = self.step or len(content) // 32 + 1
        for at in range(0, len(content), step):
            if at:
                self.between()
            yield content[at : at + step]
        if self.error is not None:
            raise self.error


@dataclass
class PacedBody(FakeBody):
    """A body with a rate limit, which demands a pause before each read but the first.

    Attributes:
        waits: the seconds of a pause.
        reads: the seconds of a read.
    """

    clock: Clock = field(default_factory=Clock)
    waits: float = 60.0
    reads: float = 1.0
    is_paid: bool = False

    def __post_init__(self) -> None:
        self.between = self.read

    def pause(self) -> None:
        if not self.is_paid:
            self.clock.now += self.waits
        self.is_paid = True

    def read(self) -> None:
        self.pause()
        self.clock.now += self.reads
        self.is_paid = False


@dataclass
class FakeRegistry(Source):
    """A registry that is two dictionaries, whose values may be errors.

    Attributes:
        documents: manifests and indexes by tag and digest.
        contents: blobs by digest.
        refusal: sent to whoever asks for the rest of a blob.
        asked: tags and digests, in order.
        offsets: where each request for a blob wanted it to begin.
        names: the names by which images were asked for.
        most_bodies: the largest number of blobs that were open at a time.
    """

    documents: dict[str, Document | Exception] = field(default_factory=dict)
    contents: dict[str, bytes | FakeBody | Exception] = field(default_factory=dict)
    refusal: FakeBody | Exception | None = None
    name: str = "registry.example"
    asked: list[str] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    open_bodies: int = 0
    most_bodies: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    aborted: threading.Event = field(default_factory=threading.Event)

    def add(self, built: Built, tag: str = "1") -> Built:
        """Take in an image or index with everything below it."""
        for name in filter(None, (tag, built.digest)):
            self.documents[name] = Document(built.raw, built.media_type, f"https://{self.name}/v2/")
        self.add_blobs(*built.blobs)
        for child in built.children:
            self.add(child, "")
        return built

    def add_blobs(self, *blobs: Blob) -> None:
        self.contents |= {blob.digest: blob.content for blob in blobs}

    def manifest(self, reference: Reference, *, label: str = "") -> Document:
        self.names.append(reference.name)
        self.asked.append(reference.target)
        found = self.documents.get(reference.target) or missing(label or f"the manifest of {reference}")
        if isinstance(found, Exception):
            raise found
        return found

    @contextmanager
    def blob(
        self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0, length: int | None = None
    ) -> Iterator[FakeBody]:
        self.names.append(reference.name)
        self.asked.append(str(descriptor.digest))
        self.offsets.append(offset)
        found = self.answer(descriptor, what, offset)
        if isinstance(found, Exception):
            raise found
        if length is not None:
            found = replace(found, content=found.content[:length])
        with self.lock:
            self.open_bodies += 1
            self.most_bodies = max(self.most_bodies, self.open_bodies)
        try:
            yield found
        finally:
            with self.lock:
                self.open_bodies -= 1

    def answer(self, descriptor: Descriptor, what: str, offset: int) -> FakeBody | Exception:
        """Return the body or error for a request."""
        if offset and self.refusal is not None:
            return self.refusal
        found = self.contents.get(str(descriptor.digest))
        if found is None or isinstance(found, Exception):
            return found or missing(what)
        body = FakeBody(found, name=self.name) if isinstance(found, bytes) else found
        return replace(body, content=body.content[offset:], start=offset)

    def abort(self) -> None:
        self.aborted.set()


def missing(what: str) -> NotFoundError:
    return NotFoundError(f"{what} was not found", url="https://registry.example/v2/", status=404)
