"""The readers in Go by which `verify` is judged agree with real ones."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from tests.e2e.conftest import Started
from tests.engines import ConsumerError
from tests.images import sha256
from tests.oracle import archives, drafts
from tests.oracle.drafts import Draft
from tests.oracle.program import built
from tests.oracle.samples import AMD64, Image, Json, Pairs, Raw, image, rendered
from tests.oracle.tars import Entry, gnu_long, packed, pax
from tests.readers import Containerd, Docker, Podman
from tests.readers.daemonless import SkopeoDockerArchive
from tests.readers.dockerd import DockerOnContainerd
from tests.readers.engine import config_digest

Images = frozenset[tuple[str, str]]
"""Names, empty where there is none, with the digests of configs."""


def _image(number: int, *names: str) -> Image:
    """Return an image of linux/amd64 with a layer."""
    chance = random.Random(number)
    made = image(chance)
    while made.platform != AMD64 or not made.layers or made.is_compressed:
        made = image(chance)
    made.names = list(names)
    return made


ONE, OTHER = _image(1, "app:v1"), _image(2, "app:v1")
TWO = [ONE, _image(3, "registry.example/team/app:v2")]


def _plain(form: Callable[..., Draft], *images: Image) -> Draft:
    return form(random.Random(0), images or [ONE])


def _with(form: Callable[..., Draft], *, at: int | None = None, entry: Entry, image: Image = ONE) -> bytes:
    """Return an archive with one more member, at the end if it is said nowhere."""
    entries = _plain(form, image).written()
    entries.insert(len(entries) if at is None else at, entry)
    return packed(entries)


def _document(form: Callable[..., Draft], name: str, change: Callable[[Json], Json], *images: Image) -> bytes:
    """Return an archive with a document changed."""
    draft = _plain(form, *images)
    draft.documents[name] = change(draft.documents[name])
    return packed(draft.written())


def _member(form: Callable[..., Draft], name: str, **change: object) -> bytes:
    """Return an archive with a member's header changed."""
    entries = _plain(form).written()
    for entry in entries:
        if entry.name == name.encode():
            for key, value in change.items():
                setattr(entry, key, value)
    return packed(entries)


def _other_items() -> bytes:
    """Return a `manifest.json` that leads to another image."""
    return rendered(_plain(drafts.docker_classic, OTHER).documents["manifest.json"])


def _both() -> list[Entry]:
    """Return the members of two images in docker's form, and the `manifest.json` of the first."""
    entries = _plain(drafts.docker_classic, ONE).written()
    seen = {entry.name for entry in entries}
    return [entry for entry in _plain(drafts.docker_classic, OTHER).written() if entry.name not in seen] + entries


def _oldest() -> bytes:
    return packed(
        [
            Entry(b"x/", kind=b"5"),
            Entry(b"x/json", b'{"id":"x","os":"linux"}'),
            Entry(b"x/layer.tar", ONE.layers[0].plain),
            Entry(b"repositories", b'{"app":{"v1":"x"}}'),
        ]
    )


OLDEST = "docker's oldest form"
ONE_NAME = "one name for two images"
NO_TAG = "a name without a tag"
_ITEMS = "manifest.json"
ARCHIVES: Mapping[str, bytes] = {
    "of imgfetch": packed(_plain(drafts.imgfetch).written()),
    "of imgfetch with two images": packed(_plain(drafts.imgfetch, *TWO).written()),
    "of docker save": packed(_plain(drafts.docker_classic, *TWO).written()),
    "of docker save 25": packed(_plain(drafts.docker_25).written()),
    "of podman": packed(_plain(drafts.podman).written()),
    "of crane": packed(_plain(drafts.crane).written()),
    "of jib": packed(_plain(drafts.jib).written()),
    "a layout": packed(_plain(drafts.layout).written()),
    "a layout packed by GNU tar": packed(_plain(drafts.gnu_tar).written()),
    OLDEST: _oldest(),
    "two members of one name": packed([*_both(), Entry(b"manifest.json", _other_items())]),
    "a member behind a link to its own directory": packed(
        [*_both(), Entry(b"y", kind=b"2", link=b"."), Entry(b"y/manifest.json", _other_items())]
    ),
    "a hard link": packed([*_both(), Entry(b"z", _other_items()), Entry(b"manifest.json", kind=b"1", link=b"z")]),
    "a symbolic link": packed([*_both(), Entry(b"z", _other_items()), Entry(b"manifest.json", kind=b"2", link=b"z")]),
    "a directory of a document's name": _with(drafts.docker_classic, entry=Entry(b"manifest.json/", kind=b"5"), at=0),
    "a document in another spelling": _with(drafts.imgfetch, entry=Entry(b"./x/../manifest.json", b"[]")),
    "a contiguous file": _member(drafts.docker_classic, "manifest.json", kind=b"7"),
    "the mode of a link": _member(drafts.docker_classic, "manifest.json", fields={"mode": b"0120644\0"}),
    "a PAX path": _with(
        drafts.docker_classic, at=0, entry=Entry(b"x", b"[]", before=pax([(b"path", b"manifest.json")]))
    ),
    "a GNU name and a PAX path": packed(
        [*_both(), Entry(b"x", _other_items(), before=gnu_long(b"y") + pax([(b"path", b"manifest.json")]))]
    ),
    "no oci-layout": packed(e for e in _plain(drafts.imgfetch).written() if e.name != b"oci-layout"),
    "another version of the layout": _document(
        drafts.imgfetch, "oci-layout", lambda _: {"imageLayoutVersion": "2.0.0"}
    ),
    "no version of the layout": _document(drafts.imgfetch, "oci-layout", lambda _: {}),
    ONE_NAME: packed(_plain(drafts.imgfetch, ONE, OTHER).written()),
    "a key in two spellings": _document(
        drafts.docker_classic,
        _ITEMS,
        lambda items: [Pairs([*items[0].items(), ("config", items[1]["Config"])]), items[1]],
        *TWO,
    ),
    "a key with a long s": _document(
        drafts.docker_classic, _ITEMS, lambda items: [{**items[0], "RepoTag\u017f": ["other:v1"]}]
    ),
    "more behind a document": _document(
        drafts.docker_classic, _ITEMS, lambda items: Raw(rendered(items).decode() + "x")
    ),
    "a path in another spelling": _document(
        drafts.docker_classic, _ITEMS, lambda items: [{**items[0], "Config": f"./{items[0]['Config']}"}]
    ),
    NO_TAG: _document(drafts.docker_classic, _ITEMS, lambda items: [{**items[0], "RepoTags": ["app"]}]),
    "nothing for the index": _document(drafts.imgfetch, "index.json", lambda index: {**index, "manifests": []}),
}


@pytest.fixture(scope="module")
def answers() -> Mapping[str, archives.Answers]:
    with archives.asking(built(archives.SOURCES)) as ask:
        return dict(zip(ARCHIVES, ask(list(ARCHIVES.values())), strict=True))


def _expected(answer: archives.Answers) -> Images | None:
    """Return what is loaded, or ``None`` for a refusal.

    Of several images under a name, one runs here; an image with a name is not listed again without it.
    """
    if "refused" in answer:
        return None
    images = answer.get("images") or []
    chosen = {image["name"] for image in images if image["chosen"]}
    running = [image for image in images if image["chosen"] or image["name"] not in chosen]
    named = {image["config"] for image in running if image["name"]}
    kept = [image for image in running if image["name"] or image["config"] not in named]
    return frozenset((image["name"], f"sha256:{image['config']}") for image in kept)


def _named(text: str) -> str:
    return "" if "<none>" in text else drafts.full(text)


def _in_docker(docker: Docker) -> Iterator[tuple[str, str]]:
    for line in docker.run("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}:{{.Tag}}").splitlines():
        image_id, name = line.split(" ", 1)
        if isinstance(docker, DockerOnContainerd):
            image_id = docker.config_of(image_id)
        yield _named(name), image_id


def _in_containerd(containerd: Containerd) -> Iterator[tuple[str, str]]:
    for name, digest in containerd.images().items():
        yield name, config_digest(lambda each: containerd.run("content", "get", each), digest)


def _loaded(engine: Docker | Containerd, archive: Path) -> Images | None:
    engine.forget()
    try:
        engine.read(archive)
    except ConsumerError:
        return None
    return frozenset(_in_docker(engine) if isinstance(engine, Docker) else _in_containerd(engine))


def _is_known(name: str, rules: str, got: Images | None) -> bool:
    """Return whether an answer is right that no rule foretells."""
    if name == OLDEST:  # Docker makes a config of its own.
        return rules == "docker" and got is not None and len(got) == 1
    # The first image, without a name by now, may be removed while ctr unpacks it.
    return name == ONE_NAME and rules == "ctr" and got is None


@pytest.mark.parametrize(
    ("reader", "rules"),
    [
        ("docker-20.10", "docker"),
        ("docker-28.5", "docker"),
        ("docker-28.5-containerd-store", "docker-c8d"),
        ("ctr-1.6", "ctr"),
    ],
)
def test_odd_archives_are_loaded_as_the_rules_say(
    reader: str, rules: str, answers: Mapping[str, archives.Answers], started: Started, tmp_path: Path
) -> None:
    engine, archive = started(reader), tmp_path / "archive.tar"
    wrong = {}
    for name, content in ARCHIVES.items():
        archive.write_bytes(content)
        expected, got = _expected(answers[name][rules]), _loaded(engine, archive)
        if got != expected and not _is_known(name, rules, got):
            wrong[name] = (got, expected)
    engine.forget()
    assert wrong == {}


def test_podman_takes_the_layout_if_it_has_one_image_and_manifest_json_otherwise(
    answers: Mapping[str, archives.Answers], podman: Podman, tmp_path: Path
) -> None:
    archive = tmp_path / "archive.tar"
    wrong = {}
    for name, content in ARCHIVES.items():
        archive.write_bytes(content)
        is_layout = len(answers[name]["oci-archive"].get("images", ())) == 1
        expected = _expected(answers[name]["oci-archive" if is_layout else "docker-archive"])
        podman.forget()
        with contextlib.suppress(ConsumerError):
            podman.read(archive)
        if podman.image_ids() != {config for _, config in expected or ()}:
            wrong[name] = (podman.image_ids(), expected)
    podman.forget()
    assert wrong == {}


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
def test_skopeo_finds_the_images_that_the_rules_say(
    transport: str, answers: Mapping[str, archives.Answers], started: Started, tmp_path: Path
) -> None:
    skopeo, archive = started(f"skopeo-1.22-{transport}"), tmp_path / "archive.tar"
    wrong = {}
    for name, content in ARCHIVES.items():
        archive.write_bytes(content)
        expected = _expected(answers[name][transport]) or frozenset()
        names = ["", *(named for named, _ in expected)] if len(expected) != 1 or name == ONE_NAME else [""]
        got = frozenset(_in_skopeo(skopeo, archive, names))
        if got != {config for _, config in expected} and name != NO_TAG:  # which only a search for a name finds
            wrong[name] = (got, expected)
    assert wrong == {}


def _in_skopeo(skopeo: SkopeoDockerArchive, archive: Path, names: Iterable[str]) -> Iterator[str]:
    for name in names:
        with contextlib.suppress(ConsumerError):
            yield sha256(skopeo.config(f"{archive}:{name}" if name else str(archive)))
