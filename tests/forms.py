"""The forms of archives and the readers that refuse them: docs/archives.md has the table, and tests prove it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pytest

from tests.engines import ConsumerError
from tests.readers import LOADERS, READERS, Engine

PLATFORM = ("--platform", "linux/amd64")


@dataclass(frozen=True)
class Form:
    """A form of archive.

    Attributes:
        title: its row in the table.
        options: what makes it.
        suffix: how the file's name ends.
        keeps_digest: whether the manifest in it is the registry's.
        is_pinned: whether it is asked for by the digest of its index, which then stands beside it.
        is_signed: whether the image has signatures and an attestation, by tags and as referrers.
    """

    title: str
    options: tuple[str, ...] = PLATFORM
    suffix: str = ".tar"
    keeps_digest: bool = True
    is_pinned: bool = False
    is_signed: bool = False


FORMS: Mapping[str, Form] = {
    "default": Form("default"),
    "pinned": Form("`NAME@DIGEST`", is_pinned=True),
    "plain": Form("`--layers plain`", (*PLATFORM, "--layers", "plain"), keeps_digest=False),
    "classic": Form("`--format docker-classic`", (*PLATFORM, "--format", "docker-classic"), keeps_digest=False),
    "oci": Form("`--format oci`", (*PLATFORM, "--format", "oci")),
    "oci plain": Form(
        "`--format oci --layers plain`", (*PLATFORM, "--format", "oci", "--layers", "plain"), keeps_digest=False
    ),
    "all platforms": Form("`--all-platforms`", (*PLATFORM, "--all-platforms")),
    "kept index": Form("`--keep-index`", (*PLATFORM, "--keep-index")),
    "two platforms": Form("`--platform P,P`", ("--platform", "linux/amd64,linux/arm64"), keeps_digest=False),
    "signed": Form("`--signatures`", (*PLATFORM, "--signatures"), is_signed=True),
    "signed index": Form(
        "`--signatures --all-platforms`", (*PLATFORM, "--signatures", "--all-platforms"), is_signed=True
    ),
    "signed oci": Form("`--signatures --format oci`", (*PLATFORM, "--signatures", "--format", "oci"), is_signed=True),
    "gzip": Form("`.tar.gz`", suffix=".tar.gz"),
    "zstd": Form("`.tar.zst`", suffix=".tar.zst"),
}
BUNDLES: Mapping[str, Form] = {
    "bundle": Form("several images"),
    "oci bundle": Form("several images, `--format oci`", (*PLATFORM, "--format", "oci")),
}
UPDATES: Mapping[str, Form] = {
    "update": Form("`--base`"),
    "oci update": Form("`--base --format oci`", (*PLATFORM, "--format", "oci")),
    "bundle update": Form("several images, `--base`"),
}
ALL: Mapping[str, Form] = {**FORMS, **BUNDLES, **UPDATES}


_NO_LAYOUT = "it has no OCI layout"
_NO_DOCKER = "it has no manifest.json"
_PLAIN_TAR = "it reads no compressed archives"
_CLASSIC_STORE = "docker's classic image store reads no OCI layout"
_ONE_IMAGE = "podman takes only one image from an OCI layout"
_ALL_LAYERS = "podman wants the layers of all images in an archive of several"
_NO_OCI = {
    "docker-20.10": _CLASSIC_STORE,
    "docker-28.5": _CLASSIC_STORE,
    "skopeo-1.9-docker-archive": _NO_DOCKER,
    "skopeo-1.22-docker-archive": _NO_DOCKER,
    "crane-0.20": _NO_DOCKER,
}
_PLAIN_ONLY = dict.fromkeys(("ctr-1.6", "ctr-2.1-local", "crane-0.20"), _PLAIN_TAR)

_NEEDS_NAME = dict.fromkeys(
    ("skopeo-1.9-oci-archive", "skopeo-1.22-oci-archive"), "it wants a name, because signatures are entries too"
)

REFUSED: Mapping[str, Mapping[str, str]] = {
    "classic": dict.fromkeys(("skopeo-1.9-oci-archive", "skopeo-1.22-oci-archive"), _NO_LAYOUT),
    "oci": _NO_OCI,
    "oci plain": _NO_OCI,
    "signed": _NEEDS_NAME,
    "signed index": _NEEDS_NAME,
    "signed oci": {**_NO_OCI, **_NEEDS_NAME, "podman-4.3": _ONE_IMAGE, "podman-5.8": _ONE_IMAGE},
    "gzip": {**_PLAIN_ONLY, "skopeo-1.9-docker-archive": "skopeo 1.9 reads no gzip, of its own archives either"},
    "zstd": {**_PLAIN_ONLY, "docker-20.10": "docker before 23 reads no zstd"},
    "oci bundle": {**_NO_OCI, "podman-4.3": _ONE_IMAGE, "podman-5.8": _ONE_IMAGE},
    "oci update": _NO_OCI,
    "bundle update": dict.fromkeys(("podman-4.3", "podman-5.8"), _ALL_LAYERS),
}
"""The reason why a reader refuses a form, by both names."""


def refusal(form: str, reader: str) -> str:
    """Return why a reader is expected to refuse a form, or nothing."""
    return REFUSED.get(form, {}).get(reader, "")


def expect(request: pytest.FixtureRequest, reader: str, engine: Engine, refused: str) -> None:
    """Expect a reader to refuse an archive for a reason, if there is one.

    Another version than the known one may load it or not, for that is not about safety.
    """
    if not READERS[reader].knows(engine):
        reason = f"{reader} is {engine.version} here, which the table does not know"
        request.applymarker(pytest.mark.xfail(reason=reason, strict=False))
    elif refused:
        request.applymarker(pytest.mark.xfail(reason=f"{reader}: {refused}", raises=ConsumerError, strict=True))


def _cell(form: str, reader: str) -> str:
    if reader not in LOADERS and form not in FORMS:
        return ""
    return "no" if refusal(form, reader) else "yes"


def _family(program: str) -> str:
    return re.findall(r"\w+", program)[0]


SHORT = ("default", "plain", "classic", "oci", "all platforms", "gzip", "zstd", "bundle", "update")
"""The forms in the README."""


def _answers(names: Iterable[str]) -> list[list[str]]:
    """Return each reader with its answers to some forms; versions with the same answers share an entry."""
    versions: dict[tuple[str, ...], list[str]] = {}
    for name, reader in READERS.items():
        versions.setdefault((reader.program, *(_cell(form, name) for form in names)), []).append(reader.version)
    families = [_family(reader.program) for reader in READERS.values()]
    ordered = sorted(versions.items(), key=lambda entry: (families.index(_family(entry[0][0])), entry[0][0]))
    return [[f"{program} {', '.join(known)}", *cells] for (program, *cells), known in ordered]


def _markdown(rows: Iterable[Iterable[str]]) -> str:
    heading, *others = [list(row) for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in (heading, ["---"] * len(heading), *others))


def table() -> str:
    """Return the table of docs/archives.md, a row for each form."""
    return _markdown(zip(["", *(form.title for form in ALL.values())], *_answers(ALL), strict=True))


def short_table() -> str:
    """Return the table of the README, a row for each reader."""
    return _markdown([["tool", *(ALL[form].title for form in SHORT)], *_answers(SHORT)])


if __name__ == "__main__":
    print(table(), short_table(), sep="\n", end="")
