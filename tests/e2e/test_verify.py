"""`imgfetch verify` and `inspect`: archives of all makers pass, and each damage to any of them is found."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from imgfetch import inspect
from imgfetch.archive.verify import verify
from imgfetch.errors import ImgfetchError
from tests.conftest import Run
from tests.engines import RealRegistry, output
from tests.images import hello, image, tar
from tests.readers import installed

BUILT = image(hello("verify-base"), hello("verify-top"), config={"author": "verify"})
OTHER = tar({"other": b"what nobody asked for" * 100})
FORMS = {"": (), "plain": ("--layers", "plain"), "classic": ("--format", "docker-classic"), "oci": ("--format", "oci")}
SKOPEO = ("--insecure-policy", "copy", "-q", "--src-tls-verify=false")
ENGINES = {
    "docker": ("docker-20.10", "save", "-o"),
    "docker 28.5": ("docker-28.5", "save", "-o"),
    "docker 28.5 containerd-store": ("docker-28.5-containerd-store", "save", "-o"),
    "podman docker-archive": ("podman-4.3", "save", "--format", "docker-archive", "-o"),
    "podman oci-archive": ("podman-4.3", "save", "--format", "oci-archive", "-o"),
    "podman 5.8 docker-archive": ("podman-5.8", "save", "--format", "docker-archive", "-o"),
    "podman 5.8 oci-archive": ("podman-5.8", "save", "--format", "oci-archive", "-o"),
    "ctr": ("ctr-1.6", "images", "export"),
    "ctr 2.1": ("ctr-2.1-local", "images", "export", "--local"),
}
"""Engines that load an archive and write their own, with the command that does."""
COPIERS = {
    "skopeo docker-archive": ("skopeo", *SKOPEO, "docker://{reference}", "docker-archive:{target}:verify/app:v1"),
    "skopeo oci-archive": ("skopeo", *SKOPEO, "docker://{reference}", "oci-archive:{target}:v1"),
    "modern skopeo docker-archive": (
        "skopeo",
        *SKOPEO,
        "docker://{reference}",
        "docker-archive:{target}:verify/app:v1",
    ),
    "modern skopeo oci-archive": ("skopeo", *SKOPEO, "docker://{reference}", "oci-archive:{target}:v1"),
    "modern crane": ("crane", "pull", "--insecure", "{reference}", "{target}"),
    "modern oras": ("oras", "backup", "--plain-http", "--output", "{target}", "{reference}"),
}
"""Commands that copy an image from a registry."""
LAYOUT = "tar of a layout"
MAKERS = [*(f"imgfetch {form}".strip() for form in FORMS), *ENGINES, *COPIERS, LAYOUT]


@pytest.fixture(scope="session")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archives")


@pytest.fixture
def archive(registry: RealRegistry, directory: Path, run: Run, request: pytest.FixtureRequest) -> Path:
    """Return the archive that a maker writes of the image, made once."""
    maker: str = request.param
    target = directory / f"{maker.replace(' ', '-')}.tar"
    if not target.exists():
        reference = registry.push("verify/app", "v1", BUILT)
        if maker in ENGINES:
            _save_from_an_engine(maker, reference, target, run, request)
        elif maker in COPIERS:
            _copy(maker, reference, target, request)
        elif maker == LAYOUT:
            _copy("skopeo oci-archive", reference, target, request)
            _pack_anew(target)
        else:
            _save(run, reference, target, *FORMS[maker.partition(" ")[2]])
    return target


def _save(run: Run, reference: str, target: Path, *options: str) -> None:
    done = run("save", reference, "-o", str(target), "--platform", "linux/amd64", *options)
    assert done.returncode == 0, done.stderr


def _save_from_an_engine(maker: str, reference: str, target: Path, run: Run, request: pytest.FixtureRequest) -> None:
    name, *command = ENGINES[maker]
    engine = request.getfixturevalue("started")(name)
    ours = target.with_name("loaded.tar")
    if not ours.exists():
        _save(run, reference, ours)
    engine.load(ours)
    output(*engine.command, *command, target, reference)
    engine.forget()


def _copy(maker: str, reference: str, target: Path, request: pytest.FixtureRequest) -> None:
    programs = request.getfixturevalue("modern").program if maker.startswith("modern") else installed
    program, *arguments = COPIERS[maker]
    output(*programs(program), *(part.format(reference=reference, target=target) for part in arguments))


def _pack_anew(target: Path) -> None:
    """Pack the members of an archive as GNU tar does."""
    layout = target.with_suffix(".layout")
    with tarfile.open(target) as packed:
        packed.extractall(layout, filter="data")
    subprocess.run(["tar", "-C", layout, "-cf", target, "."], check=True, timeout=60)


@pytest.mark.parametrize("archive", MAKERS, indirect=True)
def test_what_a_maker_wrote_passes(archive: Path) -> None:
    verified = verify(archive)
    assert verified.findings == ()
    (found,) = verified.images
    assert len(found.layers) == 2
    if not archive.name.startswith("podman"):  # which writes the config anew
        assert found.config_digest.encoded in BUILT.config.digest
    inspected = inspect(archive)
    assert [layer.state for layer in inspected.images[0].layers] == ["present", "present"]
    assert inspected.kind == verified.kind


Members = list[tuple[tarfile.TarInfo, bytes]]


def members(path: Path) -> Members:
    with tarfile.open(path) as archive:
        return [
            (member, (archive.extractfile(member) or io.BytesIO()).read() if member.isfile() else b"")
            for member in archive
        ]


def written(items: Members) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for member, content in items:
            member.size = len(content) if member.isfile() else 0
            archive.addfile(member, io.BytesIO(content))
    return out.getvalue()


def kind_of(name: str, content: bytes) -> str:
    """Tell layers, configs and documents of an archive apart."""
    if name.removeprefix("./") in ("index.json", "manifest.json", "oci-layout", "repositories"):
        return "document"
    if content[:1] == b"{":
        parsed = json.loads(content)
        return "config" if "rootfs" in parsed else "manifest" if "layers" in parsed else "other"
    return "layer" if content[:2] == b"\x1f\x8b" or content[257:262] == b"ustar" else "other"


def position(items: Members, kind: str) -> int:
    return next(number for number, (member, content) in enumerate(items) if kind_of(member.name, content) == kind)


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def changed(items: Members, kind: str, change: Callable[[bytes], bytes]) -> bytes:
    number = position(items, kind)
    items[number] = (items[number][0], change(items[number][1]))
    return written(items)


def without(items: Members, kind: str) -> bytes:
    del items[position(items, kind)]
    return written(items)


def with_member(items: Members, name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, link
    return written([(member, b"x" if kind == tarfile.REGTYPE else b""), *items])


def twice(items: Members) -> bytes:
    number = position(items, "layer")
    return written([*items, (items[number][0], OTHER)])


def header_damaged(items: Members) -> bytes:
    raw = written(items)
    return flipped(raw, 3)


def in_the_middle(content: bytes) -> int:
    return len(content) // 2


DAMAGES: dict[str, Callable[[Members], bytes]] = {
    "a bit of a layer": lambda items: changed(items, "layer", lambda text: flipped(text, in_the_middle(text))),
    "the last byte of a layer": lambda items: changed(items, "layer", lambda text: text[:-1]),
    "a layer that is another": lambda items: changed(items, "layer", lambda _: OTHER),
    "an empty layer": lambda items: changed(items, "layer", lambda _: b""),
    "no layer": lambda items: without(items, "layer"),
    "a bit of the config": lambda items: changed(
        items, "config", lambda text: text.replace(b"linux", b"linuz").replace(b"layer 1", b"layer 7")
    ),
    "another config": lambda items: changed(items, "config", lambda _: b'{"rootfs":{"diff_ids":[]},"os":"linux"}'),
    "no config": lambda items: without(items, "config"),
    "cut in half": lambda items: written(items)[: in_the_middle(written(items).rstrip(b"\0"))],
    "cut in a header": lambda items: written(items)[:700],
    "no end": lambda items: written(items).rstrip(b"\0").ljust(512, b"\0"),
    "something behind it": lambda items: written(items) + b"x" * 512,
    "a damaged header": header_damaged,
    "a layer twice": twice,
    "a name that leads out": lambda items: with_member(items, "../../etc/passwd"),
    "an absolute name": lambda items: with_member(items, "/etc/passwd"),
    "a link that leads out": lambda items: with_member(items, "a", tarfile.SYMTYPE, "../../../etc/passwd"),
    "a hard link that leads out": lambda items: with_member(items, "a", tarfile.LNKTYPE, "/etc/passwd"),
    "a device": lambda items: with_member(items, "a", tarfile.CHRTYPE),
    "documents that are empty": lambda items: written(
        [(member, b"null" if member.name.endswith(("index.json", "manifest.json")) else text) for member, text in items]
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("archive", MAKERS, indirect=True)
def test_each_damage_is_found(damage: str, archive: Path, tmp_path: Path) -> None:
    target = tmp_path / "y.tar"
    target.write_bytes(DAMAGES[damage](members(archive)))
    assert target.read_bytes() != archive.read_bytes()
    assert list(found(target)), damage


def found(path: Path) -> Iterator[str]:
    try:
        yield from verify(path).findings
    except ImgfetchError as error:
        yield str(error)
    with suppress(ImgfetchError):  # what only looks into it ends in an answer or in an error of ours
        inspect(path)


@pytest.mark.parametrize("archive", MAKERS, indirect=True)
def test_a_name_with_another_digest_is_not_in_it(archive: Path) -> None:
    (finding,) = verify(archive, [f"registry.example/verify/app@sha256:{'0' * 64}"]).findings
    assert "is not in the archive" in finding
