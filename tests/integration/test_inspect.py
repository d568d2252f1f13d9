"""`imgfetch inspect`, of references and of files."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from wcwidth import wcswidth

from imgfetch.text import format_size
from tests.images import ARM64, OCI_TAR, Built, attestation, hello, image, index, layer, tar
from tests.integration.conftest import Command, Save
from tests.loopback import Loopback

BASE, TOP = layer(tar({"base": bytes(range(256)) * 4000})), hello("top")
RUN = {
    "config": {
        "Entrypoint": ["/bin/sh", "-c"],
        "Cmd": ["echo \u001b[31m"],
        "Env": ["PATH=/bin", "LANG=C"],
        "Labels": {"b": "2", "a": "1"},
        "ExposedPorts": {"80/tcp": {}, "443/tcp": {}},
        "Volumes": {"/data": {}},
        "User": "nobody",
        "WorkingDir": "/srv",
    },
    "created": "2024-05-06T07:08:09Z",
    "history": [
        {"created_by": "ADD base"},
        {"created_by": "ENV LANG=C", "empty_layer": True},
        {"created_by": "COPY\ttop"},
    ],
}
ONE = image(BASE, TOP, config=RUN)
OTHER = image(hello("arm64", OCI_TAR), platform=ARM64)
MANY = index(ONE, OTHER, attestation(ONE))


def as_json(command: Command, *arguments: str | Path) -> Any:
    done = command("inspect", "--json", *arguments)
    assert (done.status, done.err) == (0, "")
    return json.loads(done.out)


def test_an_image_of_an_index_is_shown_and_no_layer_fetched(loopback: Loopback, command: Command) -> None:
    reference = loopback.add("team/app", "1", MANY)
    done = command("inspect", reference, "--platform", "linux/amd64")
    assert (done.status, done.err) == (0, "")
    lines = [" ".join(line.replace("█", "").split()) for line in done.out.splitlines()]
    for line in (
        reference,
        "kind an image index",
        f"digest {MANY.digest}",
        f"platforms linux/amd64 {ONE.digest}",
        f"linux/arm64 {OTHER.digest}",
        f"digest {ONE.digest}",
        f"image ID {ONE.config.digest}",
        "created 2024-05-06T07:08:09Z",
        'entrypoint ["/bin/sh", "-c"]',
        'command ["echo \\u001b[31m"]',
        "user nobody",
        "directory /srv",
        "ports 443/tcp 80/tcp",
        "volumes /data",
        "environment PATH=/bin",
        "LANG=C",
        "labels a=1",
        "b=2",
        f"{format_size(len(BASE.content))} gzip {BASE.digest} ADD base",
        f"{format_size(len(TOP.content))} gzip {TOP.digest} COPY top",
    ):
        assert line in lines, (line, lines)
    assert any(line.startswith("attestation ") for line in lines)
    assert not [path for path in loopback.paths if BASE.digest in path or TOP.digest in path]


def test_layers_are_drawn_to_scale(loopback: Loopback, command: Command) -> None:
    done = command("inspect", loopback.add("team/app", "1", ONE), "--platform", "linux/amd64")
    drawn = [line for line in done.out.splitlines() if "█" in line]
    assert [line.count("█") for line in drawn] == [12, max(round(12 * len(TOP.content) / len(BASE.content)), 1)]


def test_the_json_has_everything(loopback: Loopback, command: Command) -> None:
    reference = loopback.add("team/app", "1", MANY)
    found = as_json(command, reference, "--platform", "linux/amd64")
    (one,) = found.pop("images")
    assert found.pop("manifests")[1] == {
        "digest": OTHER.digest,
        "media_type": OTHER.media_type,
        "size": len(OTHER.raw),
        "platform": "linux/arm64",
        "attestation": False,
    }
    assert found == {
        "source": reference,
        "kind": "an image index",
        "digest": MANY.digest,
        "media_type": MANY.media_type,
        "file_size": None,
        "notes": [],
        "others": [],
        "referrers": [],
    }
    assert one["layers"][1] == {
        "digest": TOP.digest,
        "diff_id": TOP.diff_id,
        "media_type": TOP.media_type,
        "compression": "gzip",
        "size": len(TOP.content),
        "state": "present",
        "created_by": "COPY\ttop",
    }
    assert one["size"] == len(BASE.content) + len(TOP.content)
    assert one["history"][1] == {"created_by": "ENV LANG=C", "empty": True}
    assert (one["labels"], one["command"]) == ({"a": "1", "b": "2"}, ["echo \u001b[31m"])


@pytest.mark.parametrize(("platform", "wanted"), [((), MANY), (("--platform", "linux/arm64"), OTHER)])
def test_raw_is_the_document_to_the_byte(
    loopback: Loopback, command: Command, platform: tuple[str, ...], wanted: Built
) -> None:
    done = command("inspect", "--raw", loopback.add("team/app", "1", MANY), *platform)
    assert (done.status, done.out) == (0, wanted.raw.decode())


def test_the_default_platform_is_the_environments_but_for_files_and_raw(
    loopback: Loopback, save: Save, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = loopback.add("team/app", "1", MANY)
    save(reference, "--all-platforms")
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "linux/arm64")
    assert [one["platform"] for one in as_json(command, reference)["images"]] == ["linux/arm64"]
    assert len(as_json(command, tmp_path / "y.tar")["images"]) == 2
    assert command("inspect", reference, "--raw").out == MANY.raw.decode()
    monkeypatch.setenv("DOCKER_DEFAULT_PLATFORM", "nonsense")
    assert command("inspect", reference).status == 2


def test_our_archive_is_known_and_so_is_what_it_leaves_out(
    loopback: Loopback, save: Save, command: Command, tmp_path: Path
) -> None:
    base, app = loopback.add("base", "1", image(BASE)), loopback.add("team/app", "1", ONE)
    target = tmp_path / "delta.tar.gz"
    save(app, "--base", base, to=target)
    found = as_json(command, target)
    assert (found["kind"], found["file_size"]) == ("an imgfetch archive", target.stat().st_size)
    (one,) = found["images"]
    assert [each["state"] for each in one["layers"]] == ["left out", "present"]
    assert (one["names"], one["digest"], one["base"]) == ([app], ONE.digest, base)
    said = command("inspect", target).out
    assert f"base {base}" in " ".join(said.split())
    assert command("inspect", target, "--raw").out == ONE.raw.decode()


def test_an_archive_of_several_images_shows_all_or_one_platform(
    loopback: Loopback, save: Save, command: Command, tmp_path: Path
) -> None:
    target = tmp_path / "y.tar"
    save(loopback.add("team/app", "1", MANY), "--all-platforms", to=target)
    assert [one["platform"] for one in as_json(command, target)["images"]] == ["linux/amd64", "linux/arm64"]
    (one,) = as_json(command, target, "--platform", "linux/arm64")["images"]
    assert one["layers"][0]["compression"] == "plain"
    done = command("inspect", target, "--raw")
    assert (done.status, done.out) == (2, "")
    assert "choose one with --platform" in done.err
    assert command("inspect", target, "--platform", "linux/s390x").status == 3


ID = "0123456789abcdef" * 4
CONFIG = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": {"diff_ids": [TOP.diff_id]}}).encode()


def written(path: Path, members: Mapping[str, bytes]) -> Path:
    path.write_bytes(tar(members))
    return path


@pytest.mark.parametrize(
    ("layer_name", "others", "kind"),
    [
        (f"{ID}.tar", {"b.json": b""}, "a docker archive as written by podman, buildah and skopeo"),
        (
            f"{ID}/layer.tar",
            {"b.json": b"", f"{ID}/": b"", f"{ID}/VERSION": b"1.0", f"{ID}/json": b"{}"},
            "a docker save archive (1.10 to 24)",
        ),
        ("e.tar.gz", {"b.json": b""}, "a docker archive"),
    ],
    ids=["podman", "docker", "others"],
)
def test_other_tools_archives_are_known(
    command: Command, tmp_path: Path, layer_name: str, others: dict[str, bytes], kind: str
) -> None:
    config_name = next(iter(others))
    manifest = [{"Config": config_name, "RepoTags": ["x:1"], "Layers": [layer_name]}]
    content = TOP.content if layer_name.endswith("gz") else gzip.decompress(TOP.content)
    members = {**others, config_name: CONFIG, layer_name: content, "manifest.json": json.dumps(manifest).encode()}
    found = as_json(command, written(tmp_path / "y.tar", members))
    assert found["kind"] == kind
    (one,) = found["images"]
    assert one["names"] == ["docker.io/library/x:1"]
    assert one["digest"] is None
    assert one["layers"][0]["compression"] == ("gzip" if layer_name.endswith("gz") else "plain")
    assert command("verify", tmp_path / "y.tar").status == 0


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"x": b""}, (1, "is not an image archive")),
        ({"manifest.json": b"null"}, (6, "manifest.json is malformed")),
        ({"manifest.json": b"[]"}, (1, "has no images")),
        ({"index.json": b"{}"}, (1, "has no images")),
        ({"oci-layout": b'{"imageLayoutVersion":"1.0.0"}', "index.json": b'{"manifests": []}'}, (1, "has no images")),
        ({"index.json": b"{}", "x": b""}, (6, "x belongs to no image")),
        ({"manifest.json": b'[{"Config": 5}]'}, (6, "'Config' of item 1 of manifest.json is malformed")),
        ({"manifest.json": b"[{}]"}, (6, "item 1 of manifest.json has the config ''")),
        ({"manifest.json": b"[" * 100_000}, (6, "nested too deeply")),
        ({"manifest.json": b" " * 100_000_000}, (6, "manifest.json has 100000000 bytes")),
        ({"oci-layout": b"{}", "index.json": b"[]"}, (6, "index.json is malformed")),
        ({"oci-layout": b"{}", "index.json": b'{"manifests": [{}]}'}, (6, "oci-layout has the version null")),
        ({"index.json": b'{"schemaVersion": 2, "manifests": [{}]}'}, (6, "entry 1 of index.json")),
        ({"repositories": b"{}"}, (1, "docker before 1.10")),
    ],
    ids=[
        "no archive",
        "null",
        "empty",
        "empty index",
        "empty layout",
        "no layout",
        "type",
        "keys",
        "deep",
        "huge",
        "array",
        "version",
        "entry",
        "ancient",
    ],
)
@pytest.mark.parametrize("verb", ["inspect", "verify"])
def test_documents_that_are_wrong_are_told(
    command: Command, tmp_path: Path, members: dict[str, bytes], expected: tuple[int, str], verb: str
) -> None:
    done = command(verb, written(tmp_path / "y.tar", members))
    assert done.status == expected[0], done
    assert expected[1] in done.out + done.err


@pytest.mark.parametrize(
    "config",
    [
        {"config": []},
        {"config": {"Cmd": 1}},
        {"config": {"Env": [1]}},
        {"config": {"Env": ["A=1"], "env": ["A=2"]}},
        {"config": {"Volumes": []}},
        {"history": [1]},
        {"history": [[]]},
        {"history": [{"empty_layer": True, "Empty_layer": True}]},
    ],
    ids=str,
)
def test_inspect_shows_every_image_that_save_accepts(
    loopback: Loopback, command: Command, tmp_path: Path, config: dict[str, Any]
) -> None:
    reference = loopback.add("x", "1", image(TOP, config=config))
    assert command("save", reference, "-o", tmp_path / "y.tar").status == 0
    for target in (reference, tmp_path / "y.tar"):
        done = command("inspect", target)
        assert (done.status, reference in done.out) == (0, True), done.err


def test_a_truncated_archive_is_told(loopback: Loopback, save: Save, command: Command, tmp_path: Path) -> None:
    target = tmp_path / "y.tar"
    save(loopback.add("x", "1", ONE), to=target)
    target.write_bytes(target.read_bytes()[: target.stat().st_size // 2])
    done = command("inspect", target)
    assert (done.status, done.out) == (6, "")
    assert re.search(r"y\.tar is cut short at \d+ of at least \d+ bytes: copy or download it again\n", done.err)


@pytest.mark.parametrize("content", [None, b"", b"no tar" * 1000], ids=["missing", "empty", "no tar"])
def test_a_file_that_is_none_is_told(command: Command, tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "y.tar").write_bytes(content)
    done = command("inspect", tmp_path / "y.tar")
    assert (done.status, done.out) == (7 if content is None else 1, "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--json", "--raw"),
        ("--platform", "linux/amd64,linux/arm64"),
        ("--platform", "linux/amd64", "--platform", "linux/arm64"),
    ],
)
def test_what_does_not_go_together_is_a_usage_error(command: Command, arguments: tuple[str, ...]) -> None:
    assert command("inspect", "x", *arguments).status == 2


@pytest.mark.parametrize("columns", [80, 100])
def test_a_terminal_shows_whole_digests_of_images_and_each_layer_in_a_line(
    loopback: Loopback, command: Command, monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setattr("imgfetch.cli.stdout.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    done = command("inspect", loopback.add("team/app", "1", MANY), "--platform", "linux/amd64")
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= columns
    for digest in (MANY.digest, ONE.digest, ONE.config.digest):
        assert any(line.endswith(digest) for line in lines)
    assert sum("gzip" in line for line in lines) == len(ONE.layers)
    assert any(TOP.digest[:19] in line and TOP.digest not in line for line in lines)


LONG = "x" * 200
WIDE = "\u6f22" * 100


@pytest.mark.parametrize(
    "config",
    [
        {"config": {"User": LONG}},
        {"config": {"WorkingDir": f"/{WIDE}"}},
        {"config": {"StopSignal": LONG, "Labels": {"a": WIDE}}},
        {"author": WIDE, "created": LONG},
        {"os.version": LONG},
        {"history": [{"created_by": WIDE}]},
    ],
    ids=["user", "directory", "signal and label", "author and date", "platform", "step"],
)
@pytest.mark.parametrize("columns", [40, 80])
def test_no_text_of_an_image_fills_more_than_a_line_of_a_terminal(
    loopback: Loopback, command: Command, monkeypatch: pytest.MonkeyPatch, config: dict[str, Any], columns: int
) -> None:
    monkeypatch.setattr("imgfetch.cli.stdout.is_terminal", lambda: True)
    monkeypatch.setenv("COLUMNS", str(columns))
    done = command("inspect", loopback.add("x", "1", image(TOP, config=config)), "--platform", "linux/amd64")
    assert done.status == 0, done.err
    lines = [line for line in done.out.splitlines() if not re.search("sha256:[0-9a-f]{64}$", line)]
    assert [line for line in lines if wcswidth(line) > columns] == []


def test_an_image_without_an_index_is_described_once(loopback: Loopback, command: Command) -> None:
    done = command("inspect", loopback.add("team/app", "1", ONE), "--platform", "linux/amd64")
    for text in ("team/app:1", ONE.digest, ONE.media_type):
        assert done.out.count(text) == 1
