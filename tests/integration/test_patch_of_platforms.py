"""Patches from archives of every kind that `imgfetch save` writes, with compressed layers: results and refusals."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

import imgfetch
from imgfetch.errors import VerificationError
from imgfetch.text import format_size
from tests.images import ARM64, OCI_ZSTD, Built, attestation, cosign_tag, cosigned, gz, hello, image, index, layer
from tests.integration.conftest import Command
from tests.loopback import Loopback
from tests.patches import BASE, NEW, OLD, applied, archive, opened, sha256

ARM = image(BASE, hello("for arm", OCI_ZSTD), platform=ARM64)
LARGE = b'{"a": "' + b"x" * (5 << 20) + b'"}'
SBOM = image(
    layer(LARGE, "application/vnd.in-toto+json", raw=LARGE),
    layer(gz(b"binary"), "application/octet-stream", raw=gz(b"binary")),
    platform={"architecture": "unknown", "os": "unknown"},
)
NESTED = index(NEW, index(ARM), attestation(NEW))
SAVES = {
    "all platforms": (index(NEW, ARM), {"all_platforms": True}),
    "another preferred platform": (index(NEW, ARM), {"all_platforms": True, "platform": "linux/arm64"}),
    "attestations": (index(NEW, attestation(NEW), ARM, attestation(ARM)), {"all_platforms": True}),
    "an attestation of 5 MiB": (index(NEW, SBOM), {"all_platforms": True}),
    "an index in an index": (NESTED, {"all_platforms": True}),
    "two of three platforms": (
        index(ARM, NEW, image(BASE, platform={"os": "windows", "architecture": "amd64"})),
        {
            "platform": ["linux/amd64", "linux/arm64"],
        },
    ),
    "a layer twice": (index(image(BASE, BASE, NEW.layers[1]), ARM), {"all_platforms": True}),
}


@pytest.mark.parametrize("archive_format", ["docker", "oci"])
@pytest.mark.parametrize("kind", SAVES)
def test_the_result_is_the_archive_that_a_save_writes(kind: str, archive_format: str, tmp_path: Path) -> None:
    built, options = SAVES[kind]
    archive(OLD, tmp_path / "old.tar")
    with Loopback() as registry:
        reference = registry.add("team/app", "2", built)
        for layers in ("original", "plain"):
            imgfetch.save(reference, tmp_path / layers, archive_format=archive_format, layers=layers, **options)  # type: ignore[arg-type]
    imgfetch.make_patch(tmp_path / "old.tar", tmp_path / "original", tmp_path / "new.patch")
    assert sha256(applied(tmp_path / "new.patch", tmp_path / "old.tar", tmp_path)) == sha256(tmp_path / "plain")
    raw = {child.raw for child in built.children if child.children or child in (NEW, ARM)}
    assert raw <= set(opened((tmp_path / "new.patch").read_bytes()).head.documents)


def test_names_with_digests_become_those_of_a_save(tmp_path: Path) -> None:
    archive(OLD, tmp_path / "old.tar")
    several = index(NEW, ARM)
    with Loopback() as registry:
        one, _ = registry.add("team/app", "2", several), registry.add("team/other", "2", image(BASE))
        references = [f"{one}@{several.digest}", f"{registry.host}/team/other@{image(BASE).digest}"]
        for layers in ("original", "plain"):
            imgfetch.save(references, tmp_path / layers, layers=layers, platform="linux/amd64")  # type: ignore[arg-type]
    imgfetch.make_patch(tmp_path / "old.tar", tmp_path / "original", tmp_path / "new.patch")
    result = applied(tmp_path / "new.patch", tmp_path / "old.tar", tmp_path, f"{one}@{several.digest}")
    assert sha256(result) == sha256(tmp_path / "plain")


def saved(built: Built, tmp_path: Path, name: str = "new.tar") -> Path:
    """Save an image, and return its archive; the one with decompressed layers is beside it."""
    archive(OLD, tmp_path / "old.tar")
    with Loopback() as registry:
        reference = registry.add("team/app", "2", built)
        imgfetch.save(reference, tmp_path / name, platform="linux/amd64")
        imgfetch.save(reference, tmp_path / "plain.tar", platform="linux/amd64", layers="plain")
    return tmp_path / name


@pytest.mark.parametrize("suffix", ["tar.gz", "tar.zst"])
def test_the_new_archive_may_be_compressed_as_a_whole(suffix: str, tmp_path: Path) -> None:
    imgfetch.make_patch(tmp_path / "old.tar", saved(NEW, tmp_path, f"new.{suffix}"), tmp_path / "new.patch")
    assert sha256(applied(tmp_path / "new.patch", tmp_path / "old.tar", tmp_path)) == sha256(tmp_path / "plain.tar")


def test_a_compressed_archive_that_is_damaged_is_refused_by_name(tmp_path: Path) -> None:
    new = saved(NEW, tmp_path, "new.tar.gz")
    new.write_bytes(new.read_bytes()[:-1000])
    with pytest.raises(VerificationError, match=r"new\.tar\.gz cannot be read"):
        imgfetch.make_patch(tmp_path / "old.tar", new, tmp_path / "new.patch")


@pytest.mark.parametrize("piped", ["old", "new"])
def test_an_archive_may_come_from_a_pipe(piped: str, tmp_path: Path) -> None:
    files = {"new": str(saved(NEW, tmp_path)), "old": str(tmp_path / "old.tar")}
    names = {**files, piped: "-"}
    command = [sys.executable, "-m", "imgfetch", "patch", names["old"], names["new"]]
    done = subprocess.run(command, input=Path(files[piped]).read_bytes(), capture_output=True, check=True)
    assert sha256(applied(done.stdout, tmp_path / "old.tar", tmp_path)) == sha256(tmp_path / "plain.tar")


def test_an_archive_may_come_from_a_named_pipe(tmp_path: Path) -> None:
    new, pipe = saved(NEW, tmp_path), tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(new.read_bytes()), daemon=True)
    writer.start()
    imgfetch.make_patch(tmp_path / "old.tar", pipe, tmp_path / "new.patch")
    writer.join()
    assert sha256(applied(tmp_path / "new.patch", tmp_path / "old.tar", tmp_path)) == sha256(tmp_path / "plain.tar")


def test_a_terminal_is_not_an_archive(tmp_path: Path) -> None:
    archive(OLD, tmp_path / "old.tar")
    ours, theirs = os.openpty()
    try:
        command = [sys.executable, "-m", "imgfetch", "patch", str(tmp_path / "old.tar"), "-"]
        done = subprocess.run(command, stdin=theirs, capture_output=True, check=False, timeout=60)
    finally:
        os.close(ours)
        os.close(theirs)
    assert (done.returncode, b"stdin is a terminal" in done.stderr) == (1, True)


def test_stdin_is_one_of_the_archives_at_most(command: Command) -> None:
    done = command("patch", "-", "-", "-o", "x.patch")
    assert (done.status, "stdin cannot be an archive twice" in done.err) == (2, True)


@pytest.mark.parametrize("replaced", ["old.tar", "new.tar"])
def test_a_patch_does_not_replace_an_archive_that_is_read(replaced: str, command: Command, tmp_path: Path) -> None:
    new = saved(NEW, tmp_path)
    done = command("patch", tmp_path / "old.tar", new, "-o", tmp_path / replaced)
    assert (done.status, "would replace the archive that is read" in done.err) == (2, True)


def test_signatures_are_left_out_with_a_warning(command: Command, tmp_path: Path) -> None:
    archive(OLD, tmp_path / "old.tar")
    with Loopback() as registry:
        reference = registry.add("team/app", "2", NEW)
        registry.add("team/app", cosign_tag(NEW), cosigned(NEW))
        imgfetch.save(reference, tmp_path / "new.tar", platform="linux/amd64", signatures=True)
        imgfetch.save(reference, tmp_path / "plain.tar", platform="linux/amd64", layers="plain")
    assert imgfetch.verify(tmp_path / "new.tar").referrers
    done = command("patch", tmp_path / "old.tar", tmp_path / "new.tar", "-o", tmp_path / "new.patch")
    assert "without its signatures and other referrers" in done.err
    result = applied(tmp_path / "new.patch", tmp_path / "old.tar", tmp_path, NEW.digest)
    assert sha256(result) == sha256(tmp_path / "plain.tar")


def test_a_large_attestation_that_is_damaged_is_refused(tmp_path: Path) -> None:
    archive(OLD, tmp_path / "old.tar")
    archive(index(NEW, SBOM), tmp_path / "new.tar", platform=None, all_platforms=True)
    raw = bytearray((tmp_path / "new.tar").read_bytes())
    raw[raw.index(LARGE) + 1000] ^= 1
    (tmp_path / "new.tar").write_bytes(raw)
    with pytest.raises(VerificationError, match="is damaged"):
        imgfetch.make_patch(tmp_path / "old.tar", tmp_path / "new.tar", tmp_path / "new.patch")


def kept_index(tmp_path: Path) -> Path:
    archive(index(NEW, ARM), tmp_path / "new.tar", keep_index=True)
    return tmp_path / "new.tar"


def without_a_base(tmp_path: Path) -> Path:
    archive(NEW, tmp_path / "new.tar", base=tmp_path / "old.tar")
    return tmp_path / "new.tar"


def a_directory(tmp_path: Path) -> Path:
    archive(NEW, tmp_path / "packed.tar")
    with tarfile.open(tmp_path / "packed.tar") as packed:
        packed.extractall(tmp_path / "new", filter="data")
    return tmp_path / "new"


def changed(path: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """Change the members of an archive, and leave out those that become nothing."""
    with (
        tarfile.open(path) as old,
        tarfile.open(path.with_name("changed.tar"), "w", format=tarfile.USTAR_FORMAT) as new,
    ):
        for member in old:
            file = old.extractfile(member)
            content = change(member.name, file.read()) if file else b""
            if content is not None:
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
    return path.with_name("changed.tar")


def as_crane_writes(tmp_path: Path) -> Path:
    archive(NEW, tmp_path / "new.tar")
    return changed(
        tmp_path / "new.tar", lambda name, content: None if name in ("index.json", "oci-layout") else content
    )


def with_a_bare_tag(tmp_path: Path) -> Path:
    archive(NEW, tmp_path / "new.tar", archive_format="oci")

    def change(name: str, content: bytes) -> bytes:
        if name != "index.json":
            return content
        document = json.loads(content)
        del document["manifests"][0]["annotations"]["io.containerd.image.name"]
        return json.dumps(document).encode()

    return changed(tmp_path / "new.tar", change)


REFUSALS: Mapping[str, tuple[Callable[[Path], Path], str, str]] = {
    "an index without all its images": (kept_index, "which its index lists", "not with --keep-index"),
    "layers of a base are left out": (without_a_base, "leaves out layers of a base", "save --layers plain"),
    "manifest.json alone": (as_crane_writes, "has no manifests", "save --layers plain"),
    "a bare tag": (with_a_bare_tag, "has an image without a full name", "save --layers plain"),
    "a directory": (a_directory, "is a directory", "save --layers plain"),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_an_archive_that_no_save_writes_with_decompressed_layers_is_refused(
    kind: str, command: Command, tmp_path: Path
) -> None:
    make, says, hint = REFUSALS[kind]
    archive(OLD, tmp_path / "old.tar")
    new = make(tmp_path)
    for option in ([], ["--dry-run"]):
        done = command("patch", tmp_path / "old.tar", new, "-o", tmp_path / "new.patch", *option)
        assert (done.status, done.out) == (1, ""), done.err
        assert says in done.err
        assert hint in done.err
    assert not (tmp_path / "new.patch").exists()


@pytest.mark.parametrize("new", ["new.tar", "new.tar.gz", "plain.tar"])
def test_a_dry_run_shows_the_layers_in_common(new: str, command: Command, tmp_path: Path) -> None:
    saved(NEW, tmp_path, "new.tar.gz" if new == "new.tar.gz" else "new.tar")
    done = command("patch", tmp_path / "old.tar", tmp_path / new, "--dry-run")
    assert (done.status, done.err) == (0, "")
    lines = done.out.splitlines()
    assert [line.split()[:2] for line in lines[2:5]] == [
        ["old", BASE.diff_id],
        ["new", NEW.layers[1].diff_id],
        ["new", NEW.layers[2].diff_id],
    ]
    is_plain = new == "plain.tar"
    size = format_size((tmp_path / new).stat().st_size) if is_plain else "depends on the content of the layers"
    assert lines[5] == f"size of the archive: {size}"
    assert lines[6].startswith(f"estimated size of the patch: at most about {'701' if is_plain else '625'} kB")


def test_a_dry_run_names_an_old_image_once_with_its_platforms(command: Command, tmp_path: Path) -> None:
    new = saved(NEW, tmp_path)
    old = archive(index(OLD, ARM), tmp_path / "old.tar", all_platforms=True, platform=None)
    done = command("patch", tmp_path / "old.tar", new, "--dry-run")
    assert done.out.splitlines()[0] == f"old archive: {old} linux/amd64 linux/arm64; not verified yet"


def test_a_dry_run_estimates_a_patch_without_new_layers(command: Command, tmp_path: Path) -> None:
    new = saved(OLD, tmp_path)
    done = command("patch", tmp_path / "old.tar", new, "--dry-run")
    assert done.out.splitlines()[-1] == "estimated size of the patch: some kilobytes, because no layer is new"


def test_a_dry_run_is_not_for_zstd(command: Command) -> None:
    assert command("patch", "old.tar", "new.tar", "--dry-run", "--raw").status == 2


def test_archives_may_have_more_layers_than_a_process_may_open_files(tmp_path: Path) -> None:
    for version in (1, 2):
        images = {
            f"team/app-{number}": image(*(hello(f"{number} {layer} {version if layer else 0}") for layer in range(9)))
            for number in range(8)
        }
        archive(images, tmp_path / f"{version}.tar")
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(list(Path("/proc/self/fd").iterdir())) + 30, before[1]))
    try:
        imgfetch.make_patch(tmp_path / "1.tar", tmp_path / "2.tar", tmp_path / "new.patch")
        imgfetch.apply_patch(tmp_path / "new.patch", tmp_path / "1.tar", tmp_path / "result.tar")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
