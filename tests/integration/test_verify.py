"""`imgfetch verify` as a command: its sources, its answers and its verdicts."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
import re
import tarfile
from pathlib import Path

import pytest

from tests.images import ARM64, Built, attestation, gz, hello, image, index, layer, tar
from tests.integration.conftest import Command, Done, Save
from tests.loopback import Loopback
from tests.tools import stdin_of

APP, WEB = image(hello("app")), image(hello("web"))
MANY = index(APP, image(hello("arm"), platform=ARM64), attestation(APP))
HELM = image(hello("chart"), config_type="application/vnd.cncf.helm.config.v1+json")
NAME = "registry.example/team/app:1"


@pytest.fixture
def archive(loopback: Loopback, save: Save, tmp_path: Path) -> Path:
    """Return an archive of one image with a name."""
    save(loopback.add("team/app", "1", APP), "--name", NAME)
    return tmp_path / "y.tar"


@pytest.fixture
def bundle(loopback: Loopback, save: Save, tmp_path: Path) -> Path:
    """Return an archive of two images."""
    save(loopback.add("team/app", "1", APP), loopback.add("team/web", "2", WEB), to="bundle.tar")
    return tmp_path / "bundle.tar"


def layout(*entries: Built) -> dict[str, bytes]:
    """Return the members of an OCI image layout without names."""
    index_json = json.dumps({"schemaVersion": 2, "manifests": [entry.entry for entry in entries]}).encode()
    members = {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": index_json}
    for built in (each for entry in entries for each in (entry, *entry.children)):
        members[f"blobs/{built.digest.replace(':', '/')}"] = built.raw
        members |= {f"blobs/{blob.digest.replace(':', '/')}": blob.content for blob in built.blobs}
    return members


@pytest.mark.parametrize("name", ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"])
@pytest.mark.parametrize("compress", [bytes, gz], ids=["plain", "gzip"])
def test_an_archive_is_read_from_stdin(archive: Path, command: Command, name: str, compress: object) -> None:
    content = compress(archive.read_bytes())  # type: ignore[operator]
    shown = "stdin" if name in {"-", "/dev/stdin"} else name
    with stdin_of(content):
        done = command("verify", name, NAME)
    assert (done.status, done.out) == (0, command("verify", archive, NAME).out.replace(str(archive), shown))
    with stdin_of(content):
        assert command("inspect", name).out.splitlines()[3:] == command("inspect", archive).out.splitlines()[4:]


def test_a_base_is_read_from_stdin(archive: Path, loopback: Loopback, save: Save) -> None:
    both = image(*APP.layers, hello("more"))
    reference = loopback.add("team/app", "2", both)
    save(reference, "--base", archive, to="a.tar")
    with stdin_of(archive.read_bytes()):
        save(reference, "--base", "-", to="b.tar")
    assert (archive.parent / "a.tar").read_bytes() == (archive.parent / "b.tar").read_bytes()


def test_a_layout_that_is_a_directory_is_read(
    archive: Path, command: Command, loopback: Loopback, save: Save, tmp_path: Path
) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(tmp_path / "lay", filter="data")
    for name in ("manifest.json", "repositories"):
        (tmp_path / "lay" / name).unlink()
    done = command("verify", tmp_path / "lay", NAME)
    assert (done.status, done.out) == (0, command("verify", archive, NAME).out.replace("y.tar", "lay"))
    assert NAME in command("inspect", tmp_path / "lay").out
    reference = loopback.add("team/app", "2", image(*APP.layers, hello("more")))
    save(reference, "--base", archive, to="a.tar")
    save(reference, "--base", tmp_path / "lay", to="b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    (blob,) = (tmp_path / "lay" / "blobs" / "sha256").glob(APP.layers[0].digest.removeprefix("sha256:"))
    blob.write_bytes(b"x" * blob.stat().st_size)
    assert command("verify", tmp_path / "lay").status == 6


def test_a_layout_is_found_by_its_name_alone(archive: Path, command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    with tarfile.open(archive) as packed:
        packed.extractall(archive.parent / "alpine", filter="data")
    monkeypatch.chdir(archive.parent)
    done = command("inspect", "alpine")
    assert (done.status, done.out.splitlines()[0]) == (0, "alpine")


@pytest.mark.parametrize(
    ("arguments", "pair"),
    [
        (("verify", "-", "-i", "-"), "the list of images and an archive"),
        (("save", "-i", "-", "-i", "-", "-o", "x.tar"), "the list of images twice"),
        (("save", "x", "--base", "-", "--base", "-", "-o", "x.tar"), "an archive twice"),
        (("save", "-i", "-", "--base", "-", "-o", "x.tar"), "the list of images and an archive"),
        (("save", "x", "--base", "-", "-u", "me", "--password-stdin", "-o", "x.tar"), "the password and an archive"),
        (("inspect", "-", "-u", "me", "--password-stdin"), "the password and an archive"),
        (("digest", "-i", "/dev/fd/0", "--authfile", "/dev/stdin"), "the list of images and a file with settings"),
        (("save", "x", "--ca-file", "/dev/stdin", "--base", "-", "-o", "x.tar"), "a file with settings and an archive"),
    ],
)
def test_stdin_is_read_once(command: Command, arguments: tuple[str, ...], pair: str) -> None:
    done = command(*arguments)
    assert done.status == 2
    both = pair if "twice" in pair else f"both {pair}"
    assert f"stdin cannot be {both}; read one of them from a file" in done.err


def test_a_damaged_archive_on_stdin_is_verified_there(command: Command) -> None:
    with stdin_of(tar(layout(APP) | {f"more{number}": b"" for number in range(40)})):
        done = command("inspect", "-")
    assert done.status == 6
    assert "hint: run imgfetch verify - for all findings" in done.err
    assert done.err.count(" belongs to no image in the archive") == 20


def test_a_terminal_is_not_read(command: Command) -> None:
    primary, terminal = os.openpty()
    try:
        done = command("verify", f"/dev/fd/{terminal}")
    finally:
        os.close(primary)
        os.close(terminal)
    assert done.status == 1
    assert "is a terminal, not an image archive" in done.err


def test_each_image_that_is_wanted_has_a_line_with_its_digest(bundle: Path, command: Command) -> None:
    host = re.findall(r"ok: (\S+)/team/app:1 ", command("verify", bundle).out)[0]
    done = command("verify", bundle, f"{host}/team/web:2")
    assert done.out == (
        f"{bundle}: ok: {host}/team/web:2 {WEB.digest} linux/amd64, 1 layer, {len(WEB.layers[0].content)} B\n"
        f"{bundle}: also contains 1 other image\n"
    )
    done = command("verify", bundle, f"{host}/team/app@{APP.digest}", WEB.digest)
    first, second = done.out.splitlines()
    assert first.startswith(f"{bundle}: ok: {host}/team/app {APP.digest} linux/amd64, 1 layer, ")
    assert second.startswith(f"{bundle}: ok: {WEB.digest} ({host}/team/web:2) linux/amd64, 1 layer, ")


def test_an_image_that_is_missing_exits_with_6(bundle: Path, command: Command) -> None:
    done = command("verify", bundle, "alpine:3.20")
    assert (done.status, done.out) == (6, "")
    said = "docker.io/library/alpine:3.20 is not in the archive, which contains 127.0.0.1:"
    assert done.err.startswith(f"imgfetch: error: {bundle}: {said}")
    assert "hint" not in done.err


@pytest.mark.parametrize(
    ("files", "advice"),
    [
        ("a.tar b.tar", "'b.tar' is a file, not an image; verify one archive at a time"),
        (
            "images.lock images/bundle.tar",
            "'images/bundle.tar' is a file, not an image; did you mean -i 'images.lock'?",
        ),
        ("a.tar -q alpine b.tgz", "'b.tgz' is a file, not an image; verify one archive at a time"),
    ],
)
def test_a_second_file_is_a_usage_error_that_says_what_to_do(files: str, advice: str, command: Command) -> None:
    done = command("verify", *files.split())
    assert (done.status, done.err.splitlines()[0]) == (2, f"imgfetch: error: {advice}")


def test_a_list_of_images_is_verified(bundle: Path, command: Command, tmp_path: Path) -> None:
    host = re.findall(r"ok: (\S+)/team/app:1 ", command("verify", bundle).out)[0]
    images = tmp_path / "images.txt"
    images.write_text(f"# ours\n\n{host}/team/app:1@{APP.digest} # pinned\n{host}/team/web:2\n")
    done = command("verify", "-i", images, bundle)
    assert done.status == 0
    assert [line.split()[:3] for line in done.out.splitlines()] == [
        [f"{bundle}:", "ok:", f"{host}/team/app:1"],
        [f"{bundle}:", "ok:", f"{host}/team/web:2"],
    ]
    with images.open("a") as file:
        file.write("quay.io/x/y:1\n")
    done = command("verify", bundle, "--images", images)
    assert (done.status, done.out, done.err.count("\n")) == (6, "", 1)
    assert done.err.startswith(f"imgfetch: error: {bundle}: quay.io/x/y:1 is not in the archive")
    images.write_text("two words\n")
    assert command("verify", bundle, "-i", images).status == 2


def test_an_empty_list_or_a_platform_alone_is_a_usage_error(archive: Path, command: Command, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    done = command("verify", archive, "-i", tmp_path / "empty")
    assert (done.status, "empty lists no image" in done.err) == (2, True)
    done = command("verify", archive, "--platform", "linux/amd64")
    assert done.status == 2
    assert "no image given; name one after FILE, or in a list with --images LIST" in done.err


def test_each_platform_is_verified(loopback: Loopback, save: Save, command: Command, tmp_path: Path) -> None:
    save(loopback.add("team/app", "1", MANY), "--name", NAME, "--all-platforms")
    done = command("verify", tmp_path / "y.tar", NAME, "--platform", "linux/arm64,linux/amd64")
    assert done.status == 0
    assert [line.partition(" linux/")[2].partition(",")[0] for line in done.out.splitlines()] == ["amd64", "arm64", ""]
    assert done.out.endswith(": also contains 1 attestation\n")
    done = command("verify", tmp_path / "y.tar", NAME, "--platform", "linux/s390x")
    said = f"{NAME} is in the archive only for linux/amd64, linux/arm64, not for linux/s390x"
    assert (done.status, done.err) == (6, f"imgfetch: error: {tmp_path}/y.tar: {said}\n")


def test_damage_is_an_error_that_names_the_file_and_says_to_copy_it_again(archive: Path, command: Command) -> None:
    raw = archive.read_bytes()
    archive.write_bytes(raw.replace(APP.config.content, APP.config.content[::-1]))
    done = command("verify", archive, "-q")
    name = f"blobs/sha256/{APP.config.digest.removeprefix('sha256:')}"
    assert (done.status, done.out) == (6, "")
    first, *_, last = done.err.splitlines()
    assert first.startswith(f"imgfetch: error: {archive}: ")
    assert f"{name} is damaged: it hashes to " in done.err
    assert last == "imgfetch:   hint: copy or download the file again"
    event = json.loads(command("verify", archive, "--progress", "json").err.splitlines()[-1])
    assert (event["event"], event["status"], event["hint"]) == ("error", 6, "copy or download the file again")


def test_a_quiet_verification_prints_nothing_unless_it_fails(archive: Path, command: Command) -> None:
    assert command("verify", "-q", archive, NAME) == Done(0, "", "")
    assert command("verify", "-q", archive, "alpine").err.startswith(f"imgfetch: error: {archive}: docker.io/")
    assert json.loads(command("verify", "-q", archive, "--json").out)["ok"]


def test_the_json_has_an_answer_for_each_image_that_is_wanted(bundle: Path, command: Command) -> None:
    done = command("verify", bundle, APP.digest, "alpine", "--json")
    found = json.loads(done.out)
    assert (done.status, found["ok"], found["cut_short"], found["others"]) == (6, False, False, [])
    assert found["wanted"] == [
        {"name": APP.digest, "found": True, "image_ids": [APP.config.digest]},
        {"name": "docker.io/library/alpine:latest", "found": False, "image_ids": []},
    ]
    assert len(found["images"]) == 2


def test_other_content_is_listed_as_what_it_is(command: Command, tmp_path: Path) -> None:
    (tmp_path / "y.tar").write_bytes(tar(layout(APP, HELM)))
    done = command("verify", tmp_path / "y.tar")
    assert done.status == 0
    assert done.out.endswith("also contains 1 Helm chart (application/vnd.cncf.helm.config.v1+json)\n")
    assert "artifacts    1 Helm chart (" in command("inspect", tmp_path / "y.tar").out
    assert json.loads(command("inspect", tmp_path / "y.tar", "--json").out)["others"] == [
        "a Helm chart (application/vnd.cncf.helm.config.v1+json)"
    ]


def test_other_content_alone_is_no_image(command: Command, tmp_path: Path) -> None:
    (tmp_path / "y.tar").write_bytes(tar(layout(HELM)))
    done = command("verify", tmp_path / "y.tar")
    assert done.status == 1
    assert "has no container image, only a Helm chart" in done.err


@pytest.mark.parametrize(
    ("content", "said", "hint"),
    [
        (b"", "y.tar is not an image archive, but an empty file", "copy or download"),
        (b"\x04\x22\x4d\x18" + bytes(99), "but an lz4 file", "lz4 -dc"),
        (b"\xff\xfeo\0c\0i\0", "but text in UTF-16, to which PowerShell's > converts every output", "-o FILE"),
        (b"<!DOCTYPE html>\n<title>Sign in", "but a web page", "download the file again"),
        (tar({".dockerenv": b"", "etc/passwd": b"root"}), "a container's root file system, as docker", "docker save"),
        (gz(tar({"etc/": b"", "usr/": b"", "var/": b""})), "but a root file system", "docker save"),
        (tar({"a.tar": tar({}), "b.tar": tar({})}), "but a tar archive with 2 other archives inside", "a.tar"),
        (tar({"lay/oci-layout": b"{}", "lay/index.json": b"{}"}), "an image archive inside, in lay/", "tar -C lay"),
        (tar({"a": b"", "b": b""}), "but a tar archive of other files: a, b", "index.json or manifest.json"),
    ],
    ids=["empty", "lz4", "UTF-16", "HTML", "export", "root", "bundle", "parent", "other"],
)
def test_a_file_that_is_no_archive_exits_with_1_and_the_next_step(
    command: Command, tmp_path: Path, content: bytes, said: str, hint: str
) -> None:
    (tmp_path / "y.tar").write_bytes(content)
    for name in ("verify", "inspect"):
        done = command(name, tmp_path / "y.tar")
        assert (done.status, done.out) == (1, "")
        message, hinted = done.err.splitlines()
        assert said in message
        assert "  hint: " in hinted
        assert hint in hinted


def test_an_export_with_special_files_is_one_message(command: Command, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "y.tar", "w") as packed:
        for name in (".dockerenv", *(f"dev/{number}" for number in range(1200))):
            member = tarfile.TarInfo(name)
            member.type = tarfile.CHRTYPE if name.startswith("dev/") else tarfile.REGTYPE
            packed.addfile(member, io.BytesIO())
    done = command("verify", tmp_path / "y.tar")
    assert (done.status, done.out) == (1, "")
    assert "a container's root file system, as docker export writes it" in done.err


@pytest.mark.parametrize("keep", ["blobs", "manifest.json"])
def test_parts_of_an_image_without_a_description_are_damage(command: Command, tmp_path: Path, keep: str) -> None:
    members = {name: content for name, content in layout(APP).items() if name.startswith(keep)}
    (tmp_path / "y.tar").write_bytes(tar(members or {f"{'a' * 64}.json": b"{}"}))
    done = command("verify", tmp_path / "y.tar")
    assert done.status == 6
    assert "has parts of images, but neither index.json nor manifest.json: it is incomplete" in done.err


def test_parts_of_an_image_beside_a_member_with_a_fault_are_damage(command: Command, tmp_path: Path) -> None:
    (tmp_path / "y.tar").write_bytes(tar({f"{'a' * 64}.tar": tar({}), "odd name": b""}))
    done = command("verify", tmp_path / "y.tar")
    assert done.status == 6
    assert "'odd name' is not the name of a part of an image" in done.err


def cut(path: Path, count: int) -> None:
    path.write_bytes(path.read_bytes()[:count])


def test_a_file_that_ends_early_is_one_sentence(
    loopback: Loopback, save: Save, command: Command, tmp_path: Path
) -> None:
    target = tmp_path / "y.tar"
    save(loopback.add("team/app", "1", image(layer(tar({"a": random.Random(1).randbytes(100_000)})), hello())))
    size = target.stat().st_size
    cut(target, 50_000)
    done = command("verify", target, "alpine")
    (line,) = done.err.splitlines()
    match = re.fullmatch(
        rf"imgfetch: error: {target} is cut short at 50000 of at least (\d+) bytes: copy or download it again "
        r"\((?:1 more finding|\d+ more findings) may follow from it; --json prints all\)",
        line,
    )
    assert match, line
    assert 100_000 < int(match[1]) <= size
    assert done.status == 6
    found = json.loads(command("verify", target, "--json").out)
    assert found["cut_short"]
    assert found["findings"][0].startswith(f"{target} is cut short")
    done = command("inspect", target)
    assert done.status == 6
    assert "is cut short at 50000 of at least" in done.err


@pytest.mark.parametrize("compress", [bytes, gz], ids=["plain", "gzip"])
def test_a_stream_that_ends_early_is_one_sentence(
    loopback: Loopback, save: Save, command: Command, tmp_path: Path, compress: object
) -> None:
    save(loopback.add("team/app", "1", image(layer(tar({"a": random.Random(2).randbytes(300_000)})), hello())))
    content = compress((tmp_path / "y.tar").read_bytes())  # type: ignore[operator]
    for part in (0.3, 0.9):
        with stdin_of(content[: int(len(content) * part)]):
            done = command("verify", "-")
        assert done.status == 6
        assert done.err.startswith("imgfetch: error: stdin is cut short")
        assert done.err.count("\n") == 1


@pytest.mark.parametrize("length", [512 + 100, 1024 + 3])
def test_the_length_of_a_stream_that_ends_within_a_header_or_padding_is_exact(command: Command, length: int) -> None:
    with stdin_of(tar({"index.json": b"{}", "oci-layout": b"{}"})[:length]):
        done = command("verify", "-")
    whole = -(-length // 512) * 512
    assert f"stdin is cut short at {length} of at least {whole} bytes" in done.err


def test_an_archive_whose_description_would_come_last_is_damaged_if_it_is_cut(command: Command, tmp_path: Path) -> None:
    members = layout(image(layer(tar({"a": random.Random(3).randbytes(100_000)}))))
    blobs = {name: content for name, content in members.items() if name.startswith("blobs")}
    (tmp_path / "y.tar").write_bytes(tar(blobs | members)[:60_000])
    done = command("verify", tmp_path / "y.tar")
    assert done.status == 6
    assert "is cut short at 60000 of at least" in done.err


@pytest.mark.parametrize("count", [19, 20, 21, 40])
def test_at_most_20_findings_are_printed_and_a_count(command: Command, tmp_path: Path, count: int) -> None:
    (tmp_path / "y.tar").write_bytes(tar(layout(APP) | {f"more{number}": b"" for number in range(count)}))
    done = command("verify", tmp_path / "y.tar")
    assert done.status == 6
    first, *lines = done.err.splitlines()
    assert first == f"imgfetch: error: {tmp_path}/y.tar: {count} findings"
    if count > 20:
        more = f"{count - 20} more finding{'' if count == 21 else 's'}"
        assert lines[20:] == [f"imgfetch:   and {more}; --json prints all"]
    else:
        assert len(lines) == count
    assert len(json.loads(command("verify", tmp_path / "y.tar", "--json").out)["findings"]) == count


def test_diff_ids_in_sha512_need_a_file_because_it_is_read_twice(command: Command, tmp_path: Path) -> None:
    raw = tar({"a": b"content"})
    rootfs = {"type": "layers", "diff_ids": [f"sha512:{hashlib.sha512(raw).hexdigest()}"]}
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs}).encode()
    name = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{name}.json", "RepoTags": ["x:1"], "Layers": [f"{'a' * 64}.tar"]}]
    members = {f"{name}.json": config, f"{'a' * 64}.tar": raw, "manifest.json": json.dumps(manifest).encode()}
    (tmp_path / "y.tar").write_bytes(tar(members))
    assert command("verify", tmp_path / "y.tar").status == 0
    with stdin_of(tar(members)):
        done = command("verify", "-")
    assert done.status == 1
    assert "stdin has diff_ids in sha512, for which it must be read twice" in done.err
    assert "hint: name a file instead of a pipe" in done.err
    with (tmp_path / "y.tar").open("rb") as file:
        assert "must be read twice" in command("verify", f"/dev/fd/{file.fileno()}").err
    for name, content in (members | {"oci-layout": b"{}"}).items():
        (tmp_path / "unpacked").mkdir(exist_ok=True)
        (tmp_path / "unpacked" / name).write_bytes(content)
    assert "must be read twice" not in command("verify", tmp_path / "unpacked").err


def test_one_bar_is_drawn_for_a_file(archive: Path, command: Command) -> None:
    done = command("verify", archive, "--progress", "bar")
    assert "total" not in done.err
    assert set(re.findall(r"\r(\S+) ", done.err)) == {"y.tar"}
    with stdin_of(archive.read_bytes()):
        done = command("verify", "-", "--progress", "bar")
    assert "stdin" in done.err
    assert "%" not in done.err
