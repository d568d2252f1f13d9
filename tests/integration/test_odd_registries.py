"""Pushes to registries that deviate from the specification as some real ones do, and what a push does instead."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from imgfetch.registry import uploads
from imgfetch.upload import blob as blob_upload
from tests.images import index
from tests.integration import test_push
from tests.integration.conftest import Command
from tests.integration.test_push import CHUNK, MANY, SHARED, WEB, large, saved
from tests.loopback import Loopback
from tests.uploads import Fault, Reply, Sent, UploadRegistry, refusal

archive = test_push.archive
target = test_push.target
LARGE = large()
TOKEN = b'{"token": "T"}'


@pytest.fixture
def chunked(loopback: Loopback, command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an archive with a layer of five chunks and a bit; requests are sent up to twice."""
    path = saved(loopback, command, tmp_path, {"team/app": LARGE})
    monkeypatch.setattr(blob_upload, "CHUNK", CHUNK)
    monkeypatch.setenv("IMGFETCH_RETRIES", "1")
    monkeypatch.setenv("IMGFETCH_MAX_WAIT", "0.1")
    monkeypatch.setenv("IMGFETCH_JOBS", "1")
    return path


def fails_at(target: UploadRegistry, number: int, *statuses: int) -> Fault:
    """Return a fault for a chunk of a number, and for what follows, as long as there are statuses."""
    left = list(statuses)
    return lambda sent: refusal(left.pop(0)) if left and target.number("PATCH") >= number and sent.size else None


def interrupted(archive: Path, target: UploadRegistry, command: Command) -> Path:
    """Let a push end between two chunks, and return its note."""
    target.fault = lambda sent: refusal(503) if sent.method == "PATCH" and target.number("PATCH") >= 2 else None
    assert command("push", archive, target.host).status == 5
    target.fault = UploadRegistry.obeys
    [note] = (archive.parent / "cache" / "uploads").iterdir()
    return note


def pushed(archive: Path, target: UploadRegistry, command: Command) -> None:
    """Expect that a push succeeds and leaves no note."""
    done = command("push", archive, target.host)
    assert done.status == 0, done.err
    assert target.tags("team/app") == {"1": LARGE.digest}
    assert list((archive.parent / "cache" / "uploads").iterdir()) == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 500])
def test_a_blob_is_sent_again_where_the_registry_refuses_to_mount(
    status: int, archive: Path, target: UploadRegistry, command: Command
) -> None:
    target.fault = lambda sent: refusal(status) if sent.method == "POST" and "mount=" in sent.path else None
    done = command("push", archive, target.host)
    assert done.status == 0, done.err
    assert target.number("POST", "mount=") == 1
    assert target.tags("team/web") == {"1": index(WEB).digest}


def test_a_blob_is_sent_again_where_the_token_server_refuses_the_access_for_a_mount(
    archive: Path, target: UploadRegistry, command: Command
) -> None:
    own = "repository:team/web:pull,push"

    def fault(sent: Sent) -> Reply | None:
        if sent.path.startswith("/token"):
            return refusal(403, "DENIED") if "app" in sent.path and "web" in sent.path else Reply(200, {}, TOKEN)
        if sent.headers.get("Authorization") == "Bearer T" and "mount=" not in sent.path:
            return None
        scope = f"{own} repository:team/app:pull" if "mount=" in sent.path else own.replace("web", sent.path[9:12])
        return refusal(
            401, "UNAUTHORIZED", WWW_Authenticate=f'Bearer realm="http://{target.host}/token",scope="{scope}"'
        )

    target.fault = fault
    done = command("push", archive, target.host, "-v")
    assert done.status == 0, done.err
    assert target.tags("team/web") == {"1": index(WEB).digest}
    assert f"cannot mount blob {SHARED.digest} to {target.host}/team/web from team/app" in done.err


def test_a_registry_may_answer_a_manifest_with_202(archive: Path, target: UploadRegistry, command: Command) -> None:
    target.manifest_status = 202
    done = command("push", archive, target.host)
    assert done.status == 0, done.err
    assert target.tags("team/app") == {"1": MANY.digest}


@pytest.mark.parametrize("status", [400, 404, 405, 416, 501])
@pytest.mark.parametrize("taken", [0, 1])
def test_a_registry_that_refuses_chunks_receives_the_blob_in_one_request(
    taken: int, status: int, chunked: Path, target: UploadRegistry, command: Command
) -> None:
    target.fault = fails_at(target, taken + 1, status)
    pushed(chunked, target, command)
    assert target.number("PATCH") == taken + 1


def test_a_registry_that_has_taken_chunks_is_sent_more_of_them_after_it_has_lost_an_upload(
    chunked: Path, target: UploadRegistry, command: Command
) -> None:
    target.fault = fails_at(target, 4, 404)
    pushed(chunked, target, command)
    assert target.number("PATCH") == 4 + 5


def test_a_registry_that_loses_an_interrupted_upload_is_sent_chunks_again(
    chunked: Path, target: UploadRegistry, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IMGFETCH_RETRIES", "2")
    target.fault = fails_at(target, 1, 503, 404)
    pushed(chunked, target, command)
    assert target.number("PATCH") == 2 + 5


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/x", "http://[bad", "../../x", "http://169.254.169.254/x", "ftp://x/y"]
)
def test_an_address_of_an_earlier_run_that_leads_nowhere_costs_no_push(
    address: str, chunked: Path, target: UploadRegistry, command: Command
) -> None:
    note = interrupted(chunked, target, command)
    note.write_text(json.dumps({"address": address}))
    pushed(chunked, target, command)


def test_an_upload_of_an_earlier_run_that_the_registry_cannot_find_is_begun_anew(
    chunked: Path, target: UploadRegistry, command: Command
) -> None:
    interrupted(chunked, target, command)
    target.fault = lambda sent: refusal(503) if sent.method == "GET" and "upload-" in sent.path else None
    pushed(chunked, target, command)


def test_an_upload_of_an_earlier_run_that_the_registry_has_broken_is_begun_anew(
    chunked: Path, target: UploadRegistry, command: Command
) -> None:
    interrupted(chunked, target, command)
    broken = max(target.uploads, key=lambda name: len(target.uploads[name]))
    target.fault = lambda sent: refusal(400) if sent.method == "PUT" and broken in sent.path else None
    before = target.number("PATCH")
    pushed(chunked, target, command)
    assert target.number("PATCH") == before + 2 + 5


def test_an_upload_that_the_registry_has_whole_is_closed_without_a_range(
    chunked: Path, target: UploadRegistry, command: Command
) -> None:
    target.fault = lambda sent: refusal(503) if sent.method == "PUT" and "Content-Range" in sent.headers else None
    pushed(chunked, target, command)
    *_, last = (sent for sent in target.requests if sent.method == "PUT" and "/uploads/" in sent.path)
    assert (last.size, "Content-Range" in last.headers) == (0, False)


def test_a_registry_may_answer_a_chunk_without_an_address(
    chunked: Path, target: UploadRegistry, command: Command
) -> None:
    target.fault = lambda sent: Reply(202) if sent.method == "PATCH" else None
    pushed(chunked, target, command)


def test_a_registry_has_more_time_to_store_a_larger_blob(
    archive: Path, target: UploadRegistry, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(sent: Sent) -> Reply | None:
        if sent.method == "PUT" and "/uploads/" in sent.path:
            time.sleep(3)
        return None

    target.fault = slow
    assert command("push", archive, target.host, "--timeout", "1").status == 5
    monkeypatch.setattr(uploads, "STORING", 1)  # so that a blob of 100 bytes has 100 s
    done = command("push", archive, target.host, "--timeout", "1")
    assert done.status == 0, done.err


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (404, "NAME_UNKNOWN", "hint: check the name; some registries must have a repository"),
        (400, "MANIFEST_BLOB_UNKNOWN", "the registry has lost a blob"),
        (404, "MANIFEST_BLOB_UNKNOWN", "the registry has lost a blob"),
        (412, "TAG_IMMUTABLE", ""),
        (405, "UNSUPPORTED", "the registry is read-only"),
    ],
)
def test_a_refusal_shows_what_the_registry_says_and_what_to_do_next(  # noqa: PLR0917  # fixtures
    status: int, code: str, hint: str, archive: Path, target: UploadRegistry, command: Command
) -> None:
    target.fault = lambda sent: refusal(status, code) if sent.method == "PUT" and "/manifests/1" in sent.path else None
    done = command("push", archive, target.host, "-j", "1")
    answer = f"error: cannot push {target.host}/team/app:1: {target.host} returned {status} "
    assert done.status == 1
    assert answer in done.err
    assert f"({code}: {code.lower()})" in done.err
    assert hint in done.err
    assert "may not be a registry" not in done.err
