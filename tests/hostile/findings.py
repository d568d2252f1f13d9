"""The first findings of `verify`, by the beginnings of the titles of archives; the longest beginning counts."""

from __future__ import annotations

AMBIGUOUS = "is ambiguous: it refers to different images"
LACKS = "which manifest.json does not have"
KEY = "readers disagree about the key"
NEVER = "which an image archive never contains"
NO_PART = "is not the name of a part of an image"
UNKNOWN = "belongs to no image"
TWICE = "occurs twice in the archive"
MODE = "the mode in this header is that of another kind of file"
FOLLOWS = "other data follows the end of the tar"
EXTRA = "extra bytes follow"
TO_OTHERS = "to some readers and a tar to others"
MALFORMED = "is malformed"
NO_JSON = "is not valid JSON"
WHICH = "which one counts"
INDEX = "is an index with other content"
CONTENT = "with content, which some readers parse as more entries"
NO_NUMBER = "in this header is not a number"
PAX = "this PAX header has"
HAS = "which manifest.json has"

FINDINGS: dict[str, tuple[str, ...]] = {
    "the planted image's name": (
        "has an invalid name",
        AMBIGUOUS,
        "to an image with another digest",
        "which docker load rejects",
        "which index.json does not have",
        "which is malformed",
        LACKS,
    ),
    "the planted image first": (
        AMBIGUOUS,
        LACKS,
    ),
    "the good image": ("which index.json has",),
    "another image": (HAS,),
    "an image more": (HAS, "which index.json has"),
    "another name": (
        "which index.json does not have",
        LACKS,
    ),
    "a name of the library": (LACKS,),
    "a name without": (
        AMBIGUOUS,
        "which docker load rejects",
    ),
    "two manifests": (AMBIGUOUS,),
    "an artifact with the name": (AMBIGUOUS,),
    "an unnamed": (LACKS,),
    "the name of an index": (AMBIGUOUS,),
    "two names in an entry": (
        AMBIGUOUS,
        "which is malformed",
        WHICH,
    ),
    "names of the two": (
        AMBIGUOUS,
        "is in the archive only without a name",
        WHICH,
    ),
    "docker's oldest layout": (
        UNKNOWN,
        "have different images under the name",
        MALFORMED,
        LACKS,
        "written by docker before 1.10",
    ),
    "repositories of": (
        "have different images under the name",
        LACKS,
    ),
    "repositories": (MALFORMED,),
    "an index of both": (
        AMBIGUOUS,
        INDEX,
        "is not in the archive",
        HAS,
    ),
    "an index of the good": (INDEX,),
    "an artifact with the name in": (AMBIGUOUS,),
    "an index of an artifact": (AMBIGUOUS,),
    "entries for platforms": (
        "but its image is for",
        AMBIGUOUS,
    ),
    "an index in an index": (INDEX,),
    "a child": (
        "but the index lists it as",
        "diff_ids for",
        AMBIGUOUS,
        INDEX,
        "is listed for",
    ),
    "an entry for another": ("but its image is for",),
    "an attestation": ("has no container image",),
    "an item's key": (KEY,),
    "index.json's key": (KEY,),
    "an entry's key": (KEY,),
    "an annotation key": (KEY,),
    "a platform's key": (KEY,),
    "oci-layout's key": (KEY,),
    "repositories' key": (
        "has an invalid name",
        KEY,
        LACKS,
    ),
    "oci-layout": (
        "but no oci-layout",
        "instead of 1.0.0",
        MALFORMED,
        "is not known",
        NO_JSON,
        HAS,
    ),
    "manifest.json:": (
        "has no images",
        MALFORMED,
        "is not in the archive",
        NO_JSON,
        "which index.json has",
    ),
    "index.json:": (
        "has blobs or layers, but lists no image",
        "has no images",
        MALFORMED,
        "is not a valid digest",
        NO_JSON,
        HAS,
    ),
    "an item with": (
        "but its config has",
        "has an invalid name",
        MALFORMED,
        "is not in the archive",
        "is not known",
        "list different layers",
        "which docker load rejects",
    ),
    "a second array": (NO_JSON,),
    "an entry": (
        "but its descriptor says",
        "but the index lists it as",
        "has a malformed",
        "has the media type",
        "is not a valid digest",
        "is not known",
    ),
    "a planted entry": (
        "but the index lists it as",
        "has the media type",
        AMBIGUOUS,
    ),
    "a config that": ("is not a valid image",),
    "index.json with": ("is not known",),
    "index.json of": ("another version or media type",),
    "index.json without": (MALFORMED,),
    "docker's layer": (
        "cannot be loaded",
        "does not match the config",
        "is a JSON document, not a layer",
    ),
    "a layer": (
        "does not match the config",
        "is a JSON document, not a layer",
    ),
    "a second manifest.json": (
        "begins with './'",
        "begins without './'",
        UNKNOWN,
        NO_PART,
        TWICE,
    ),
    "a second index.json": (
        "begins with './'",
        "begins without './'",
        UNKNOWN,
        NO_PART,
        TWICE,
    ),
    "a second oci-layout": (
        "begins with './'",
        UNKNOWN,
        NO_PART,
        TWICE,
    ),
    "second blobs": (
        "begins with './'",
        UNKNOWN,
        "is damaged: it hashes to",
        NO_PART,
        TWICE,
    ),
    "a link": (
        "begins with './'",
        "is a symbolic link",
        NO_PART,
        TWICE,
        NEVER,
    ),
    "an absolute link": (NEVER,),
    "a file": (
        UNKNOWN,
        NO_PART,
        NEVER,
        "with a link's target",
    ),
    "a hard link": (
        "is a hard link",
        NEVER,
        CONTENT,
    ),
    "a directory": (
        UNKNOWN,
        "manifest.json is a directory",
        TWICE,
        MODE,
        "with a link's target",
    ),
    "a whiteout": (NO_PART,),
    "an opaque": (NO_PART,),
    "a device": (NEVER,),
    "a pipe": (NEVER,),
    "a sparse": (NEVER,),
    "a contiguous": (NEVER,),
    "a bundle": (
        MODE,
        "with a link's target",
    ),
    "manifest.json with the mode": (MODE,),
    "index.json with the mode": (MODE,),
    "entries in the content": (
        UNKNOWN,
        NO_PART,
        NEVER,
        CONTENT,
    ),
    "a change time": ("is out of range",),
    "text in": (NO_NUMBER,),
    "a header of": (MALFORMED,),
    "a PAX": (
        MALFORMED,
        TWICE,
        PAX,
        NEVER,
        WHICH,
    ),
    "a GNU": (
        "does not end with its first NUL",
        TWICE,
        WHICH,
    ),
    "two GNU": (WHICH,),
    "two PAX": (
        PAX,
        WHICH,
    ),
    "an empty PAX": (PAX,),
    "a global": (NEVER,),
    "a long link": (TWICE,),
    "a prefix": (
        "begins with './'",
        NO_NUMBER,
        MALFORMED,
    ),
    "another version": ("this header is neither",),
    "half of": ("this header is neither",),
    "a real size": (PAX,),
    "a size of": (
        UNKNOWN,
        NO_NUMBER,
        "is out of range",
        TWICE,
    ),
    "a symbolic": (CONTENT,),
    "two gzip": (
        TWICE,
        FOLLOWS,
        "begins with zeros",
    ),
    "two zstd": (FOLLOWS,),
    "two bzip2": (FOLLOWS,),
    "two xz": (FOLLOWS,),
    "two tars": (FOLLOWS,),
    "a gzip file": (
        EXTRA,
        TO_OTHERS,
        "gzip data within gzip data",
        "its gzip data is damaged",
        "zeros separate or follow",
    ),
    "a zstd file": (
        EXTRA,
        TO_OTHERS,
        "zstd data within zstd data",
    ),
    "a bzip2 file": (EXTRA,),
    "an xz file": (EXTRA,),
    "a tar": (
        "is not an image archive",
        FOLLOWS,
    ),
    "a block": (FOLLOWS, "begins with zeros"),
    "an archive": (
        "are missing",
        "is missing",
    ),
}

APPROVED = frozenset(
    {
        "a child that calls itself an attestation, of an unknown platform",
        "a file that is called like a directory, of the oldest type",
        "an annotation key io.containerd.image.name in upper case, last",
        "an annotation key org.opencontainers.image.ref.name in upper case, last",
        "a short name as reference name",
        "a short name in both",
        "an entry with an artifact type",
        "an entry with null for a name",
        "an index of both beside manifest.json, the planted one's is unknown",
        "an index of both, planted first, the planted one's is unknown",
        "an index of both, the planted one's is unknown",
        "an item with a parent",
        "an item with a parent that is itself",
        "an item with a parent that is not a digest",
        "an item with layer sources",
        "an item with layer sources with addresses",
        "an unnamed planted image in index.json",
        "names of the two: G, , , ",
        "no name in manifest.json",
        "oci-layout with a key in another case",
        "oci-layout with a key in another case, a layout alone",
        "repositories with another spelling",
        "the name in the annotations of index.json",
        "the name in the annotations of the planted manifest",
        "the planted image's name, with a registry in upper case, in both",
        "the planted image's name, with a registry in upper case, in index.json",
        "the planted image's name, with a registry in upper case, in index.json, as reference name",
        "the planted image's name, with podman's local registry, in both",
        "the planted image's name, with podman's local registry, in index.json",
        "the planted image's name, with podman's local registry, in index.json, as reference name",
        "two names in an entry: , 1",
    }
)
"""Archives that are odd, and after which every reader has the image that is asked for, or nothing."""


def expected(title: str) -> tuple[str, ...]:
    """Return parts of what is said of an archive, one of which is there; none if it is approved."""
    if title in APPROVED:
        return ()
    return FINDINGS[max((begin for begin in FINDINGS if title.startswith(begin)), key=len)]
