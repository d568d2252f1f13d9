"""From a reference to its image for one platform.

An index may list manifests, further indexes, attestations, and unknown types; a manifest may be in no index at all.
Every document and config is verified by the digest and size that led to it, before it is used.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from imgfetch.errors import ImgfetchError, NotFoundError, PlatformNotFoundError, UnsupportedError, VerificationError
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci import mediatypes, platforms
from imgfetch.oci.config import Config
from imgfetch.oci.descriptor import Descriptor, Document
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import MAX_DOCUMENT, Image, Index, Manifest, Unreadable, listed, parse_document, wrong_digest
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.oci.source import Source
from imgfetch.pull.fetch import receive
from imgfetch.store.blobs import BlobStore
from imgfetch.tolerance import Tolerance

MAX_DEPTH = 3
"""The most levels of indexes within indexes."""
MAX_ALL_LAYERS = 50_000
"""The most layers of all images of an archive together; readers of archives accept more."""
MAX_LOOKS = 32
"""The most documents to fetch in the search for an image whose platform the index does not have."""

_logger = logging.getLogger(__name__)


@dataclass(eq=False, repr=False)
class Resolver:
    """Finds images, and stores their documents.

    Raises:
        PlatformNotFoundError: the image does not exist for the platform.
        VerificationError: a document is malformed or ambiguous, or its digest or size differs.
        UnsupportedError: the reference does not name an image.
        ImgfetchError: an error of the registry or the store.
    """

    source: Source
    store: BlobStore
    tolerance: Tolerance
    retries: RetryPolicy
    expects_documents: bool = False
    """True if the store probably has the documents, so that only their digests are needed."""

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._layers_left = MAX_ALL_LAYERS

    def digest(self, reference: Reference) -> Digest:
        """Return the digest of the document that ``reference`` points at.

        It is the source's statement, which nothing verifies, unless the tolerance is strict
        (docs/registries.md#head-requests).
        """
        found = self.source.manifest(reference) if self.tolerance.is_strict else self.source.resolve(reference)
        return found if isinstance(found, Digest) else self.document(reference, received=found).descriptor.digest

    def stop(self) -> None:
        """End all requests, now and later."""
        self.source.abort()
        self.retries.stop()

    def chosen(self, found: Index | Manifest, reference: Reference, platform: Platform | None) -> Image:
        """Return the image for a platform in the document that ``reference`` points at.

        No platform stands for linux on this machine's architecture, or for another one if the image has no index.
        """
        wanted = platform or platforms.default()
        if isinstance(found, Index):
            seen = _Seen()
            image = self._search(found, reference, wanted, seen)
            if image is None:
                raise _missing(wanted, reference, seen.listed())
            return image
        image = self.image(found, reference)
        if image.config.platform.fit(wanted) is None and image.config.platform.is_known:
            if platform is not None:
                raise _missing(wanted, reference, (str(image.config.platform),))
            _logger.warning(
                "%s is for %s, not for %s; no other platform is available", reference, image.config.platform, wanted
            )
        return image

    def _search(
        self, index: Index, reference: Reference, wanted: Platform, seen: _Seen, depth: int = 1
    ) -> Image | None:
        """Find the best match: first by the platforms in the index, then in the documents without a platform.

        Of the latter, one that is missing or broken does not spoil the others.
        """
        if depth > MAX_DEPTH:
            raise VerificationError(f"{reference} nests indexes more than {MAX_DEPTH} levels deep")
        skipped: list[ImgfetchError] = []
        for descriptor in _candidates(index, wanted, seen):
            if isinstance(descriptor, Unreadable):
                raise descriptor.error
            if not seen.may_look(descriptor):
                continue
            image: Image | None = None
            with _sparing_others(descriptor, skipped):
                image = self._look(descriptor, reference, wanted, seen, depth)
            if image is not None:
                for error in skipped:
                    self.tolerance.warn(f"skipping an entry without a platform: {error}")
                return image._replace(indexes=(index.descriptor, *image.indexes))
        if skipped:
            raise skipped[0]
        return None

    def _look(
        self, descriptor: Descriptor, reference: Reference, wanted: Platform, seen: _Seen, depth: int
    ) -> Image | None:
        found = self.document(reference, descriptor)
        if isinstance(found, Index):
            return self._search(found, reference, wanted, seen, depth + 1)
        return self._fitting(self.image(found, reference)._replace(entry=descriptor), descriptor, wanted, seen)

    def _fitting(self, image: Image, descriptor: Descriptor, wanted: Platform, seen: _Seen) -> Image | None:
        """Compare the platform in the config with that in the index, or use it if the index has none."""
        actual = image.config.platform
        fits = actual.fit(wanted) is not None
        if descriptor.platform is None:
            seen.add(actual)
            return image if fits else None
        if not fits and actual.is_known:
            self.tolerance.warn(
                f"{image.references[0]}: the index says {descriptor.platform}, but the config says {actual}"
            )
        return image

    def document(
        self, reference: Reference, descriptor: Descriptor | None = None, *, received: Document | None = None
    ) -> Index | Manifest:
        """Fetch a manifest or index, by tag or by digest.

        ``descriptor`` is its descriptor in an index, if ``reference`` does not point at it; ``received`` is what was
        fetched already.
        """
        document, digest, what = self._fetched(reference, descriptor, received)
        media_type = descriptor.media_type if descriptor else ""
        parsed = parse_document(
            document,
            Descriptor(media_type, digest, len(document.raw)),
            what,
            self.tolerance,
            pinned=bool(descriptor or reference.digest),
        )
        if isinstance(parsed, Manifest):
            self.store.reserve([parsed.config.digest])
        self.store.put(parsed.descriptor, document.raw)
        if isinstance(parsed, Index) and parsed.unreadable:
            number, error = len(parsed.unreadable), parsed.unreadable[0].error
            others = f" (and {number - 1} more)" if number > 1 else ""
            self.tolerance.warn(f"skipping an entry of an index that cannot be read{others}: {error}")
        return parsed

    def statement(self, reference: Reference, descriptor: Descriptor) -> tuple[Descriptor, ...]:
        """Fetch the manifest of an attestation or artifact, and return the blobs that it lists."""
        document, _, what = self._fetched(reference, descriptor)
        self.store.put(descriptor, document.raw)
        return listed(document.raw, what)

    def raw(self, reference: Reference, descriptor: Descriptor | None = None) -> tuple[Descriptor, bytes]:
        """Fetch and store a document that need not be an image's, by tag or by its descriptor in a list.

        Its descriptor has no media type that the list does not state.
        """
        document, digest, _ = self._fetched(reference, descriptor)
        own = Descriptor(descriptor.media_type if descriptor else "", digest, len(document.raw))
        self.store.put(own, document.raw)
        return own, document.raw

    def _fetched(
        self, reference: Reference, descriptor: Descriptor | None, received: Document | None = None
    ) -> tuple[Document, Digest, str]:
        """Return a document, its digest and its name; a digest in the request must match.

        See docs/registries.md#digests-from-headers.
        """
        what = f"the manifest of {reference}"
        asked = reference
        if descriptor is not None:
            what = f"the manifest {descriptor.digest} of {reference.name}"
            asked = replace(reference, digest=descriptor.digest)
        known = received or (self._known(descriptor) if descriptor else self._unchanged(reference))
        document = known or self.source.manifest(asked)
        wanted = asked.digest
        digest = Digest.of(document.raw, wanted.algorithm if wanted else "sha256")
        if wanted is not None and digest != wanted:
            raise wrong_digest(document, wanted, digest, what)
        if descriptor is not None and descriptor.size != len(document.raw):
            error = two_sizes(what, descriptor, len(document.raw))
            if reference.digest:  # the archive has the index too
                raise error
            self.tolerance.warn(str(error))
        return document, digest, what

    def image(self, manifest: Manifest, reference: Reference) -> Image:
        """Fetch a manifest's config and compare the two."""
        self.count(len(manifest.layers), reference)
        what = f"the config of {reference}"
        if manifest.config.is_embedded:
            self.store.put(manifest.config, manifest.config.data or b"")
        self.fetch(reference, manifest.config, what)
        config = Config.from_json(self.store.read(manifest.config.digest), manifest.config.media_type, what)
        if len(config.diff_ids) != len(manifest.layers):
            raise VerificationError(
                f"{what} does not match the manifest",
                wanted=f"{len(manifest.layers)} diff_ids, one for each layer",
                got=str(len(config.diff_ids)),
                hint="the image is broken; try another tag, or tell the image's publisher",
            )
        return Image(replace(manifest, config=manifest.config.bare()), config, (reference,))

    def count(self, layers: int, reference: Reference) -> None:
        """Refuse more layers than an archive may list (docs/registries.md#limits-for-documents)."""
        with self._lock:
            self._layers_left -= layers
            if self._layers_left < 0:
                raise VerificationError(
                    f"{reference} has too many layers, together with all other images of the archive",
                    wanted=f"at most {MAX_ALL_LAYERS}",
                    got="more",
                )

    def fetch(self, reference: Reference, descriptor: Descriptor, what: str) -> None:
        """Download a blob that is not a layer, unless it is in the store."""
        if not self.store.has(descriptor):
            self.store.bring(
                descriptor, what, lambda part: receive(self.source, reference, part, what, retries=self.retries)
            )

    def _unchanged(self, reference: Reference) -> Document | None:
        """Return the document that a reference points at now, if it is expected in the store and probably there."""
        if not self.expects_documents or self.tolerance.is_strict:
            return None
        found = self.source.resolve(reference)
        if isinstance(found, Document):
            return found
        raw = self.store.document(found, MAX_DOCUMENT)
        return None if raw is None else Document(raw)

    def _known(self, descriptor: Descriptor) -> Document | None:
        """Return the document that is embedded in a descriptor, or that is in the store."""
        if descriptor.is_embedded:
            return Document(descriptor.data or b"")
        self.store.reserve([descriptor.digest])
        if descriptor.size <= MAX_DOCUMENT and self.store.has(descriptor):
            return Document(self.store.read(descriptor.digest))
        return None


@contextmanager
def _sparing_others(descriptor: Descriptor, skipped: list[ImgfetchError]) -> Iterator[None]:
    """Keep an error about an entry without a platform for later, because another entry may be the image."""
    try:
        yield
    except (UnsupportedError, VerificationError, NotFoundError) as error:
        if descriptor.platform is not None:
            raise
        if not isinstance(error, UnsupportedError):  # an artifact beside the images is no fault
            skipped.append(error)


class _Seen:
    """The platforms and documents that a search has found."""

    def __init__(self) -> None:
        self._platforms: dict[str, None] = {}
        self._looked: set[Digest] = set()

    def add(self, platform: Platform) -> None:
        self._platforms.setdefault(str(platform))

    def may_look(self, descriptor: Descriptor) -> bool:
        """Return ``True`` if a document is to be fetched: each once, and at most `MAX_LOOKS`."""
        if descriptor.digest in self._looked or len(self._looked) >= MAX_LOOKS:
            return False
        self._looked.add(descriptor.digest)
        return True

    def listed(self) -> tuple[str, ...]:
        return tuple(self._platforms)


def two_sizes(what: str, descriptor: Descriptor, size: int) -> VerificationError:
    """Return the error about a document whose size is not the one in the index."""
    return VerificationError(f"{what} does not match the index", wanted=f"{descriptor.size} bytes", got=f"{size} bytes")


def _candidates(index: Index, wanted: Platform, seen: _Seen) -> list[Descriptor | Unreadable]:
    """Return the documents that may be or list the image, the best first, and equal ones in the index's order.

    See docs/registries.md#choosing-from-an-index.
    """
    ranked: list[tuple[int, Descriptor | Unreadable]] = []
    unnamed: list[Descriptor] = []
    for descriptor in index.manifests:
        is_document = descriptor.media_type in mediatypes.INDEXES | mediatypes.MANIFESTS
        if descriptor.is_attestation or not is_document:
            continue
        if descriptor.platform is None:
            unnamed.append(descriptor)
            continue
        if descriptor.media_type in mediatypes.MANIFESTS:
            seen.add(descriptor.platform)
        fit = descriptor.platform.fit(wanted)
        if fit is not None:
            ranked.append((fit, descriptor))
    for entry in index.unreadable:
        fit = entry.platform.fit(wanted) if entry.platform else None
        if fit is not None:
            ranked.append((fit, entry))
    ranked.sort(key=lambda pair: pair[0])
    return [descriptor for _, descriptor in ranked] + unnamed


def _missing(wanted: Platform, reference: Reference, available: tuple[str, ...]) -> PlatformNotFoundError:
    message = f"no {wanted} image in {reference}"
    suggestion = wanted.suggestion(available)
    return PlatformNotFoundError(message, wanted=str(wanted), available=available, suggestion=suggestion)
