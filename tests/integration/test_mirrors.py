"""No mirror costs a save more than a moment, whatever it does, and none that works is left for the registry itself."""

from __future__ import annotations

import json
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from imgfetch.auth.credentials import Credentials
from imgfetch.auth.login import Login
from imgfetch.http.retries import RetryPolicy
from imgfetch.pull.client import Client
from imgfetch.pull.results import Saved
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.mirror_rules import Mirrors
from imgfetch.registry.server import Limits
from tests.images import OCI_TAR, image, layer, tar
from tests.integration.conftest import Command
from tests.mirrors import HURRIED, PATIENT, MirrorServer
from tests.stories import Log
from tests.waiting import until

LAYERS = 6
SIZE = 400_000
_RNG = random.Random(1)
IMAGE = image(*[layer(tar({f"{number}": _RNG.randbytes(SIZE)}), OCI_TAR) for number in range(LAYERS)])
SLOW = 600_000.0


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


Limit = Callable[..., None]


class Desk:
    """Saves an image through mirrors, the registry itself being the last of the servers."""

    def __init__(self, stack: ExitStack, target: Path) -> None:
        self._stack = stack
        self.target = target
        self.servers: list[MirrorServer] = []

    def serve(self, *servers: MirrorServer) -> None:
        self.servers = [self._stack.enter_context(server) for server in servers]

    @property
    def reference(self) -> str:
        return f"{self.servers[-1].host}/team/app:1"

    @property
    def mirrors(self) -> tuple[str, ...]:
        return tuple(f"{self.servers[-1].host}={mirror.url}" for mirror in self.servers[:-1])

    def save(self, *, jobs: int = 4, timeout: float = 60, mirrors: tuple[str, ...] = (), login: bool = False) -> Saved:
        logins = Credentials(explicit=Login("alice", "secret", source="a test", is_explicit=True) if login else None)
        config = RegistryConfig(logins, mirrors=Mirrors(urls=mirrors or self.mirrors), plain_http=True)
        client = Client(config, retries=RetryPolicy(retries=0), timeout=timeout)
        return client.save(self.reference, self.target, platform="linux/amd64", jobs=jobs)

    def is_quiet(self) -> bool:
        """Return whether nothing is requested any longer, by no thread."""
        return not any(server.answering for server in self.servers) and not any(
            thread.name == "imgfetch-request" for thread in threading.enumerate()
        )


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Limit:
    """Return a function that replaces limits."""

    def replace(limits: Limits = PATIENT, **changes: float) -> None:
        monkeypatch.setattr("imgfetch.pull.session.LIMITS", limits._replace(**changes))

    replace()
    return replace


@pytest.fixture
def desk(tmp_path: Path, limits: Limit) -> Iterator[Desk]:
    assert limits
    with ExitStack() as stack:
        yield Desk(stack, tmp_path / "app.tar")


@pytest.fixture
def no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``unknown.invalid`` be unknown without asking a name server, which may take long."""
    lookup = socket.getaddrinfo

    def getaddrinfo(host: object, *arguments: Any, **options: Any) -> object:
        if host == "unknown.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return lookup(host, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def whole(*servers: MirrorServer) -> bool:
    """Return whether each layer came, from one server or from several."""
    return sum(server.sent for server in servers) >= LAYERS * SIZE


def test_a_silent_mirror_gets_one_request_in_a_run(desk: Desk, log: Log) -> None:
    desk.serve(silent := MirrorServer(IMAGE, is_silent=True), good := MirrorServer(IMAGE), MirrorServer(IMAGE))
    saved = desk.save()
    assert len(silent.requests) == 1
    assert len(good.requests) == LAYERS + 2
    assert desk.servers[-1].requests == []
    assert saved.received == {
        f"mirror {silent.host}": 0,
        f"mirror {good.host}": saved.received[f"mirror {good.host}"],
        desk.servers[-1].host: 0,
    }
    assert whole(good)
    (warning,) = log.warnings
    assert warning.startswith(f"mirror {silent.host}: sent nothing for ")


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_mirror_that_answers_that_it_does_not_work_gets_one_request_in_a_run(
    desk: Desk, log: Log, status: int, jobs: int
) -> None:
    desk.serve(bad := MirrorServer(IMAGE, status=status), good := MirrorServer(IMAGE), MirrorServer(IMAGE))
    desk.save(jobs=jobs)
    assert [len(server.requests) for server in desk.servers] == [1, LAYERS + 2, 0]
    (warning,) = log.warnings
    assert warning.startswith(f"mirror {bad.host}: ")
    assert whole(good)


@pytest.mark.parametrize("jobs", [1, 4])
@pytest.mark.parametrize(
    ("host", "reason"),
    [
        pytest.param("http://unknown.invalid", "unknown.invalid", id="unknown"),
        pytest.param("http://127.0.0.1:1", "refused", id="refused"),
    ],
)
@pytest.mark.usefixtures("no_name")
def test_a_mirror_that_cannot_be_reached_is_one_warning(
    desk: Desk, log: Log, host: str, reason: str, jobs: int
) -> None:
    desk.serve(good := MirrorServer(IMAGE), MirrorServer(IMAGE))
    desk.save(jobs=jobs, mirrors=(f"{desk.servers[-1].host}={host}", *desk.mirrors))
    assert whole(good)
    (warning,) = log.warnings
    assert reason in warning


def test_a_request_that_lost_is_ended_and_leaves_no_thread_and_no_connection(desk: Desk) -> None:
    desk.serve(MirrorServer(IMAGE, is_silent=True), MirrorServer(IMAGE), MirrorServer(IMAGE))
    desk.save()
    until(desk.is_quiet)


def test_a_mirror_that_cannot_be_connected_to_does_not_delay_the_end(desk: Desk) -> None:
    desk.serve(good := MirrorServer(IMAGE), MirrorServer(IMAGE))
    with ExitStack() as stack:
        hole = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # a full queue, to which nobody can connect
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0.1)
            with suppress(TimeoutError):
                waiting.connect(hole.getsockname())
        black = f"{desk.servers[-1].host}=http://127.0.0.1:{hole.getsockname()[1]}"
        desk.save(mirrors=(black, *desk.mirrors))
        left = [thread for thread in threading.enumerate() if thread.name == "imgfetch-request"]
        assert all(thread.daemon for thread in left)
    assert len(good.requests) == LAYERS + 2


def test_a_mirror_that_is_slow_is_left_for_a_faster_one_and_never_for_the_registry_itself(
    desk: Desk, limits: Limit, log: Log
) -> None:
    limits(HURRIED, upstream=30.0, slow=1_000_000)
    desk.serve(slow := MirrorServer(IMAGE, rate=SLOW), fast := MirrorServer(IMAGE), MirrorServer(IMAGE))
    desk.save()
    assert desk.servers[-1].requests == []
    assert fast.sent > slow.sent
    assert any(start for _, start in fast.blobs)  # it sends the rest
    (warning,) = log.warnings
    assert warning.startswith(f"mirror {slow.host} is slow (")
    assert warning.endswith(f"kB/s): trying mirror {fast.host}")


def test_mirrors_that_are_not_fast_share_the_downloads(desk: Desk, limits: Limit) -> None:
    limits(HURRIED, upstream=30.0)
    mirrors = [MirrorServer(IMAGE, rate=SLOW) for _ in range(3)]
    desk.serve(*mirrors, MirrorServer(IMAGE))
    desk.save()
    assert all(mirror.sent > SIZE / 2 for mirror in mirrors)
    assert desk.servers[-1].requests == []


def test_a_mirror_that_is_fast_has_all_downloads(desk: Desk, limits: Limit) -> None:
    limits(first_byte=30.0, busy=50_000)
    desk.serve(fast := MirrorServer(IMAGE), other := MirrorServer(IMAGE), MirrorServer(IMAGE))
    desk.save()
    assert whole(fast)
    assert (other.requests, desk.servers[-1].requests) == ([], [])


def test_a_mirror_that_lies_beside_others_costs_no_more_than_some_downloads(desk: Desk, limits: Limit) -> None:
    limits(HURRIED, upstream=30.0)
    good = [MirrorServer(IMAGE, rate=SLOW) for _ in range(2)]
    desk.serve(good[0], liar := MirrorServer(IMAGE, rate=SLOW, lies=True), good[1], MirrorServer(IMAGE))
    desk.save()
    assert desk.servers[-1].requests == []
    assert len({digest for digest, _ in liar.blobs}) <= 2


def test_a_slow_mirror_is_kept_if_it_is_the_only_one(desk: Desk, limits: Limit, log: Log) -> None:
    limits(HURRIED, upstream=30.0)
    desk.serve(slow := MirrorServer(IMAGE, rate=2 * SLOW), MirrorServer(IMAGE))
    desk.save()
    assert whole(slow)
    assert desk.servers[-1].requests == []
    (warning,) = log.warnings
    assert warning.startswith(f"mirror {slow.host} is slow (")
    assert "--no-mirror" in warning


def test_of_two_slow_mirrors_neither_is_left_again_and_again(desk: Desk, limits: Limit) -> None:
    limits(HURRIED, upstream=30.0)
    desk.serve(MirrorServer(IMAGE, rate=2 * SLOW), MirrorServer(IMAGE, rate=SLOW), MirrorServer(IMAGE))
    desk.save()
    assert desk.servers[-1].requests == []
    requests = [digest for server in desk.servers for digest, _ in server.blobs]
    assert max(map(requests.count, requests)) <= 3  # there, and back


@pytest.mark.parametrize("breaks", [True, False], ids=["breaks", "stalls"])
def test_a_mirror_that_dies_is_followed_by_the_next_one_from_the_missing_byte(
    desk: Desk, limits: Limit, log: Log, *, breaks: bool
) -> None:
    limits(upstream=2.0)
    # It dies in the middle of a layer, also if they come one after the other.
    desk.serve(
        dying := MirrorServer(IMAGE, lasts=1_000_000, breaks=breaks), good := MirrorServer(IMAGE), MirrorServer(IMAGE)
    )
    desk.save()
    assert any(start for _, start in good.blobs)
    assert desk.servers[-1].requests == []
    assert good.sent <= LAYERS * SIZE - 600_000  # nothing twice, but for what was on its way
    assert len(dying.blobs) <= 1 + 4 + 4  # the config, the downloads that it interrupts, and the next ones
    (warning,) = log.warnings
    assert warning.startswith(f"mirror {dying.host}: ")


def test_mirrors_that_are_all_silent_are_followed_by_the_registry_itself(desk: Desk, limits: Limit, log: Log) -> None:
    limits(upstream=2.0)
    desk.serve(MirrorServer(IMAGE, is_silent=True), MirrorServer(IMAGE, is_silent=True), MirrorServer(IMAGE))
    desk.save()
    assert [len(server.requests) for server in desk.servers] == [1, 1, LAYERS + 2]
    assert len(log.warnings) == 2


def test_with_one_job_there_is_one_request_at_a_time(desk: Desk, log: Log) -> None:
    silent, good, last = (MirrorServer(IMAGE, is_silent=first) for first in (True, False, False))
    silent.answering = good.answering
    desk.serve(silent, good, last)
    desk.save(jobs=1, timeout=1)
    assert good.answering.most == 1
    assert len(silent.requests) == 1  # its timeout, once
    assert last.requests == []
    assert len(log.warnings) == 1


def test_a_silent_mirror_costs_a_download_that_is_resumed_one_timeout(desk: Desk) -> None:
    desk.serve(MirrorServer(IMAGE, lasts=1_000_000, breaks=True))
    with pytest.raises(Exception, match="partway"):
        desk.save(jobs=1, mirrors=("unused.example=https://unused.example",))
    desk.serve(silent := MirrorServer(IMAGE, lasts=0), good := MirrorServer(IMAGE), MirrorServer(IMAGE))
    desk.save(jobs=1, timeout=1)
    assert len(silent.blobs) == 1
    assert any(start for _, start in good.blobs)


def test_the_credentials_of_the_registry_itself_are_sent_to_no_mirror_that_races_it(desk: Desk, limits: Limit) -> None:
    limits(upstream=2.0)
    desk.serve(
        MirrorServer(IMAGE, is_silent=True),
        MirrorServer(IMAGE, is_private=True),
        MirrorServer(IMAGE, is_private=True),
    )
    desk.save(login=True)
    *mirrors, upstream = desk.servers
    assert any(upstream.authorizations)
    for mirror in mirrors:
        assert mirror.requests
        assert not any(mirror.authorizations)


@pytest.mark.parametrize("quiet", [False, True])
def test_the_last_lines_say_how_much_came_from_where(desk: Desk, command: Command, *, quiet: bool) -> None:
    desk.serve(silent := MirrorServer(IMAGE, is_silent=True), good := MirrorServer(IMAGE), MirrorServer(IMAGE))
    options = [option for mirror in desk.mirrors for option in ("--mirror", mirror)]
    done = command("save", desk.reference, "-o", desk.target, "--platform", "linux/amd64", *options, *["-q"] * quiet)
    assert done.status == 0, done.err
    line = f"imgfetch: received 0 B from mirror {silent.host}, 2.41 MB from mirror {good.host}, 0 B from "
    assert (line in done.err) == (not quiet)


def test_the_bytes_from_each_place_are_told_once_for_all_archives_of_a_run(desk: Desk, command: Command) -> None:
    desk.serve(good := MirrorServer(IMAGE), MirrorServer(IMAGE))
    options = [option for mirror in desk.mirrors for option in ("--mirror", mirror)]
    (listed := desk.target.parent / "list.txt").write_text(f"{desk.reference}\n{desk.reference} --name other:1\n")
    out = ("--output-dir", desk.target.parent / "out")
    done = command("save", "-i", listed, *out, "--platform", "linux/amd64", "--json", *options)
    assert done.status == 0, done.err
    one, two = (archive["received"].get(f"mirror {good.host}", 0) for archive in json.loads(done.out))
    assert min(one, two) == 0 < max(one, two)  # all layers are those of the archive that is complete first


def test_the_event_of_a_save_has_the_bytes_from_each_place(desk: Desk, command: Command) -> None:
    desk.serve(good := MirrorServer(IMAGE), MirrorServer(IMAGE))
    options = ["--mirror", *desk.mirrors, "--progress", "json"]
    done = command("save", desk.reference, "-o", desk.target, "--platform", "linux/amd64", *options)
    events = [json.loads(line) for line in done.err.splitlines()]
    (saved,) = [event for event in events if event["event"] == "saved"]
    assert saved["received"][f"mirror {good.host}"] > LAYERS * SIZE
