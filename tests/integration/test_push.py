"""Pushes to docker-registry, and to a registry that fails as no real one does on request."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import responses
import zstandard

import imgfetch
from imgfetch.http.body import Body
from imgfetch.http.client import HttpClient
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.registry.client import Registry
from imgfetch.registry.uploads import PIECE, Uploads
from imgfetch.store.uploads import UploadNotes
from imgfetch.tolerance import Tolerance
from imgfetch.upload import blob as blob_upload
from imgfetch.upload.names import Destination
from tests.engines import RealRegistry
from tests.filesystems.mounts import tmpfs
from tests.images import (
    ARM64,
    OCI_GZIP,
    Built,
    attestation,
    cosign_tag,
    cosigned,
    gz,
    hello,
    image,
    index,
    layer,
    referrer,
    tar,
)
from tests.integration.conftest import Command
from tests.loopback import Loopback
from tests.tools import stdin_of
from tests.uploads import Reply, Sent, UploadRegistry, refusal
from tests.writers import samples

SHARED = hello("shared")
APP = image(SHARED, hello("app"))
WEB = image(SHARED, hello("web"))
MANY = index(APP, image(hello("arm64"), platform=ARM64), attestation(APP))
CHUNK = 100_000


def large(size: int = 5 * CHUNK) -> Built:
    """Return an image with a layer that does not shrink."""
    raw = tar({"noise": random.Random(size).randbytes(size)})
    return image(layer(gz(raw), OCI_GZIP, raw=raw))


@pytest.fixture
def target() -> Iterator[UploadRegistry]:
    with UploadRegistry() as registry:
        yield registry


@pytest.fixture
def archive(loopback: Loopback, command: Command, tmp_path: Path) -> Path:
    """Return an archive with two images that share a layer, one of them for two platforms."""
    return saved(loopback, command, tmp_path, {"team/app": MANY, "team/web": index(WEB)})


def saved(loopback: Loopback, command: Command, tmp_path: Path, images: dict[str, Built], *options: str) -> Path:
    references = [loopback.add(name, "1", built) for name, built in images.items()]
    done = command("save", *references, "-o", tmp_path / "y.tar", "--all-platforms", *options)
    assert done.status == 0, done.err
    return tmp_path / "y.tar"


def test_a_pushed_bundle_has_the_digests_of_its_origin(
    archive: Path, registry: RealRegistry, command: Command, tmp_path: Path
) -> None:
    done = command("push", archive, f"{registry.host}/whole")
    assert done.status == 0, done.err
    assert done.out.splitlines() == [
        f"{registry.host}/whole/team/app:1@{MANY.digest}",
        f"{registry.host}/whole/team/web:1@{index(WEB).digest}",
    ]
    shutil.rmtree(tmp_path / "cache")
    again = tmp_path / "again.tar"
    names = [f"{registry.host}/whole/team/{name}:1" for name in ("app", "web")]
    assert command("save", *names, "-o", again, "--all-platforms").status == 0
    pushed = {digest for found in imgfetch.inspect(again).images for digest in (found.digest, found.index)}
    assert {str(digest) for digest in pushed} >= {MANY.digest, APP.digest, WEB.digest}


def test_blobs_come_first_then_manifests_below_indexes_and_tags_last(
    archive: Path, target: UploadRegistry, command: Command
) -> None:
    assert command("push", archive, target.host, "-j", "1").status == 0
    writes = [path for method, path in target.asked if method in ("POST", "PUT", "PATCH")]
    manifests = [path.rpartition("/")[2] for path in writes if "/manifests/" in path]
    assert writes[-len(manifests) :] == [path for path in writes if "/manifests/" in path]
    assert manifests[-2:] == ["1", "1"]
    assert set(manifests[:-2]) == {child.digest for child in (*MANY.children, WEB)}


def test_a_second_push_sends_one_request_for_each_name(archive: Path, target: UploadRegistry, command: Command) -> None:
    assert command("push", archive, target.host).status == 0
    target.requests.clear()
    done = command("push", archive, target.host, "--json")
    assert sorted(target.asked) == [("HEAD", "/v2/team/app/manifests/1"), ("HEAD", "/v2/team/web/manifests/1")]
    assert {each["state"] for each in json.loads(done.out)["images"]} == {"unchanged"}


def test_a_shared_blob_is_sent_once_and_mounted_where_the_registry_can(
    archive: Path, target: UploadRegistry, command: Command
) -> None:
    pushed = json.loads(command("push", archive, target.host, "--json").out)
    states = {blob["repository"]: blob["state"] for blob in pushed["blobs"] if blob["digest"] == SHARED.digest}
    assert states == {"team/app": "sent", "team/web": "mounted"}
    assert pushed["mounted"] == len(SHARED.content)


def test_a_blob_is_sent_again_where_the_registry_cannot_mount(
    archive: Path, target: UploadRegistry, command: Command
) -> None:
    target.mounts = False
    pushed = json.loads(command("push", archive, target.host, "--json").out)
    assert (pushed["mounted"], target.tags("team/web")) == (0, {"1": index(WEB).digest})


def test_a_dry_run_changes_nothing_and_shows_names_and_blobs(
    archive: Path, target: UploadRegistry, command: Command, loopback: Loopback
) -> None:
    done = command("push", archive, f"{target.host}/x", "--dry-run")
    assert {method for method, _ in target.asked} == {"HEAD", "GET"}
    assert f"{loopback.host}/team/app:1 -> {target.host}/x/team/app:1  new" in done.out
    assert f"  mount    x/team/web  {SHARED.digest}" in done.out


def test_a_registry_that_reads_slowly_has_the_time_for_a_response(target: UploadRegistry) -> None:
    target.sleeps, size = 1.0, 12_000_000
    client = HttpClient(tolerance=Tolerance(), connect_timeout=0.2)
    body = Body(size, lambda: (bytes(PIECE) for _ in range(size // PIECE)))
    body = body._replace(size=size // PIECE * PIECE)
    with client.get(f"http://{target.host}/v2/x/blobs/uploads/none", method="PUT", body=body) as response:
        assert response.status == 404
    client.close()


def test_a_tag_with_other_content_is_listed_and_nothing_is_sent(
    archive: Path, target: UploadRegistry, command: Command
) -> None:
    target.manifests["team/app", "1"] = (WEB.media_type, WEB.raw)
    target.manifests["team/web", "1"] = (APP.media_type, APP.raw)
    done = command("push", archive, target.host)
    assert done.status == 1
    assert f"  {target.host}/team/app:1 is {WEB.digest}" in done.err
    assert f"  {target.host}/team/web:1 is {APP.digest}" in done.err
    assert {method for method, _ in target.asked} == {"HEAD"}
    assert command("push", archive, target.host, "--force").status == 0
    assert target.tags("team/app") == {"1": MANY.digest}


HEADLESS = [400, 403, 404, 405, 500, 501]
"""Statuses that some registries return for HEAD alone (docs/registries.md#head-requests)."""


def refuse_head(target: UploadRegistry, status: int) -> None:
    """Let a registry refuse HEAD, but answer a HEAD of a blob with 404 as it should."""

    def refuse(sent: Sent) -> Reply | None:
        return refusal(status) if sent.method == "HEAD" and not (status == 404 and "/blobs/" in sent.path) else None

    target.fault = refuse


@pytest.mark.parametrize("status", HEADLESS)
def test_a_registry_that_refuses_head_is_asked_by_get(
    status: int, archive: Path, target: UploadRegistry, command: Command
) -> None:
    refuse_head(target, status)
    done = command("push", archive, target.host)
    assert done.status == 0, done.err
    assert target.tags("team/app") == {"1": MANY.digest}
    target.requests.clear()
    done = command("push", archive, target.host, "--json")
    assert {each["state"] for each in json.loads(done.out)["images"]} == {"unchanged"}
    done = command("push", archive, target.host, "--force", "--json")
    assert {each["state"] for each in json.loads(done.out)["blobs"]} == {"present"}
    assert target.received == 0


@pytest.mark.parametrize("status", HEADLESS)
def test_a_tag_that_only_get_finds_is_not_replaced(
    status: int, archive: Path, target: UploadRegistry, command: Command
) -> None:
    refuse_head(target, status)
    target.manifests["team/app", "1"] = (WEB.media_type, WEB.raw)
    done = command("push", archive, target.host)
    assert done.status == 1
    assert f"  {target.host}/team/app:1 is {WEB.digest}" in done.err
    assert {method for method, _ in target.asked} == {"HEAD", "GET"}


@pytest.mark.parametrize("status", [401, 429])
def test_a_refusal_of_head_that_another_request_would_make_worse_is_final(
    status: int, archive: Path, target: UploadRegistry, command: Command
) -> None:
    refuse_head(target, status)
    done = command("push", archive, target.host, "--retries", "0")
    assert done.status != 0
    assert {method for method, path in target.asked if "/manifests/" in path} == {"HEAD"}


def test_force_sends_a_blob_that_the_registry_has_lost(archive: Path, target: UploadRegistry, command: Command) -> None:
    assert command("push", archive, target.host).status == 0
    lost = target.blobs.pop(("team/app", SHARED.digest))
    assert command("push", archive, target.host).status == 0
    assert ("team/app", SHARED.digest) not in target.blobs
    assert command("push", archive, target.host, "--force").status == 0
    assert target.blobs["team/app", SHARED.digest] == lost


def test_a_damaged_archive_is_refused_before_the_first_request(
    archive: Path, target: UploadRegistry, command: Command
) -> None:
    raw = bytearray(archive.read_bytes())
    at = raw.index(SHARED.content)
    raw[at + 30] ^= 1
    archive.write_bytes(raw)
    done = command("push", archive, target.host)
    assert (done.status, target.requests) == (6, [])
    assert "nothing was pushed" in done.err


def test_a_file_that_changes_after_its_verification_is_noticed(
    archive: Path, target: UploadRegistry, command: Command
) -> None:
    def change(sent: Sent) -> Reply | None:
        if sent.method == "HEAD" and "/manifests/" in sent.path:
            raw = bytearray(archive.read_bytes())
            if SHARED.content in raw:
                raw[raw.index(SHARED.content) + 30] ^= 1
                archive.write_bytes(raw)
        return None

    target.fault = change
    done = command("push", archive, target.host)
    assert done.status == 6
    assert "was changed after it was verified" in done.err
    assert SHARED.digest not in {digest for _, digest in target.blobs}
    assert not target.manifests


def test_an_interrupted_upload_is_continued_in_the_same_run(
    loopback: Loopback,
    command: Command,
    tmp_path: Path,
    target: UploadRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blob_upload, "CHUNK", CHUNK)
    monkeypatch.setenv("IMGFETCH_RETRIES", "2")
    built = large()
    archive = saved(loopback, command, tmp_path, {"team/app": built})
    target.stops_after = CHUNK * 5 // 2
    done = command("push", archive, target.host, "--max-wait", "0.1")
    assert done.status == 0, done.err
    size = len(built.layers[0].content) + len(built.config.content)
    assert target.received == size
    assert target.tags("team/app") == {"1": built.digest}


@pytest.mark.parametrize(
    ("name", "rewrites", "expected"),
    [
        ("docker.io/library/alpine:3.20", (), "pre/library/alpine:3.20"),
        ("quay.io/x/y:1", (), "pre/x/y:1"),
        ("quay.io/x/y:1", ("quay.io/x=team/z",), "pre/team/z/y:1"),
        ("quay.io/xy/z:1", ("quay.io/x=team",), "pre/xy/z:1"),
        ("quay.io/x/y:1", ("quay.io=mirror", "quay.io/x=team"), "pre/team/y:1"),
        ("docker.io/library/alpine:1", ("docker.io/library=",), "pre/alpine:1"),
    ],
)
def test_a_name_maps_predictably(name: str, rewrites: tuple[str, ...], expected: str) -> None:
    place = Destination.parse("registry.example:5000/pre", rewrites)
    assert str(place.of(name, Digest.of(b""))) == f"registry.example:5000/{expected}"


def test_two_images_that_would_have_one_name_are_refused(
    archive: Path, target: UploadRegistry, command: Command, loopback: Loopback
) -> None:
    rewrites = [f"--rewrite={loopback.host}/team/{name}=one" for name in ("app", "web")]
    done = command("push", archive, target.host, *rewrites)
    assert (done.status, target.requests) == (2, [])
    assert f"would both be pushed as {target.host}/one:1" in done.err
    assert "--rewrite" in done.err


def test_layers_that_an_archive_leaves_out_are_those_of_the_registry(
    loopback: Loopback, command: Command, tmp_path: Path, target: UploadRegistry
) -> None:
    saved(loopback, command, tmp_path, {"team/app": APP}).rename(tmp_path / "base.tar")
    update = image(SHARED, hello("update"))
    archive = saved(loopback, command, tmp_path, {"team/new": update}, "--base", str(tmp_path / "base.tar"))
    done = command("push", archive, target.host)
    assert done.status == 3
    assert f"leaves out {SHARED.digest}" in done.err
    target.blobs["team/new", SHARED.digest] = SHARED.content
    assert command("push", archive, target.host).status == 0
    assert target.tags("team/new") == {"1": update.digest}


def test_layers_that_an_archive_leaves_out_are_mounted_from_their_base(
    loopback: Loopback, command: Command, tmp_path: Path, target: UploadRegistry
) -> None:
    base = saved(loopback, command, tmp_path, {"team/app": APP}).rename(tmp_path / "base.tar")
    update = image(SHARED, hello("update"))
    archive = saved(loopback, command, tmp_path, {"team/new": update}, "--base", str(base))
    assert command("push", base, f"{target.host}/x").status == 0
    for options in (("--dry-run",), ()):
        pushed = json.loads(command("push", archive, f"{target.host}/x", "--json", *options).out)
        assert pushed["mounted"] == len(SHARED.content)
    assert target.tags("x/team/new") == {"1": update.digest}


def test_decompressed_layers_need_permission_because_the_digest_is_another(
    loopback: Loopback, command: Command, tmp_path: Path, target: UploadRegistry
) -> None:
    archive = saved(loopback, command, tmp_path, {"team/app": APP}, "--layers", "plain")
    done = command("push", archive, target.host)
    assert (done.status, target.requests) == (1, [])
    assert "--allow-digest-change" in done.err
    assert command("push", archive, target.host, "--allow-digest-change").status == 0
    assert set(target.tags("team/app")) == {"1"}


SAMPLES = {sample.name: sample for sample in samples.samples() if sample.has_images}
CHANGING = ("docker-20", "docker-28.5-app", "docker-archive", "crane-0.20-app", "crane-0.20-zstd", "crane-0.20-legacy")
CHANGING += ("generated-docker", "generated-jib-2.2", "generated-jib-3.5", "generated-kaniko")
ANEW = ("podman", "buildah", "umoci", "buildkit")
"""Writers of layouts with digests of their own."""


@pytest.mark.parametrize("name", SAMPLES)
def test_archives_of_every_writer_are_pushed_whole_and_by_their_digests(
    name: str, target: UploadRegistry, tmp_path: Path
) -> None:
    sample = SAMPLES[name]
    file = tmp_path / "a.tar"
    file.write_bytes(sample.file)
    place = f"{target.host}/team"
    changes = name != "generated-jib-3.5-oci" and any(part in name for part in CHANGING)
    if changes:
        with pytest.raises(imgfetch.UnsupportedError, match="has other digests than the origin"):
            imgfetch.push(file, place)
        assert target.requests == []
    pushed = imgfetch.push(file, place, allow_digest_change=changes)
    digests = {str(each.digest) for each in pushed.images}
    assert changes or name.startswith(ANEW) or sample.built.digest in digests
    for (repository, _), (_, raw) in target.manifests.items():
        document = json.loads(raw)
        parts = [*document.get("layers", ()), *([document["config"]] if "config" in document else ())]
        assert all((repository, part["digest"]) in target.blobs for part in parts)


BAD: dict[str, tuple[str, str, Reply, int, str]] = {
    "read-only": ("POST", "/uploads/", refusal(405, "UNSUPPORTED"), 1, "the registry is read-only"),
    "no pushes": ("POST", "/uploads/", refusal(501), 1, "this is not a registry"),
    "forbidden": ("POST", "/uploads/", refusal(403, "DENIED"), 4, "cannot push blob"),
    "unauthorized": ("PUT", "/manifests/", refusal(401, "UNAUTHORIZED"), 4, "log in: imgfetch login"),
    "too large": ("PUT", "/uploads/", refusal(413), 1, "client_max_body_size"),
    "no location": ("POST", "/uploads/", Reply(202), 1, "sent no Location"),
    "another digest of a blob": (
        "PUT",
        "/uploads/",
        Reply(201, {"Docker-Content-Digest": f"sha256:{'0' * 64}"}),
        6,
        "under another digest",
    ),
    "another digest of a manifest": (
        "PUT",
        "/manifests/",
        Reply(201, {"Docker-Content-Digest": f"sha256:{'0' * 64}"}),
        6,
        "under another digest",
    ),
    "a redirect that loses the body": ("PUT", "/uploads/", Reply(302, {"Location": "/v2/x"}), 1, "302"),
    "unavailable": ("POST", "/uploads/", refusal(503), 5, "temporarily unavailable"),
    "too many requests": ("HEAD", "/manifests/", refusal(429, Retry_After="500"), 5, "too many requests"),
    "a page": ("POST", "/uploads/", Reply(418, {}, b"<html>"), 1, "418"),
    "an invalid address": (
        "POST",
        "/uploads/",
        Reply(202, {"Location": "ftp://u:p@x/y"}),
        1,
        "sent an invalid address",
    ),
    "an unsafe address": (
        "POST",
        "/uploads/",
        Reply(202, {"Location": "http://169.254.169.254/x"}),
        1,
        "unsafe address",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_answer_ends_the_push_by_its_cause(
    case: str, archive: Path, target: UploadRegistry, command: Command
) -> None:
    method, part, reply, status, said = BAD[case]
    target.fault = lambda sent: reply if sent.method == method and part in sent.path else None
    done = command("push", archive, target.host)
    assert (done.status, said in done.err) == (status, True), done.err
    assert target.tags("team/app") == {}


def test_two_pushes_at_once_both_succeed(archive: Path, registry: RealRegistry, tmp_path: Path) -> None:
    words = [sys.executable, "-m", "imgfetch", "push", archive, f"{registry.host}/at-once"]
    environment = os.environ | {"IMGFETCH_CACHE_DIR": str(tmp_path / "cache")}
    several = [subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in "ab"]
    printed = [each.communicate(timeout=120) for each in several]
    assert [each.returncode for each in several] == [0, 0], printed
    assert printed[0][0] == printed[1][0]
    assert MANY.digest in printed[0][0].decode()


@pytest.mark.parametrize("refusals", [2, 3])
def test_a_manifest_whose_parts_a_registry_does_not_find_is_sent_three_times(
    refusals: int, archive: Path, target: UploadRegistry, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGFETCH_RETRIES", "4")
    refused: list[str] = []

    def lack(sent: Sent) -> Reply | None:
        if sent.method == "PUT" and sent.path.endswith("/team/app/manifests/1") and len(refused) < refusals:
            refused.append(sent.path)
            return refusal(400, "MANIFEST_BLOB_UNKNOWN")
        return None

    target.fault = lack
    done = command("push", archive, target.host, "--max-wait", "0.1")
    assert done.status == (refusals == 3)
    assert len(refused) == refusals


def test_a_full_disk_of_temporary_files_ends_a_push_before_it_begins(
    target: UploadRegistry, loopback: Loopback, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = saved(loopback, command, tmp_path, {"team/app": large(3_000_000)})
    packed = tmp_path / "z.tar.gz"
    packed.write_bytes(gz(archive.read_bytes()))
    small = tmp_path / "small"
    small.mkdir()
    with tmpfs(small, size="2m"):
        monkeypatch.setattr(tempfile, "tempdir", str(small))
        done = command("push", packed, target.host)
        assert (done.status, target.requests) == (7, [])
        assert f"cannot write a temporary copy of {packed}: No space left on device" in done.err
        assert "TMPDIR=DIR" in done.err
        assert list(small.iterdir()) == []


def test_a_push_that_may_succeed_later_says_that_blobs_stay(
    archive: Path, target: UploadRegistry, command: Command
) -> None:
    target.fault = lambda sent: refusal(503) if sent.method == "POST" else None
    done = command("push", archive, target.host)
    assert (done.status, "  uploaded blobs stay in the registry" in done.err) == (5, True)


@pytest.mark.parametrize("status", [429, 503])
def test_a_registry_that_asks_to_wait_is_asked_again(
    status: int, archive: Path, target: UploadRegistry, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGFETCH_RETRIES", "2")
    refused: set[str] = set()

    def once(sent: Sent) -> Reply | None:
        if sent.method in refused:
            return None
        refused.add(sent.method)
        return refusal(status, Retry_After="1")

    target.fault = once
    done = command("push", archive, target.host)
    assert done.status == 0, done.err
    assert refused >= {"HEAD", "POST", "PUT"}


def push_with_a_password(command: Command, archive: Path, target: UploadRegistry, directory: Path) -> None:
    (directory / "auth.json").write_text(json.dumps({"auths": {target.host: {"auth": "YWxpY2U6c2VjcmV0"}}}))
    done = command("push", archive, target.host, "--authfile", directory / "auth.json")
    assert done.status == 0, done.err


def assert_only_uploads_without_credentials(other: UploadRegistry) -> None:
    assert other.number("PUT", "/uploads/")
    assert not any("Authorization" in sent.headers for sent in other.requests)


def test_a_redirect_that_keeps_the_body_is_followed_without_credentials_for_another_origin(
    archive: Path, target: UploadRegistry, command: Command, tmp_path: Path
) -> None:
    with UploadRegistry() as other:
        other.blobs, other.uploads, other.manifests = target.blobs, target.uploads, target.manifests

        def fault(sent: Sent) -> Reply | None:
            if "Authorization" not in sent.headers:
                return refusal(401, WWW_Authenticate='Basic realm="x"')
            if sent.method == "PUT" and "/uploads/" in sent.path:
                name = sent.path.partition("?")[0].rpartition("/")[2]
                target.uploads[name].clear()
                return Reply(307, {"Location": f"http://{other.host}{sent.path}"})
            return None

        target.fault = fault
        push_with_a_password(command, archive, target, tmp_path)
        assert_only_uploads_without_credentials(other)
        assert target.tags("team/app") == {"1": MANY.digest}


def test_the_address_of_an_upload_at_another_origin_receives_no_credentials(
    archive: Path, target: UploadRegistry, command: Command, tmp_path: Path
) -> None:
    with UploadRegistry() as other:
        other.blobs, other.uploads = target.blobs, target.uploads

        def fault(sent: Sent) -> Reply | None:
            if "Authorization" not in sent.headers:
                return refusal(401, WWW_Authenticate='Basic realm="x"')
            if sent.method == "POST" and "mount" not in sent.path:
                reply = target.reply(sent, b"")
                return Reply(202, {"Location": f"http://{other.host}{reply.headers['Location']}"})
            return None

        target.fault = fault
        push_with_a_password(command, archive, target, tmp_path)
        assert_only_uploads_without_credentials(other)


def test_an_upload_that_expired_is_begun_anew(
    archive: Path, target: UploadRegistry, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGFETCH_RETRIES", "2")
    expired: list[str] = []

    def expire(sent: Sent) -> Reply | None:
        if sent.method == "PUT" and "/uploads/" in sent.path and not expired:
            expired.append(sent.path)
            return refusal(404, "BLOB_UPLOAD_UNKNOWN")
        return None

    target.fault = expire
    done = command("push", archive, target.host, "--max-wait", "0.1")
    assert done.status == 0, done.err
    assert expired


def test_an_upload_with_wrong_content_is_begun_anew(
    archive: Path, target: UploadRegistry, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGFETCH_RETRIES", "2")
    spoilt: list[str] = []

    def spoil(sent: Sent) -> Reply | None:
        if sent.method == "PUT" and "/uploads/" in sent.path and not spoilt:
            name = sent.path.partition("?")[0].rpartition("/")[2]
            spoilt.append(name)
            target.uploads[name][0] ^= 1
            return refusal(400, "DIGEST_INVALID")
        return None

    target.fault = spoil
    done = command("push", archive, target.host, "--max-wait", "0.1")
    assert done.status == 0, done.err
    target.fault = lambda sent: refusal(400, "DIGEST_INVALID") if sent.method == "PUT" else None
    done = command("push", archive, f"{target.host}/again", "--max-wait", "0.1")
    assert done.status == 6
    assert "received other content than was sent" in done.err


@pytest.mark.parametrize("form", ["tar.gz", "tar.zst", "directory", "pipe"])
def test_every_form_of_an_archive_is_pushed(
    form: str, archive: Path, target: UploadRegistry, tmp_path: Path, command: Command
) -> None:
    raw = archive.read_bytes()
    if form == "pipe":
        with stdin_of(raw):
            done = command("push", "-", target.host)
    else:
        path = tmp_path / f"z.{form}"
        if form == "directory":
            path.mkdir()
            subprocess.run(["tar", "-xf", archive, "-C", path], check=True)
        else:
            path.write_bytes(gz(raw) if form == "tar.gz" else zstandard.compress(raw))
        done = command("push", path, target.host)
    assert done.status == 0, done.err
    assert target.tags("team/app") == {"1": MANY.digest}
    assert target.blobs["team/web", SHARED.digest] == SHARED.content


@pytest.mark.parametrize("form", ["tar.gz", "tar.zst"])
def test_the_content_of_a_compressed_archive_is_copied_while_it_is_verified(
    form: str, archive: Path, target: UploadRegistry, tmp_path: Path
) -> None:
    raw, path = archive.read_bytes(), tmp_path / f"z.{form}"
    path.write_bytes(gz(raw) if form == "tar.gz" else zstandard.compress(raw))

    @contextmanager
    def reading() -> Iterator[Callable[[int], None]]:
        yield lambda _: None
        path.write_bytes(b"")

    imgfetch.push(path, target.host, reading=reading)
    assert target.tags("team/app") == {"1": MANY.digest}


def test_an_image_without_a_tag_is_pushed_by_its_digest(
    loopback: Loopback, command: Command, tmp_path: Path, target: UploadRegistry
) -> None:
    loopback.add("team/app", "1", MANY)
    name = f"{loopback.host}/team/app@{MANY.digest}"
    assert command("save", name, "-o", tmp_path / "y.tar", "--all-platforms").status == 0
    done = command("push", tmp_path / "y.tar", target.host)
    assert done.out == f"{target.host}/team/app@{MANY.digest}\n"
    assert target.tags("team/app") == {}
    assert target.manifests["team/app", MANY.digest][1] == MANY.raw


def test_a_token_that_ends_in_the_middle_of_an_upload_is_renewed(
    loopback: Loopback, command: Command, tmp_path: Path, target: UploadRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_upload, "CHUNK", CHUNK)
    built, given = large(), [0]

    def fault(sent: Sent) -> Reply | None:
        if sent.path.startswith("/token"):
            given[0] += 1
            return Reply(200, {}, b'{"token": "T-%d"}' % given[0])
        if target.number("PATCH") == 2 and given[0] == 1:
            given[0] += 1
        if sent.headers.get("Authorization") == f"Bearer T-{given[0]}":
            return None
        for name, content in target.uploads.items():  # a refused body is no part of an upload
            target.uploads[name] = content[: int(sent.path.partition("offset=")[2].partition("&")[0] or 0)]
        challenge = f'Bearer realm="http://{target.host}/token",scope="repository:team/app:pull,push"'
        return refusal(401, "UNAUTHORIZED", WWW_Authenticate=challenge)

    target.fault = fault
    archive = saved(loopback, command, tmp_path, {"team/app": built})
    done = command("push", archive, target.host, "-j", "1")
    assert done.status == 0, done.err
    assert target.tags("team/app") == {"1": built.digest}
    assert given[0] == 3


def write_layout(directory: Path, *built: tuple[Built, dict[str, str]]) -> Path:
    """Write an OCI image layout whose `index.json` lists some documents with annotations."""
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def add(each: Built) -> None:
        (blobs / each.digest.partition(":")[2]).write_bytes(each.raw)
        for blob in each.blobs:
            (blobs / blob.digest.partition(":")[2]).write_bytes(blob.content)
        for child in each.children:
            add(child)

    for each, _ in built:
        add(each)
    entries = [{**each.entry, "annotations": annotations} for each, annotations in built]
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": entries}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return directory


NAMED = {"io.containerd.image.name": "quay.io/team/app:1", "org.opencontainers.image.ref.name": "1"}
BUNDLE = referrer(MANY)
OF_CHILD = referrer(APP, content=b'{"of": "a child"}')
OF_BUNDLE = referrer(BUNDLE, content=b'{"of": "a bundle"}')
COSIGNED = cosigned(MANY)


@pytest.fixture
def signed(tmp_path: Path) -> Path:
    tag = {"io.github.imgfetch.tag": cosign_tag(MANY)}
    entries = [(OF_BUNDLE, {}), (BUNDLE, {}), (COSIGNED, tag), (OF_CHILD, {}), (MANY, NAMED)]
    return write_layout(tmp_path / "layout", *entries)


def test_what_is_about_an_image_goes_to_its_repository(signed: Path, target: UploadRegistry) -> None:
    imgfetch.push(signed, target.host)
    assert target.tags("team/app") == {"1": MANY.digest, cosign_tag(MANY): COSIGNED.digest}
    for built in (BUNDLE, OF_CHILD, OF_BUNDLE):
        assert target.manifests["team/app", built.digest][1] == built.raw


def test_what_is_about_an_image_and_has_a_name_is_pushed_under_that_too(tmp_path: Path, target: UploadRegistry) -> None:
    own = {"io.containerd.image.name": "docker.io/team/reports:1"}
    tag = {"org.opencontainers.image.ref.name": cosign_tag(MANY)}
    imgfetch.push(write_layout(tmp_path / "layout", (BUNDLE, own), (OF_CHILD, tag), (MANY, NAMED)), target.host)
    assert target.tags("team/reports") == {"1": BUNDLE.digest}
    assert target.manifests["team/app", BUNDLE.digest][1] == BUNDLE.raw
    assert target.manifests["team/app", OF_CHILD.digest][1] == OF_CHILD.raw


def test_a_registry_without_the_referrers_api_gets_their_lists_once(signed: Path, target: UploadRegistry) -> None:
    target.knows_referrers = False
    older = referrer(MANY, content=b"older")
    tag = cosign_tag(MANY, "")
    before = index(entries=[{**older.entry, "annotations": {"a": "b"}}])
    target.manifests["team/app", tag] = (before.media_type, before.raw)
    for _ in range(2):
        imgfetch.push(signed, target.host)
    listed = json.loads(target.manifests["team/app", tag][1])["manifests"]
    assert [each["digest"] for each in listed] == [older.digest, BUNDLE.digest]
    assert listed[0]["annotations"] == {"a": "b"}
    assert listed[1]["artifactType"] == json.loads(BUNDLE.raw)["artifactType"]
    assert json.loads(target.manifests["team/app", cosign_tag(APP, "")][1])["manifests"][0]["digest"] == OF_CHILD.digest
    assert target.asked.count(("PUT", f"/v2/team/app/manifests/{tag}")) == 1


def test_a_tag_that_is_not_a_list_of_referrers_is_left_untouched(
    signed: Path, target: UploadRegistry, caplog: pytest.LogCaptureFixture
) -> None:
    target.knows_referrers = False
    tag = cosign_tag(MANY, "")
    target.manifests["team/app", tag] = (APP.media_type, APP.raw)
    imgfetch.push(signed, target.host)
    assert target.manifests["team/app", tag][1] == APP.raw
    assert "is not an index; it is left untouched" in caplog.text


def test_tags_come_after_what_has_none(signed: Path, target: UploadRegistry) -> None:
    imgfetch.push(signed, target.host)
    puts = [path.rpartition("/")[2] for method, path in target.asked if method == "PUT" and "/manifests/" in path]
    assert set(puts[-2:]) == {"1", cosign_tag(MANY)}


def test_a_nested_index_comes_after_its_children(tmp_path: Path, target: UploadRegistry) -> None:
    nested = index(index(APP), APP)
    imgfetch.push(write_layout(tmp_path / "layout", (nested, NAMED)), target.host)
    puts = [path.rpartition("/")[2] for method, path in target.asked if method == "PUT" and "/manifests/" in path]
    assert puts == [APP.digest, index(APP).digest, "1"]


def test_a_list_of_referrers_that_a_killed_push_has_not_written_is_written(
    signed: Path, target: UploadRegistry
) -> None:
    target.knows_referrers = False
    imgfetch.push(signed, target.host)
    tag = cosign_tag(MANY, "")
    del target.manifests["team/app", tag]
    imgfetch.push(signed, target.host)
    assert ("team/app", tag) in target.manifests


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("http://registry.example/v2/x?a=b", "https://registry.example/v2/x?a=b"),
        ("/v2/x", "https://registry.example/v2/x"),
        ("https://storage.example/x", "https://storage.example/x"),
    ],
)
def test_the_address_of_an_upload_keeps_tls(location: str, expected: str, wired: responses.RequestsMock) -> None:
    wired.post(re.compile(".*/uploads/"), status=202, headers={"Location": location})
    assert begun() == expected


def test_an_upload_is_never_sent_without_tls_to_another_host(wired: responses.RequestsMock) -> None:
    wired.post(re.compile(".*/uploads/"), status=202, headers={"Location": "http://storage.example/x"})
    with pytest.raises(imgfetch.RegistryError, match=r"sent an upload to storage\.example without TLS"):
        begun()


def test_a_push_that_is_denied_does_not_continue_without_credentials(
    archive: Path, target: UploadRegistry, command: Command, tmp_path: Path
) -> None:
    def fault(sent: Sent) -> Reply | None:
        if sent.path.startswith("/token"):
            return Reply(200, {}, b'{"token": "T-%d"}' % ("Authorization" in sent.headers))
        if "Authorization" not in sent.headers:
            challenge = f'Bearer realm="http://{target.host}/token",scope="repository:team/app:pull,push"'
            return refusal(401, WWW_Authenticate=challenge)
        return refusal(403, "DENIED") if sent.headers["Authorization"] == "Bearer T-1" else None

    target.fault = fault
    (tmp_path / "auth.json").write_text(json.dumps({"auths": {target.host: {"auth": "YWxpY2U6c2VjcmV0"}}}))
    done = command("push", archive, target.host, "--authfile", tmp_path / "auth.json")
    assert done.status == 4
    assert "alice" in done.err
    assert target.tags("team/app") == {}


def test_a_push_with_its_arguments_swapped_says_so(archive: Path, command: Command) -> None:
    done = command("push", "registry.example/team", archive)
    assert done.status == 2
    assert f"'{archive}' is a file: write it before the registry, as in imgfetch push FILE REGISTRY" in done.err
    assert "cannot read" not in done.err


def test_an_upload_in_progress_is_not_continued_by_another_process(tmp_path: Path) -> None:
    first, second = UploadNotes(tmp_path / "cache"), UploadNotes(tmp_path / "cache")
    with first.of("x/y", "sha256:1") as mine:
        mine.keep("https://x/1")
        with second.of("x/y", "sha256:1") as theirs:
            assert theirs.address == ""
            theirs.keep("https://x/2")
        assert mine.address == "https://x/1"
    with second.of("x/y", "sha256:1") as next_one:
        assert next_one.address == "https://x/1"


def test_an_address_of_last_week_is_forgotten(tmp_path: Path) -> None:
    with UploadNotes(tmp_path / "cache").of("x/y", "sha256:1") as note:
        note.keep("https://x/1")
    (path,) = (tmp_path / "cache" / "uploads").iterdir()
    os.utime(path, (1, 1))
    with UploadNotes(tmp_path / "cache").of("x/y", "sha256:1") as note:
        assert note.address == ""


@pytest.fixture
def wired() -> Iterator[responses.RequestsMock]:
    with responses.RequestsMock() as mock:
        yield mock


def begun() -> str:
    """Return the address of an upload at registry.example."""
    policy = RetryPolicy(retries=0)
    uploads = Uploads(Registry("registry.example", patience=policy, pushes=True), policy)
    upload = uploads.begin(Reference("registry.example", "x"), Descriptor.of(b"content", ""))
    assert upload is not None
    return upload.address


def test_a_registry_may_ask_for_larger_chunks(
    loopback: Loopback, command: Command, tmp_path: Path, target: UploadRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blob_upload, "CHUNK", CHUNK)
    target.least = 2 * CHUNK
    archive = saved(loopback, command, tmp_path, {"team/app": large()})
    assert command("push", archive, target.host).status == 0
    assert [sent.size for sent in target.requests if sent.method == "PATCH"] == [2 * CHUNK, 2 * CHUNK]


def test_a_layer_that_registries_need_not_have_may_be_missing(tmp_path: Path, target: UploadRegistry) -> None:
    foreign = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
    windows = layer(tar({"a": b""}), foreign, raw=tar({"a": b""}), urls=["https://windows.example/layer"])
    built = image(windows, SHARED)
    annotations = {**NAMED, "io.github.imgfetch.absent": windows.digest}
    directory = write_layout(tmp_path / "layout", (built, annotations))
    (directory / "blobs" / "sha256" / windows.digest.partition(":")[2]).unlink()
    imgfetch.push(directory, target.host)
    assert target.tags("team/app") == {"1": built.digest}
    assert ("team/app", windows.digest) not in target.blobs


def test_a_cache_that_cannot_be_used_is_a_warning(archive: Path, target: UploadRegistry, command: Command) -> None:
    done = command("push", archive, target.host, "--cache-dir", archive)
    assert done.status == 0
    assert "if this push is interrupted, its uploads start over" in done.err


def test_jobs_are_at_least_one(archive: Path, target: UploadRegistry) -> None:
    with pytest.raises(ValueError, match="jobs must be 1 or more"):
        imgfetch.push(archive, target.host, jobs=0)


@pytest.mark.parametrize(("claimed", "status"), [("0-159999", 0), ("0-99999", 1), ("0-99999999", 1), ("7-9", 0)])
def test_a_registry_may_take_a_part_of_a_chunk_but_neither_none_nor_more(  # noqa: PLR0917  # two are a case
    claimed: str,
    status: int,
    loopback: Loopback,
    command: Command,
    tmp_path: Path,
    target: UploadRegistry,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(blob_upload, "CHUNK", CHUNK)

    def claim(sent: Sent) -> Reply | None:
        if sent.method != "PATCH" or target.number("PATCH") != 2:
            return None
        name = sent.path.partition("?")[0].rpartition("/")[2]
        if claimed == "0-159999":
            del target.uploads[name][160_000:]
        reply = target.reply(sent, b"")
        return Reply(202, {**reply.headers, "Range": claimed})

    target.fault = claim
    built = large()
    archive = saved(loopback, command, tmp_path, {"team/app": built})
    assert command("push", archive, target.host).status == status
    assert target.tags("team/app") == ({} if status else {"1": built.digest})
