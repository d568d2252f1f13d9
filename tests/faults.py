"""A registry that serves a valid image for every scenario and breaks one thing: the repository's name says which.

A scenario is data: which answers are replaced, for the first, second, … request, and what imgfetch is expected to make
of it.  The names are those of the rows of the fault matrix (F01 to F61), with a letter where a row has several cases.
Run by hand, ``python -m tests.faults`` is a playground: it prints the references, and serves them until Ctrl-C.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import random
import re
import shlex
import socket
import ssl
import struct
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from functools import lru_cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from imgfetch.archive import ustar
from imgfetch.oci import mediatypes
from tests import certificates
from tests.images import OCI_TAR, Blob, Built, hello, image, layer
from tests.loopback import LoopbackServer, until_received

LAYER_SIZE = 2 * 1024**2
CUT = 1_500_000
LONGEST = 30.0  # seconds that a stall lasts at most
FLOOD = 100 * 1024**2  # bytes that a flood has at most
IDLE = 40.0  # seconds after which a scenario that nobody asked for begins anew
TOKEN = "fault-token"  # of nobody
MEMBER = "fault-token-of-alice"
BASIC = "Basic YWxpY2U6cGFzc3dvcmQ="  # alice:password
BELOW = "/below/hub"  # a path below which the API is
ESCAPES = "\x1b[2J\x1b[31mfake: success\u202e\r\nimgfetch: saved"


@dataclass(frozen=True)
class Reply:
    """An answer in the place of the good one.

    Attributes:
        status: the HTTP status; a good part that is wanted from some byte on is sent with 206 all the same.
        headers: more headers, or others; empty ones are left out.
        body: the body; ``None`` is the good one.
        ranges: honour ``Range``.
        shift: by how much the ``Content-Range`` of a 206 is wrong, and what is sent with it.
        range: the ``Content-Range`` of a 206.
        extra: bytes that are added to the body of a 206, or taken from it, with its length.
        alters: change every byte of the body of a 206.
        cut: body bytes after which the connection ends.
        reset: end it by a reset, after the cut or after ``raw``.
        stall: seconds of silence after the cut, or before the head where there is no cut.
        step: bytes a tenth of a second, of the body or of ``raw``; ``0`` is all at once.
        chunked: send no length, but chunks.
        plain: speak HTTP/1.0, without a length.
        interim: these bytes before everything else.
        raw: these bytes in the place of everything.
        flood: these bytes over and over, after everything else.
    """

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    ranges: bool = True
    shift: int = 0
    range: str = "bytes {first}-{last}/{total}"
    extra: int = 0
    alters: bool = False
    cut: int | None = None
    reset: bool = False
    stall: float = 0
    step: int = 0
    chunked: bool = False
    plain: bool = False
    interim: bytes = b""
    raw: bytes | None = None
    flood: bytes = b""


@dataclass(frozen=True)
class Scenario:
    """A fault, and what is expected.

    Attributes:
        what: what is broken.
        replies: by part (``manifest``, ``head`` for a manifest's headers alone, ``config``, ``layer``, ``token``,
            ``data``, of a proxy ``connect`` and ``hello``), the answers to the first, second, … request; ``None`` is
            the good one, and the last one stays.  A part with ``-piece`` has those to requests for some bytes of it,
            where they differ; one with ``-resumed`` has those to requests with ``Range``, where
            they differ; ``token-alice`` those to requests with credentials, and ``token-wide`` those to requests for
            another scope than the challenge's, where they differ.  Those of the second mirror begin with ``second-``.
        challenge: what the registry demands of who has no token; ``{host}`` is the registry's, ``{closed}`` a port at
            which nobody listens.  Lines become headers; one that is empty is none.
        ping: what it demands at its root, if that is another challenge, or a line end for none.
        hides: the status in the place of a challenge, for images that are private.
        wants: whose token is good, alice's or nobody's; by default each is.
        moved: where it redirects everything to, being a domain without a registry.
        below: the API is below a path.
        demands: the parts for which it demands a token.
        uses: how often a token is good; below zero, never.
        scope: what a token for the layer has to be for besides.
        error: why it is refused otherwise, as the challenge has it.
        ended: what it demands of who has a token that was used too often, if that is another challenge.
        ended_by: the status of that refusal; with another one than 401, there is no challenge.
        once: a signed URL is good for one request.
        in_pieces: the layer is large enough to come in pieces.
        arguments: more arguments, in which the same names stand.
        environment: variables.
        built: the image; by default one of two layers, the first of them large.
        reference: another reference.
        tls: by https.
        tags: the tags that are listed.
        tags_say: what stderr must hold where they are not.
        rule: the heading in docs/registries.md that says why imgfetch refuses an image that others get.
        pending: why imgfetch does not do so yet.
        status: the exit status.
        says: what stderr must hold.
        waits: seconds of each wait, rounded down, or ``None`` where they are left open.
        asked: how often a part was asked for, as often as it has replies if the last one of them is the good one;
            ``refused`` are the answers that demand a token.
        pinned: how often the manifest is asked for by `imgfetch digest`, by HEAD and by GET; empty where it is not run.
        sent: bytes of bodies that were sent for a part at most.
    """

    what: str
    replies: Mapping[str, Sequence[Reply | None]] = field(default_factory=dict)
    challenge: str = ""
    demands: frozenset[str] = frozenset({"manifest", "config", "layer", "other"})
    ping: str = ""
    hides: int = 0
    wants: str = ""
    moved: str = ""
    below: bool = False
    uses: int = 0
    scope: str = ""
    error: str = ""
    ended: str | None = None
    ended_by: int = 401
    once: bool = False
    in_pieces: bool = False
    arguments: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    built: Built | None = None
    reference: str = ""
    tls: bool = False
    tags: tuple[str, ...] = ()
    tags_say: str = ""
    rule: str = ""
    pending: str = ""
    status: int = 0
    says: tuple[str, ...] = ()
    waits: tuple[int, ...] | None = ()
    asked: Mapping[str, int] = field(default_factory=dict)
    sent: Mapping[str, int] = field(default_factory=dict)
    pinned: tuple[int, int] | tuple[()] = ()

    @property
    def root(self) -> str:
        """Return the challenge at the registry's root."""
        return (self.ping or (self.challenge if "manifest" in self.demands else "")).strip()

    def ends(
        self,
        status: int = 0,
        *says: str,
        waits: tuple[int, ...] | None = (),
        asked: Mapping[str, int] = MappingProxyType({}),
        sent: Mapping[str, int] = MappingProxyType({}),
    ) -> Scenario:
        """Return the scenario with what is expected; without this, all is well at once."""
        counted = {part: len(replies) for part, replies in self.replies.items() if replies[1:] and replies[-1] is None}
        return replace(self, status=status, says=says, waits=waits, asked={**counted, **asked}, sent=sent)

    def pins(self, heads: int, gets: int) -> Scenario:
        """Return the scenario with the requests of `imgfetch digest`."""
        return replace(self, pinned=(heads, gets))


_NOISE = random.Random("faults").randbytes(LAYER_SIZE - len(ustar.END) - 1024)


@lru_cache(maxsize=4)
def good(name: str) -> Built:
    """Return a scenario's image, whose layers no other one has."""
    content = name.encode().ljust(512, b".") + _NOISE
    raw = ustar.header("data", len(content), mtime=1) + content + ustar.padding(len(content)) + ustar.END
    return image(layer(raw, OCI_TAR), hello(name))


State = tuple[Counter[tuple[str, str]], Counter[str], str]


class FaultRegistry(LoopbackServer):
    """The server; its other half, the store, is another one of the same kind.

    Attributes:
        asked: how often each part of each scenario was asked for.
        sent: bytes of bodies that were sent for it, or tried to be.
        granted: the scopes of each token that was given.
        used: how often each token and each signature was shown.
        last: whom the last challenge was for; a ping does not say.
        scenarios: what it serves.
        prefix: what the names of its replies begin with.
    """

    prefix = ""

    def __init__(self, scenarios: Mapping[str, Scenario], context: ssl.SSLContext | None = None) -> None:
        super().__init__(_handler(self))
        if context is not None:
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.scheme = "https" if context else "http"
        self.scenarios = scenarios
        self.asked: Counter[tuple[str, str]] = Counter()
        self.sent: Counter[tuple[str, str]] = Counter()
        self.granted: dict[str, tuple[str, ...]] = {TOKEN: (), MEMBER: (), BASIC: ()}
        self.used: Counter[str] = Counter()
        self.last = ""
        self.numbers = itertools.count(1)
        self._times: dict[str, float] = {}
        self.names = {"host": self.host, "url": f"{self.scheme}://{self.host}"}
        self.lock = threading.Lock()

    def built(self, name: str) -> Built:
        return self.scenarios[name].built or good(name)

    def forget(self) -> None:
        """Let everything break anew."""
        with self.lock:
            self.asked.clear()
            self.sent.clear()
            self.last = ""

    def state(self) -> State:
        """Return what the next answers depend on."""
        with self.lock:
            return self.asked.copy(), self.used.copy(), self.last

    def return_to(self, state: State) -> None:
        """Answer as in an earlier state."""
        asked, used, last = state
        with self.lock:
            self.asked, self.used, self.last = asked.copy(), used.copy(), last

    def next_reply(self, name: str, part: str) -> Reply:
        """Return the answer to the next request for a part."""
        with self.lock:
            now = time.monotonic()
            if now - self._times.get(name, now) > IDLE:
                for key in [key for key in self.asked if key[0] == name]:
                    del self.asked[key]
            self._times[name] = now
            number = self.asked[name, part]
            self.asked[name, part] += 1
        replies = self.scenarios[name].replies.get(part) or (None,)
        return replies[min(number, len(replies) - 1)] or Reply()


def _handler(registry: FaultRegistry) -> type[BaseHTTPRequestHandler]:  # noqa: C901  # a class of small methods
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        disable_nagle_algorithm = True  # head and body are two packets, and the second must not wait for the first
        _counted = ("", "")
        _is_below = False

        def handle(self) -> None:
            with suppress(OSError, ssl.SSLError, ValueError):  # the client went away
                if registry.scheme == "http" and self.connection.recv(1, socket.MSG_PEEK)[:1] == b"\x16":
                    self.connection.recv(65536)  # what is left unread at the end resets the connection
                    self.connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n")
                    return
                super().handle()

        def do_GET(self) -> None:
            self._counted = ("", "")
            self.path = re.sub("^http://[^/]*", "", self.path)  # as a proxy is asked
            self._is_below = self.path.startswith(BELOW)
            self.path = self.path.removeprefix(BELOW)
            path = self.path.partition("?")[0]
            found = re.fullmatch(r"/(v2|token|data)/([a-z0-9-]+)/?(.*)", path)
            if path == "/v2/":
                asked = registry.scenarios.get(registry.last) or Scenario("nothing")
                if self._has_moved(asked):
                    self._send(redirect(asked.moved), b"", "text/plain")
                else:
                    self._refuse(registry.last, asked.root, Reply(401 if asked.root else 200))
            elif found is None or found[2] not in registry.scenarios:
                self._send(Reply(404), b"nothing here", "text/plain")
            else:
                self._serve(found[2], found[1], found[3])

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_CONNECT(self) -> None:
            """Let the client speak to nobody else than us, who speak no TLS."""
            name = self.path.partition(".")[0]
            reply = registry.next_reply(name, "connect") if name in registry.scenarios else Reply(403)
            if reply.status != 200 or reply.raw is not None:
                self._send(reply, b"", "text/plain")
                return
            self.send_response(200, "Connection established")
            self.end_headers()
            self.connection.recv(65536)
            reply = registry.next_reply(name, "hello")
            self._send(reply if reply.raw is not None else Reply(raw=b"HTTP/1.0 400 Bad Request\r\n\r\n"), b"", "")

        def _serve(self, name: str, kind: str, rest: str) -> None:
            scenario = registry.scenarios[name]
            part, content, media_type = _part(name, kind, rest)
            if self._has_moved(scenario) or scenario.below != self._is_below:
                self._send(redirect(scenario.moved) if scenario.moved else Reply(404), b"", "text/plain")
                return
            if kind == "data" and "Authorization" in self.headers and part not in scenario.demands:
                body = b"<Code>InvalidArgument</Code> only one auth mechanism allowed"
                self._send(Reply(400), body, "application/xml")
                return
            if (demand := self._demand(scenario, part)) is not None:
                with registry.lock:
                    registry.asked[name, "refused"] += 1
                    registry.last = name
                status = scenario.hides or (scenario.ended_by if self._has_used_up(scenario) else 401)
                self._refuse(name, demand if status == 401 else "", Reply(status))
                return
            if scenario.wants == "nobody" and self.headers.get("Authorization") == f"Bearer {MEMBER}":
                self._send(Reply(403), errors("DENIED"), "application/json")
                return
            if part == "token" and (scenario.uses or scenario.scope):
                content = self._grant(name)
            elif part == "token" and "Authorization" in self.headers:
                content = json.dumps({"token": MEMBER}).encode()
            if part == "manifest" and self.command == "HEAD":
                part = "head"
            reply = registry.next_reply(name, self._variant(scenario, part))
            if kind == "data" and scenario.once:
                with registry.lock:
                    registry.used[self.path] += 1
                reply = EXPIRED if registry.used[self.path] > 1 else reply
            with registry.lock:
                self._counted = (name, part)
            self._send(reply, content, media_type)

        def _has_moved(self, scenario: Scenario) -> bool:
            return bool(scenario.moved) and registry.host != registry.names["store_host"]

        def _variant(self, scenario: Scenario, part: str) -> str:
            """Return the name of the replies to a request for a part."""
            part = registry.prefix + part
            if re.search(r"-\d", self.headers.get("Range", "")) and f"{part}-piece" in scenario.replies:
                return f"{part}-piece"
            if "Range" in self.headers and f"{part}-resumed" in scenario.replies:
                return f"{part}-resumed"
            if f"{part}-wide" in scenario.replies and self._is_wide(scenario):
                return f"{part}-wide"
            if "Authorization" in self.headers and f"{part}-alice" in scenario.replies:
                return f"{part}-alice"
            return part

        def _is_wide(self, scenario: Scenario) -> bool:
            """Return whether a token is requested for another scope than that of the challenge."""
            known = re.findall(r'scope="([^"]*)"', scenario.challenge.format(**registry.names, name=self._name))
            return parse_qs(urlsplit(self.path).query).get("scope", []) != known

        @property
        def _name(self) -> str:
            return self.path.partition("?")[0].split("/")[2]

        def _demand(self, scenario: Scenario, part: str) -> str | None:
            """Return the challenge for who may not have a part."""
            if not scenario.challenge or part not in scenario.demands:
                return None
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            with registry.lock:
                scopes = registry.granted.get(token)
                registry.used[token] += 1
                if scopes is not None and scenario.uses and registry.used[token] > scenario.uses:
                    return scenario.challenge if scenario.ended is None else scenario.ended
                if scopes is None or (scenario.wants == "alice" and token not in (MEMBER, BASIC)):
                    return scenario.challenge
            if part == "layer" and scenario.scope and scenario.scope not in scopes:
                error = f',error="{scenario.error}"' if scenario.error else ""
                return f'Bearer realm="{{url}}/token/{{name}}",service="fault",scope="{scenario.scope}"{error}'
            return None

        def _has_used_up(self, scenario: Scenario) -> bool:
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            with registry.lock:
                return token in registry.granted and 0 < scenario.uses < registry.used[token]

        def _grant(self, name: str) -> bytes:
            """Return a token that no other one is equal to."""
            scopes = parse_qs(urlsplit(self.path).query).get("scope", [])
            with registry.lock:
                token = f"{TOKEN}-{name}-{next(registry.numbers)}"
                registry.granted[token] = tuple(scope for text in scopes for scope in text.split())
            return json.dumps({"token": token, "expires_in": 300}).encode()

        def _refuse(self, name: str, challenge: str, reply: Reply) -> None:
            lines = challenge.format(**registry.names, name=name).split("\n")
            self._send(reply, b"{}", "application/json", *(("WWW-Authenticate", line) for line in lines if line))

        def _send(self, reply: Reply, content: bytes, media_type: str, *more: tuple[str, str]) -> None:
            if reply.stall and reply.cut is None and self._silence(reply.stall):
                self.close_connection = True
                return
            self.wfile.write(reply.interim)
            if reply.raw is not None:
                self._trickle(reply.raw, reply.step)
                self._flood(reply.flood)
                self.close_connection = True
                if reply.reset:
                    self._reset(after=len(reply.raw))
                return
            body = content if reply.body is None else reply.body
            status, headers = reply.status, {"Content-Type": media_type, "Content-Length": str(len(body))}
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            if wanted and reply.ranges and status == 200 and reply.body is None:
                headers["Content-Range"], body = _partial(body, int(wanted[1]), int(wanted[2] or len(body) - 1), reply)
                status, headers["Content-Length"] = 206, str(len(body))
            if reply.chunked or reply.plain:
                headers["Content-Length"] = ""
            if reply.chunked:
                headers["Transfer-Encoding"] = "chunked"
            parts = self.path.split("/")
            names = {**registry.names, "path": self.path, "blob": "/".join(parts[2:3] + parts[-1:])}
            names |= {"number": str(next(registry.numbers)), "soon": formatdate(time.time() + 5.5, usegmt=True)}
            is_formatted = ("Location", "Retry-After", "Docker-Content-Digest")
            names["digest"] = f"sha256:{hashlib.sha256(content).hexdigest()}"
            headers |= {
                key: value.format(**names) if key in is_formatted else value for key, value in reply.headers.items()
            }
            if reply.plain:
                self.protocol_version = "HTTP/1.0"
            self.send_response(status)
            for key, value in (*headers.items(), *more):
                if value:
                    self.send_header(key, value)
            self.end_headers()
            self._send_body(reply, body)
            self.close_connection = self.close_connection or reply.plain

        def _send_body(self, reply: Reply, body: bytes) -> None:
            if self.command == "HEAD" and reply.body is None:
                return
            sent = body if reply.cut is None else body[: reply.cut]
            with registry.lock:
                registry.sent[self._counted] += len(sent)
            if reply.chunked:
                for at in range(0, len(sent), 64 * 1024):
                    piece = sent[at : at + 64 * 1024]
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            else:
                self._trickle(sent, reply.step)
            self._flood(reply.flood)
            if reply.cut is not None:
                self._silence(reply.stall)
                self.close_connection = True
                if reply.reset:
                    self._reset(after=len(sent))
            elif reply.chunked:
                self.wfile.write(b"0\r\n\r\n")

        def _reset(self, *, after: int) -> None:
            if after:  # what the other side has not received would be lost
                until_received(self.connection)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()

        def _trickle(self, content: bytes, step: int) -> None:
            for at in range(0, len(content), step or max(len(content), 1)):
                self.wfile.write(content[at : at + (step or len(content))])
                time.sleep(0.1 if step else 0)

        def _flood(self, piece: bytes) -> None:
            block = piece * max(1, 65536 // max(len(piece), 1))
            sent = 0
            while piece and sent < FLOOD:
                self.wfile.write(block)
                sent += len(block)

        def _silence(self, seconds: float) -> bool:
            """Send nothing for a while, and tell whether the client went away meanwhile."""
            end = time.monotonic() + min(seconds, LONGEST)
            self.connection.settimeout(0.1)
            while time.monotonic() < end:
                try:
                    if not self.connection.recv(1):
                        return True
                except TimeoutError:
                    continue
            self.connection.settimeout(self.timeout)
            return False

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler


def _partial(content: bytes, first: int, last: int, reply: Reply) -> tuple[str, bytes]:
    """Return the ``Content-Range`` and the body for a request for some bytes."""
    body = content[first + reply.shift : last + 1 + reply.extra]
    said = reply.range.format(first=first + reply.shift, last=last, total=len(content))
    return said, bytes(255 - byte for byte in body) if reply.alters else body


@lru_cache(maxsize=4)
def _blobs(name: str) -> dict[str, tuple[str, Blob]]:
    """Return a scenario's blobs by digest, each with its part's name."""
    built = SCENARIOS[name].built or good(name)
    names = ("config", "layer", *["other"] * len(built.layers))
    return {blob.digest: (part, blob) for part, blob in zip(names, built.blobs, strict=False)}


def _part(name: str, kind: str, rest: str) -> tuple[str, bytes, str]:
    """Return which part of a scenario a path means, with its content and type."""
    if kind == "token":
        return "token", json.dumps({"token": TOKEN, "expires_in": 300}).encode(), "application/json"
    if rest == "tags/list":
        return "tags", b'{"tags": []}', "application/json"
    if rest.startswith("manifests/"):
        built = SCENARIOS[name].built or good(name)
        return "manifest", built.raw, built.media_type
    blobs = _blobs(name)
    part, blob = blobs.get(rest.rpartition("/")[2]) or next(iter(blobs.values()))
    if kind == "data":
        return "data", blob.content, "binary/octet-stream"
    return part, blob.content, "application/octet-stream"


# ---- what scenarios are made of ----


def bare(status: int) -> Reply:
    return Reply(status, body=b"")


def redirect(location: str, **more: Any) -> Reply:
    return Reply(307, {"Location": location}, b"", **more)


def limit(wait: str) -> Reply:
    return Reply(429, {"Retry-After": wait}, b"")


def errors(code: str, message: str = "") -> bytes:
    return json.dumps({"errors": [{"code": code, "message": message}]}).encode()


JSON = {"Content-Type": "application/json"}
HTML = Reply(
    headers={"Content-Type": "text/html"}, body=b"<html><head><title>Welcome to the hotel</title></head></html>"
)
BEARER = 'Bearer realm="{url}/token/{name}",service="fault",scope="repository:{name}:pull"'
TO_STORE = redirect("{store}/data/{blob}?X-Signature=abc~def__&Expires=1")
TO_STORE_ONCE = redirect("{store}/data/{blob}?X-Signature={number}")
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload; as=style\r\n\r\n"
HINTED = Reply(interim=HINTS)
TUNNEL: dict[str, Any] = {"reference": "{name}.invalid/{name}:v1", "environment": {"HTTPS_PROXY": "http://{host}"}}
EXPIRED = Reply(403, {"Content-Type": "application/xml"}, b"<Error><Code>AccessDenied</Code></Error>")
UNAVAILABLE = bare(503)
HUB_LIMIT = Reply(
    429,
    {
        **JSON,
        "RateLimit-Limit": "100;w=21600",
        "RateLimit-Remaining": "0;w=21600",
        "Docker-RateLimit-Source": "192.0.2.7",
    },
    errors("TOOMANYREQUESTS", "You have reached your pull rate limit."),
)
STATED = Reply(headers={"Docker-Content-Digest": "{digest}"})
PINNED = "{host}/{name}@{digest}"
SCHEMA1 = json.dumps({"schemaVersion": 1, "name": "x", "tag": "v1", "fsLayers": [], "history": []}).encode()


def manifest(*replies: Reply | None) -> dict[str, Sequence[Reply | None]]:
    return {"manifest": replies}


def stated(digest: str) -> Reply:
    return Reply(headers={"Docker-Content-Digest": digest})


def head(what: str, *replies: Reply, heads: int = 1, gets: int = 1, reference: str = "") -> Scenario:
    """Return a scenario of HEAD alone, which no save sends."""
    return Scenario(what, {"head": replies}, reference=reference).pins(heads, gets)


def config(*replies: Reply | None) -> dict[str, Sequence[Reply | None]]:
    return {"config": replies}


def of_layer(*replies: Reply | None, **others: Sequence[Reply | None]) -> dict[str, Sequence[Reply | None]]:
    return {"layer": replies, **others}


def answered(text: str, **more: Any) -> Reply:
    """Return an answer of these lines."""
    return Reply(raw=text.replace("\n", "\r\n").encode(), **more)


def typed(media_type: str) -> Reply:
    return Reply(headers={"Content-Type": media_type})


def token(what: str, *replies: Reply | None, **more: Any) -> Scenario:
    return Scenario(what, {"token": replies}, challenge=BEARER, **more)


def replied(**members: object) -> Reply:
    return Reply(headers=JSON, body=json.dumps(members).encode())


def challenged(what: str, challenge: str, **more: Any) -> Scenario:
    return Scenario(what, challenge=challenge, **more)


def _gzipped() -> Built:
    content = gzip.compress(random.Random("gzip").randbytes(100_000), 1, mtime=0)
    raw = gzip.decompress(content)
    tarred = ustar.header("data", len(raw), mtime=1) + raw + ustar.padding(len(raw)) + ustar.END
    return image(layer(tarred), hello("gzip"))


def _wrong_diff_id() -> Built:
    first = hello("wrong")
    return image(Blob(first.content, first.media_type, "sha256:" + "0" * 64), hello("other"))


def _two_diff_ids_short() -> Built:
    return image(hello("a"), hello("b"), config={"rootfs": {"type": "layers", "diff_ids": [hello("a").diff_id]}})


REFUSALS = {
    **{
        str(status): bare(status)
        for status in (204, 300, 400, 401, 402, 403, 404, 405, 406, 408, 410, 412, 416, 418, 429)
    },
    **{str(status): bare(status) for status in (500, 501, 502, 503, 504, 505, 520)},
    "429-long": limit("3600"),
    "lost": bare(307),
    "circle": redirect("{path}"),
    "closed": redirect("http://{closed}/x"),
    "forbidden": redirect("http://169.254.169.254/x"),
    "elsewhere": redirect("{store}/v2/nobody/x"),
    "reset": Reply(raw=b"", reset=True),
    "hang-up": Reply(raw=b""),
    "garbage": Reply(raw=b"SSH-2.0-OpenSSH_9.2\r\n"),
    "nothing": Reply(cut=0),
    "shift": Reply(shift=4096),
    "no-header": Reply(headers={"Content-Range": ""}),
    "length": Reply(headers={"Content-Length": "5"}),
    "multipart": Reply(206, {"Content-Type": "multipart/byteranges; boundary=x"}, b"--x--"),
    "page": Reply(headers={"Content-Type": "text/html"}, body=b"<html>no ranges here</html>", ranges=False),
}
"""Answers to a request with ``Range`` by servers that answer other requests well."""


def stored(host: str = "{host}", proxy: str = "") -> dict[str, Any]:
    """Return what lets alice's password be stored for a host, which is asked through a proxy if there is one."""
    config = f'{{{{"auths": {{{{"{host}": {{{{"auth": "{BASIC.split()[1]}"}}}}}}}}}}}}'
    more = {"HTTP_PROXY": proxy} if proxy else {}
    return {"environment": {"DOCKER_AUTH_CONFIG": config, **more}}


def named(host: str, name: str, realm: str, **more: Any) -> Scenario:
    """Return a registry of this name, reached by http, with a token server at another host, for alice."""
    return Scenario(
        f"{host} has its token server at {realm}",
        challenge=f'Bearer realm="http://{realm}/token/{{name}}",service="fault"',
        wants="alice",
        reference=f"{host}/{name}:v1",
        arguments="--plain-http",
        **stored(host, "http://{host}"),
        **more,
    )


def pages(what: str, link: str, **more: Any) -> Scenario:
    """Return a list of tags whose first page has a link."""
    first = Reply(headers={**JSON, "Link": link}, body=b'{"tags": ["1"]}')
    return Scenario(what, {"tags": (first, Reply(headers=JSON, body=b'{"tags": ["2"]}'))}, **more)


def _credentials() -> dict[str, Scenario]:
    """Return the scenarios of credentials and of registries that are somewhere else than they seem."""
    wide = 'Bearer realm="{url}/token/{name}",service="fault",scope="repository:local/{name}:pull"'
    too_wide = "a token server that does not know one of two scopes answers"
    mirror = {"reference": "mirrored.invalid/{name}:v1"}
    next_page = "/v2/{}/tags/list?last=1"
    found = {
        "c10-404": challenged("404 in the place of a challenge", BEARER, hides=404, wants="alice", **stored()).ends(
            asked={"token": 1, "refused": 1}
        ),
        "c10b-403": challenged(
            "403 in the place of a challenge", 'Basic realm="x"', hides=403, wants="alice", **stored()
        ).ends(asked={"refused": 1}),
        "c10c-nobody": challenged("404, and there are no credentials", BEARER, hides=404, wants="alice").ends(
            3, "was not found", "none were sent", asked={"refused": 1, "token": 0}
        ),
        "c10d-missing": Scenario(
            "404, and 404 with credentials too", manifest(bare(404)), challenge=BEARER, hides=404, **stored()
        ).ends(3, "was not found", "imgfetch used the credentials of alice", asked={"token": 1}),
        "c11-domain": challenged(
            "a domain that redirects everything to a registry that wants a token",
            BEARER,
            moved="{store}{path}",
            **stored(),
        ).ends(asked={"token": 1}),
        "c11b-public": Scenario("a domain that redirects everything to a public registry", moved="{store}{path}"),
        "c11c-denied": token(
            "a domain that redirects everything to a registry that gives nobody a token",
            bare(401),
            moved="{store}{path}",
            **stored(),
        ).ends(4, "{store_host}/c11c-denied", "receives no credentials"),
        "c12-sso": challenged(
            "a token for alice is denied, one for nobody is not", BEARER, wants="nobody", **stored()
        ).ends(0, "denied the credentials of alice", "continuing without credentials", asked={"token": 2}),
        "c12b-expired": Scenario(
            "alice's password is refused, and nobody needs one",
            {"token-alice": (bare(403),)},
            challenge=BEARER,
            **stored(),
        ).ends(0, "rejected the credentials of alice", "continuing without credentials", asked={"token-alice": 1}),
        "c12c-private": Scenario(
            "alice's password is refused, and the image is private",
            {"token-alice": (bare(401),), "token": (bare(401),)},
            challenge=BEARER,
            **stored(),
        ).ends(4, "rejected the credentials of alice"),
        "c13-403": Scenario(f"{too_wide} 403", {"token-wide": (bare(403),)}, challenge=wide).ends(
            asked={"token-wide": 1, "token": 1}
        ),
        "c13b-400": Scenario(f"{too_wide} 400", {"token-wide": (bare(400),)}, challenge=wide).ends(
            asked={"token-wide": 1, "token": 1}
        ),
        "c13c-refused": Scenario(
            "a token for two scopes is refused", {"token-wide": (replied(token="wide"),)}, challenge=wide
        ).ends(asked={"token-wide": 1, "token": 1, "refused": 2}),
        "c14-partner": named("registry.connect.redhat.com", "c14-partner", "sso.redhat.com"),
        "c14b-parent": named("registry.gitlab.com", "c14b-parent", "gitlab.com"),
        "c14c-nvidia": named("nvcr.io", "c14c-nvidia", "authn.nvidia.com"),
        "c14d-customer": replace(
            named("mine.azurecr.io", "c14d-customer", "another.azurecr.io"), wants="", replies={"token": (bare(401),)}
        ).ends(4, "withheld the credentials", "another.azurecr.io does not belong to mine.azurecr.io"),
        "c15-basic": challenged(
            "a token has ended, and then a password is wanted", BEARER, uses=2, ended='Basic realm="harbor"'
        ).ends(asked={"token": 2}),
        "c15b-silence": challenged(
            "a token has ended, which a 401 without a challenge says", BEARER, uses=2, ended=""
        ).ends(asked={"token": 2}),
        "c15c-elsewhere": challenged(
            "a token has ended, and then another token server is named, which has none",
            BEARER,
            uses=2,
            ended='Bearer realm="{store}/nothing/{name}",error="invalid_token"',
        ).ends(asked={"token": 2}),
        "c16-basic": challenged(
            "it wants a password, which is stored",
            'Basic realm="{url}/",service="ecr.amazonaws.com"',
            wants="alice",
            **stored(),
        ),
        "c16b-capitals": challenged(
            "it wants a password, in capitals", 'BASIC realm="Sonatype Nexus"', wants="alice", **stored()
        ),
        "c17-closed": challenged("its root wants a token, and nothing else does", "", ping=BEARER, **stored()).ends(
            asked={"token": 0}
        ),
        "c17b-open": challenged(
            "its root is open, and the image wants a password",
            'Basic realm="zot"',
            ping="\n",
            wants="alice",
            **stored(),
        ),
        "c18-bare": challenged(
            "two challenges, without a service and a scope", 'Bearer realm="{url}/token/{name}"\nBasic'
        ).ends(asked={"token": 1}),
        "c18b-scopes": challenged(
            "two scopes in one parameter, and one without actions",
            BEARER.replace('scope="', 'scope="repository:{name}: '),
        ).ends(asked={"token": 1}),
        "c18c-nameless": challenged(
            "its root's challenge has a scope without a name, and others are bare",
            "\n",
            ping=BEARER.replace("{name}:", ":"),
        ).ends(asked={"token": 1}),
        "x25-400": challenged(
            "a token has ended, which a 400 without a challenge says", BEARER, uses=2, ended_by=400
        ).ends(asked={"token": 2}),
        "x25b-403": challenged("a token has ended, which a 403 says", BEARER, uses=2, ended_by=403).ends(
            asked={"token": 2}
        ),
        "x25c-404": challenged(
            "a token has ended when the download is resumed, which a 404 says",
            BEARER,
            replies=of_layer(Reply(cut=CUT), None),
            demands=frozenset({"layer"}),
            uses=1,
            ended_by=404,
        ).ends(waits=(1,), asked={"token": 2}, sent={"layer": LAYER_SIZE}),
        "x25d-gone": challenged(
            "a layer is not there, and no new token helps", BEARER, replies=of_layer(bare(404))
        ).ends(3, "the registry has lost this blob"),
        "c19-relative": pages("the next page of tags is relative", f'<{next_page.format("c19-relative")}>; rel="next"'),
        "c19b-query": pages("the next page of tags is a query", '<?last=1>; rel="next"'),
        "c19c-bare": pages(
            "the next page of tags has no brackets", f'{next_page.format("c19c-bare")}; title="a, b"; rel=next'
        ),
        "c19d-elsewhere": pages(
            "the next page of tags is another list", '<http://elsewhere.invalid/list>; rel="next"', tags_say="next page"
        ),
        "c20-scheme": challenged(
            "the realm has an unknown scheme",
            'Bearer realm="null://behind/token/{name}",service="fault"',
            arguments="--realm-override behind={url}",
        ),
        "c20b-none": challenged(
            "the realm has no scheme",
            'Bearer realm="://behind:81/token/{name}",service="fault"',
            arguments="--realm-override behind:81={url}",
        ),
        "c20c-hint": challenged(
            "the realm has an unknown scheme, and nothing replaces it",
            'Bearer realm="null://behind/token/{name}",service="fault"',
        ).ends(4, "cannot be used", "--realm-override"),
        "c22-port": challenged(
            "the password is for the same host without its port",
            'Basic realm="x"',
            wants="alice",
            **stored("127.0.0.1"),
        ).ends(4, "needs credentials", "imgfetch login {host}"),
        "c22b-path": challenged(
            "the password is for this repository alone", 'Basic realm="x"', wants="alice", **stored("{host}/c22b-path")
        ),
        "c22c-other": challenged(
            "the password is for another repository",
            'Basic realm="x"',
            wants="alice",
            rule="matching-hosts",
            **stored("{host}/c22c"),
        ).ends(4, "needs credentials", "imgfetch login {host}"),
        "c20d-loopback": replace(
            named("gitea.example", "c20d-loopback", "localhost:3000"), what="the realm is the registry's own machine"
        ).ends(4, "http://localhost:3000/token/c20d-loopback is forbidden", "--realm-override"),
        "c20e-replaced": replace(
            named("gitea.example", "c20e-replaced", "localhost:3000"),
            what="the realm is the registry's own machine, and is replaced",
            arguments="--plain-http --realm-override localhost:3000=http://gitea.example",
        ),
        "c21-below": Scenario(
            "the API is below a path", below=True, arguments=f"--mirror mirrored.invalid={{url}}{BELOW}/v2", **mirror
        ),
        "c21b-root": Scenario(
            "a mirror's URL ends in its API's root", arguments="--mirror mirrored.invalid={url}/v2/", **mirror
        ),
    }
    return {
        name: replace(one, tags=("1", "2")) if "tags" in one.replies and not one.tags_say else one
        for name, one in found.items()
    }


def _mirrored() -> dict[str, Scenario]:
    """Return a scenario for each fault of a mirror; the registry itself has the image too."""
    silent, down, slow, other = (
        f"--mirror {{host}}=http://{{{name}}}" for name in ("silent", "down", "slow", "store_host")
    )
    dead, rest = of_layer(Reply(cut=CUT, reset=True), None), {"layer-resumed": (None,)}
    return {
        "m01-silent": Scenario("a mirror is silent, and another one is good", arguments=f"{silent} {other}").ends(
            0, "mirror {silent}: sent nothing for "
        ),
        "m02-all": Scenario("all mirrors are silent", arguments=f"{silent} {silent}/team").ends(
            0, "mirror {silent}: sent nothing for "
        ),
        "m03-down": Scenario("a mirror is overloaded", arguments=f"{down} {other}").ends(0, "mirror {down}: "),
        "m04-closed": Scenario(
            "nobody listens at a mirror", arguments=f"--mirror {{host}}=http://{{closed}} {other}"
        ).ends(0, "mirror {closed}: "),
        "m05-dies": Scenario("a mirror dies in the middle", {**dead, **rest}, arguments=other).ends(
            0, "mirror {store_host}: ", asked={"layer": 1, "layer-resumed": 1}
        ),
        "m06-stalls": Scenario(
            "a mirror stalls in the middle", {**of_layer(Reply(cut=CUT, stall=8), None), **rest}, arguments=other
        ).ends(0, "mirror {store_host}: ", asked={"layer": 1, "layer-resumed": 1}),
        "m07-slow": Scenario("a mirror is slow, and another one is good", arguments=f"{slow} {other}").ends(
            0, "mirror {slow} is slow (", "): trying mirror {store_host}"
        ),
    }


TRAILERS = Reply(
    raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + (b"X-Slow: " + b"a" * 50 + b"\r\n") * 300,
    step=60,
)
EXTENSION = Reply(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;slow=" + b"a" * 18_000, step=60)
HEADERS = Reply(raw=b"HTTP/1.1 200 OK\r\n" + (b"X-Slow: " + b"a" * 50 + b"\r\n") * 90, step=60)
HANDSHAKE = Reply(raw=b"\x16\x03\x03\x40\x00\x02" + bytes(300), step=1)


def _trickling() -> dict[str, Scenario]:
    """Return the scenarios of servers that send something all the time, and nothing useful."""
    hasty = "--timeout 0.5"
    found = {}
    for name, what, slow in (
        ("x26-trailers", "trailers without end", TRAILERS),
        ("x27-extension", "an extension of a chunk without end", EXTENSION),
        ("x28-headers", "headers that trickle", HEADERS),
    ):
        found |= {
            name: Scenario(f"{what}, once for a layer", of_layer(slow, None), arguments=hasty).ends(waits=(0,)),
            f"{name}-manifest": Scenario(
                f"{what}, of a manifest", manifest(slow), arguments=f"{hasty} --retries 1"
            ).ends(5, "{host}", "Tried 2 times", waits=(0,), asked={"manifest": 2}),
            f"{name}-token": token(f"{what}, once for a token", slow, None, arguments=hasty).ends(waits=(0,)),
        }
    found["x29-tunnel"] = Scenario(
        "a proxy's answer trickles", {"connect": (HEADERS,)}, arguments=f"{hasty} --retries 1", **TUNNEL
    ).ends(5, "through the proxy {host}", "stopped responding", "Tried 2 times", waits=(0,), asked={"connect": 2})
    found["x29b-handshake"] = Scenario(
        "a handshake trickles", {"hello": (HANDSHAKE,)}, arguments=f"{hasty} --retries 1", **TUNNEL
    ).ends(5, "x29b-handshake.invalid:443", "Tried 2 times", waits=(0,), asked={"hello": 2})
    return found


def _endless() -> dict[str, Scenario]:
    """Return the scenarios of servers that bring nothing new, however often they are asked."""
    cut, early = Reply(cut=CUT, ranges=False), Reply(cut=1000, ranges=False)
    ends = (5, "Tried 5 times", "partial downloads are kept")
    return {
        "x30-redirects": Scenario(
            "each redirect takes a while, and they have no end",
            of_layer(redirect("{path}?x", stall=0.2)),
            arguments="--timeout 0.5 --retries 1",
        ).ends(5, "{host} stopped responding", "Tried 2 times", waits=(0,)),
        "x30b-token": token("a token never comes", Reply(stall=LONGEST), arguments="--timeout 0.2").ends(
            4, "does not answer", "stopped responding", waits=(0, 1), asked={"token": 3}
        ),
        "x30c-store": Scenario(
            "storage that never answers", of_layer(TO_STORE, data=(Reply(stall=LONGEST),)), arguments="--timeout 0.2"
        ).ends(5, "{store_host} stopped responding", "Tried 5 times", waits=(0, 1, 3, 6), asked={"data": 5}),
        "x31-store": Scenario(
            "storage that cuts at 1.5 MB each time; ranges are ignored", of_layer(TO_STORE, data=(cut,))
        ).ends(*ends, "{store_host} closed the connection", waits=(1, 1, 3, 6), asked={"data": 5}),
        "x31b-alternately": Scenario(
            "cut at 1.5 MB, then at 1 kB, and so on; ranges are ignored", of_layer(*[cut, early] * 20)
        ).ends(*ends, waits=(1, 1, 3, 6), asked={"layer": 5}),
        "x31c-chunks": Scenario(
            "chunks that end at 1.5 MB each time; ranges are ignored", of_layer(replace(cut, chunked=True))
        ).ends(*ends, waits=(1, 1, 3, 6), asked={"layer": 5}),
    }


def _refusing() -> dict[str, Scenario]:
    """Return a scenario for each refusal, of the registry and of its storage."""
    found = {
        "r-little": Scenario(
            "resumed downloads end after 1000 bytes",
            {"layer": (Reply(cut=CUT), None), "layer-resumed": (Reply(cut=1000),)},
        ).ends(5, "partial downloads are kept", waits=(1, 1, 3, 6), asked={"layer": 1})
    }
    for name, refusal in REFUSALS.items():
        what = f"the download is cut, and a request to resume it gets {name}"
        resumed = {"layer": (Reply(cut=CUT), None), "layer-resumed": (refusal,)}
        found[f"r-{name}"] = Scenario(what, resumed).ends(waits=None)
        resumed = {"layer": (TO_STORE,), "data": (Reply(cut=CUT), None), "data-resumed": (refusal,)}
        found[f"r-{name}-store"] = Scenario(f"{what} from the storage", resumed).ends(waits=None)
    return found


SLOWLY = 50_000  # bytes a tenth of a second, of a layer that comes in pieces


@lru_cache(maxsize=2)
def _large(size: int = 600_000) -> Built:
    content = random.Random(size).randbytes(size)
    raw = ustar.header("large", len(content), mtime=1) + content + ustar.padding(len(content)) + ustar.END
    return image(layer(raw, OCI_TAR), hello("large"))


ODD_PIECES: dict[str, tuple[str, Reply]] = {
    "ignored": ("the whole layer", Reply(ranges=False)),
    "416": ("416", bare(416)),
    "404": ("404", bare(404)),
    "429": ("429", limit("30")),
    "503": ("503", UNAVAILABLE),
    "start": ("another first byte", Reply(shift=1)),
    "end": ("another last byte", Reply(range="bytes {first}-{total}/{total}")),
    "total": ("another size of the whole", Reply(range="bytes {first}-{last}/{last}")),
    "missing": ("no Content-Range", Reply(range="")),
    "twice": ("two ranges", Reply(range="bytes {first}-{last}/{total}, bytes 0-1/2")),
    "short": ("a byte less", Reply(extra=-1)),
    "short-chunks": ("a byte less, without a length", Reply(extra=-1, chunked=True)),
    "long": ("a byte more", Reply(extra=1)),
    "long-chunks": ("a byte more, without a length", Reply(extra=1, chunked=True)),
    "coded": ("a content coding", Reply(headers={"Content-Encoding": "gzip"})),
    "multipart": ("parts", Reply(headers={"Content-Type": "multipart/byteranges; boundary=x"})),
    "cut": ("the end of the connection", Reply(cut=1000)),
    "reset": ("a reset", Reply(raw=b"", reset=True)),
    "hang-up": ("no answer", Reply(raw=b"")),
    "stall": ("silence", Reply(stall=LONGEST)),
    "stall-late": ("silence after some bytes", Reply(cut=1000, stall=LONGEST)),
    "wrong": ("wrong bytes", Reply(alters=True)),
}


def _in_pieces() -> dict[str, Scenario]:
    """Return a scenario for each fault of a piece of a layer; the first response, and resumed ones, are good."""

    def scenario(what: str, **replies: Sequence[Reply | None]) -> Scenario:
        parts = {"layer": (Reply(step=SLOWLY),), "layer-resumed": (None,)}
        named = {part.replace("_", "-"): value for part, value in replies.items()}
        return Scenario(what, parts | named, in_pieces=True, built=_large()).ends()

    found = {}
    for name, (what, reply) in ODD_PIECES.items():
        found[f"p-{name}"] = scenario(f"the first piece gets {what}", layer_piece=(reply,))
        found[f"p-{name}-later"] = scenario(f"the third piece gets {what}", layer_piece=(None, None, reply))
    stored = {"layer": (TO_STORE,), "layer_resumed": (TO_STORE,), "data": (Reply(step=SLOWLY),)}
    return found | {
        "p-good": scenario("nothing, and the layer comes in pieces", layer_piece=(Reply(),)),
        "p-store": scenario("pieces get the whole layer from the storage", **stored, data_piece=(Reply(ranges=False),)),
        "p-http10": scenario("pieces come by HTTP/1.0", layer_piece=(Reply(plain=True),)),
    }


def _from_mirrors() -> dict[str, Scenario]:
    """Return a scenario for each fault of a mirror that sends pieces of a layer beside the first one, which is good."""
    mirrors = "--mirror {host}=http://{store_host} --mirror {host}=http://{second}"

    def scenario(what: str, **replies: Sequence[Reply | None]) -> Scenario:
        parts = {"layer": (Reply(step=SLOWLY),), "layer-resumed": (Reply(step=SLOWLY),)}
        named = {f"second-{part.replace('_', '-')}": value for part, value in replies.items()}
        return Scenario(what, parts | named, in_pieces=True, built=_large(450_000), arguments=mirrors).ends()

    found = {}
    for name in ("ignored", "503", "start", "total", "short", "cut", "stall", "wrong"):
        what, reply = ODD_PIECES[name]
        found[f"p-second-{name}"] = scenario(f"the second mirror answers pieces with {what}", layer_piece=(reply,))
        found[f"p-second-{name}-later"] = scenario(
            f"the second mirror answers its third piece with {what}", layer_piece=(None, None, reply)
        )
    again = found["p-second-wrong-later"]
    return found | {
        "p-second-good": scenario("nothing, and two mirrors send pieces of a layer", layer_piece=(None,)),
        "p-second-small": scenario(
            "the second mirror sends another config",
            config=(Reply(body=_large(450_000).config.content.replace(b"amd64", b"arm64")),),
            layer_piece=(None,),
        ).ends(asked={"second-config": 1, "second-layer-piece": 0}),
        "p-second-wrong-later": again.ends(0, "downloading it again over one connection", asked={"layer": 2}),
    }


_AMBIGUOUS = Reply(body=json.dumps({**json.loads(good("f36").raw), "manifests": []}).encode())

SCENARIOS: dict[str, Scenario] = {
    "good": Scenario("nothing"),
    # 2.1 Reaching the registry.
    "f01-name": Scenario("its name does not resolve", reference="nowhere.invalid/f01-name:v1").ends(
        5, "nowhere.invalid", "does not resolve"
    ),
    "f02-refused": Scenario("nobody listens", reference="{closed}/f02-refused:v1").ends(
        5, "{closed}", "connection refused", "Tried 3 times", waits=(0, 1)
    ),
    "f02b-reset": Scenario("it resets the connection, once", manifest(Reply(raw=b"", reset=True), None)).ends(
        waits=(0,)
    ),
    "f02c-reset": Scenario("it resets every connection", manifest(Reply(raw=b"", reset=True))).ends(
        5, "{host}", "Tried 5 times", waits=(0, 1, 3, 6), asked={"manifest": 5}
    ),
    "f03-untrusted": Scenario("its certificate is not trusted", tls=True, arguments="--ca-file {another_ca}").ends(
        5, "cannot verify the certificate", "--ca-file", "certs.d"
    ),
    "f03b-expired": Scenario(
        "its certificate has expired", reference="{expired}/f03b-expired:v1", arguments="--ca-file {ca}"
    ).ends(5, "cannot verify the certificate", "it expired", "clock"),
    "f03c-name": Scenario(
        "its certificate is for another name", reference="{misnamed}/f03c-name:v1", arguments="--ca-file {ca}"
    ).ends(5, "cannot verify the certificate", "elsewhere.test"),
    "f04-http": Scenario("it speaks http on the loopback"),
    "f04b-elsewhere": Scenario("it speaks http where https should be", **TUNNEL).ends(
        5, "f04b-elsewhere.invalid:443 does not use https", "--plain-http", asked={"hello": 1}
    ),
    "f05-proxy": Scenario(
        "the proxy wants a login",
        reference="registry.invalid/f05-proxy:v1",
        arguments="--plain-http",
        environment={"HTTP_PROXY": "http://{proxy}"},
    ).ends(5, "the proxy", "HTTP_PROXY", "407"),
    "f05b-tunnel": Scenario("the proxy wants a login for a tunnel", {"connect": (Reply(407),)}, **TUNNEL).ends(
        5, "the proxy {host}", "HTTPS_PROXY", "407", asked={"connect": 1}
    ),
    "f05c-refused": Scenario(
        "nobody listens at the proxy",
        reference="registry.invalid/f05c-refused:v1",
        arguments="--plain-http",
        environment={"HTTP_PROXY": "http://{closed}"},
    ).ends(5, "the proxy {closed}", "HTTP_PROXY", "connection refused"),
    "f06-head": Scenario(
        "the head of the answer does not come, once", manifest(Reply(stall=LONGEST), None), arguments="--timeout 0.5"
    ).ends(waits=(0,)),
    "f06b-head": Scenario(
        "the head of the answer never comes", manifest(Reply(stall=LONGEST)), arguments="--timeout 0.3 --retries 1"
    ).ends(5, "{host} stopped responding", "Tried 2 times", waits=(0,), asked={"manifest": 2}),
    "f06c-trickle": Scenario(
        "the head of the answer trickles, once",
        manifest(answered("HTTP/1.1 200 OK\nX-Slow: " + "a" * 300, step=1), None),
        arguments="--timeout 0.5",
    ).ends(waits=(0,)),
    "f06d-token": token("a token does not come, once", Reply(stall=LONGEST), None, arguments="--timeout 0.3").ends(
        waits=(0,)
    ),
    # 2.2 Authentication.
    "f10-realm": challenged(
        "nobody listens at the token server", 'Bearer realm="http://{closed}/nowhere/{name}",service="fault"'
    ).ends(4, "named", "{closed}", "the registry", "connection refused", "--realm-override", waits=(0,)),
    "f10b-own": challenged(
        "nobody listens at the token server, but at the registry's own address somebody does",
        'Bearer realm="http://{closed}/token/{name}",service="fault"',
    ).ends(0, "named", "{closed}", "instead", waits=(0,)),
    "f10c-name": challenged(
        "the token server's name does not resolve", 'Bearer realm="http://realm.invalid/token/{name}",service="fault"'
    ).ends(4, "named", "the registry", "realm.invalid:80", "does not resolve"),
    "f10d-path": challenged(
        "the token server has no such path", 'Bearer realm="{url}/nothing/{name}",service="fault"'
    ).ends(4, "named", "{url}/nothing/f10d-path", "does not exist there"),
    "f10e-certificate": challenged(
        "the token server's certificate is not trusted",
        'Bearer realm="https://{tls}/token/{name}",service="fault"',
        rule="certificates",
    ).ends(5, "named", "cannot verify the certificate", "{tls}"),
    "f10f-metadata": challenged(
        "the token server is a metadata service", 'Bearer realm="http://169.254.169.254/token",service="fault"'
    ).ends(4, "named", "169.254.169.254", "is forbidden"),
    "f10g-scheme": challenged(
        "the token server is asked by ftp",
        'Bearer realm="ftp://{host}/token/{name}",service="fault"',
        rule="trusted-token-servers",
    ).ends(4, "named", "cannot be used"),
    "f11-no-realm": challenged("the challenge names no realm", 'Bearer service="fault"').ends(4, "realm"),
    "f12-relative": challenged("the realm is relative", 'Bearer realm="/token/{name}",service="fault"'),
    "f13-three": challenged("it offers three schemes in three headers", f'Negotiate\nBasic realm="x"\n{BEARER}'),
    "f14-two": challenged("it offers two schemes in one header", f'Basic realm="x", {BEARER}'),
    "f14b-two": challenged("it offers two schemes in one header, Basic last", f'{BEARER}, Basic realm="x"'),
    "f14c-commas": challenged(
        "the challenge has commas and quotes in quotes",
        'Bearer realm="{url}/token/{name}",service="a, b=\\"c\\"",scope="repository:{name}:pull,push"',
    ),
    "f14d-spaces": challenged(
        "the challenge is in lower case, with odd spaces", 'bearer   REALM="{url}/token/{name}" ,  Service=fault,'
    ),
    "f15-bare": Scenario("it answers 401 without a challenge", manifest(bare(401))).ends(4, "401", "needs credentials"),
    "f15b-ping": challenged("its challenge stands at /v2/ only", "\n", ping=BEARER).ends(asked={"token": 1}),
    "f16-digest": challenged("it offers schemes that nobody speaks", 'Digest realm="x", nonce="y"\nNegotiate').ends(
        4, "digest", "negotiate"
    ),
    "f16b-basic": challenged("it wants a password", 'Basic realm="Sonatype Nexus"').ends(
        4, "user name and password", "Sonatype Nexus", "imgfetch login"
    ),
    "f17-html": token("the token server sends a page", HTML).ends(4, "Welcome to the hotel", "text/html"),
    "f18-empty": token("the token is empty", replied(token="")).ends(4, "no usable token"),
    "f18b-null": token("one of two tokens is null", replied(access_token=TOKEN, token=None)),
    "f18c-none": token("the token server sends no token", replied()).ends(4, "no usable token"),
    "f18d-nulls": token("both tokens are null", replied(access_token=None, token=None)).ends(4, "no usable token"),
    "f18e-access": token("the token is called access_token", replied(access_token=TOKEN)),
    "f19-401": token("the token server answers 401", Reply(401, JSON, b'{"details":"no such user"}')).ends(
        4, "no such user", "a request without credentials"
    ),
    "f19b-500": token("the token server answers 500 once", bare(500), None).ends(waits=(0,)),
    "f19c-500": token("the token server answers 500", bare(500)).ends(
        5, "500", "Tried 3 times", waits=(0, 1), asked={"token": 3}
    ),
    "f19d-429": token("the token server limits, once", limit("2"), None).ends(waits=(2,)),
    "f19e-expires": token("odd times of a token", replied(token=TOKEN, expires_in="300", issued_at="yesterday")),
    "f19f-403": token("the token server answers 403", bare(403)).ends(
        4, "a request without credentials", "403", asked={"token": 1}
    ),
    "f19g-429": token("the token server limits for ever", bare(429)).ends(
        5, "429", "Tried 3 times", waits=(0, 1), asked={"token": 3}
    ),
    "f19h-503": token("the token server answers 503 once", UNAVAILABLE, None).ends(waits=(0,)),
    "f19i-expires": token(
        "a token that ended in 2001", replied(token=TOKEN, expires_in=0, issued_at="2001-01-01T00:00:00Z")
    ).ends(asked={"token": 1}),
    "f20-scope": Scenario(
        "blobs want another token", {"token": (None,)}, challenge=BEARER, demands=frozenset({"layer"})
    ),
    "f20b-ends": challenged("a token is good for two requests", BEARER, uses=2).ends(asked={"token": 2}),
    "f20c-base": challenged("a layer wants another scope", BEARER, scope="repository:base:pull").ends(
        asked={"token": 2}
    ),
    "f20d-base": challenged(
        "a layer wants another scope, and says so", BEARER, scope="repository:base:pull", error="insufficient_scope"
    ).ends(asked={"token": 2}),
    "f20e-never": challenged("no token is good", BEARER, uses=-1).ends(4, "401", asked={"token": 2, "refused": 3}),
    # 2.3 Manifest.
    "f21-json": Scenario("the type is application/json", manifest(typed("application/json"))),
    "f21b-text": Scenario("the type is text/plain", manifest(typed("text/plain"))),
    "f21c-html": Scenario("the type is text/html", manifest(typed("text/html"))),
    "f21d-none": Scenario("there is no type", manifest(typed(""))),
    "f22-html": Scenario("a login page", manifest(HTML)).ends(1, "Welcome to the hotel", "captive portal"),
    "f23-no-digest": Scenario("no Docker-Content-Digest"),
    "f24-head": head("HEAD is not allowed", bare(405)),
    "f25-head": head("HEAD finds nothing", Reply(404, JSON)),
    "f25b-head": head("HEAD fails", bare(500)),
    "f25c-head": head("HEAD is denied", bare(403)),
    "f25d-head": head("HEAD is not implemented", bare(501)),
    "f25e-head": head("HEAD needs credentials, and GET none", Reply(401)),
    "f25f-head": head("HEAD ends the connection", Reply(raw=b"")),
    "f25g-head": head("HEAD resets the connection", Reply(raw=b"", reset=True)),
    "f25h-head": head("HEAD gets garbage", Reply(raw=b"SSH-2.0-OpenSSH_9.2\r\n")),
    "f25i-head": replace(head("HEAD gets nothing", Reply(stall=LONGEST)), arguments="--timeout 0.5"),
    "f25j-head": head("HEAD redirects in a circle", redirect("{path}")),
    "f25k-head": head("HEAD is limited", limit("3600")),
    "f25l-head": head("HEAD gets a page", HTML),
    "h01-stated": head("nothing, and it states the digest", STATED, gets=0),
    "h02-without": head("it states no digest", Reply()),
    "h02b-empty": head("it states an empty digest", stated("")),
    "h02c-malformed": head("it states half a digest", stated("sha256:" + "0" * 40)),
    "h02d-capitals": head("it states a digest in capitals", stated("SHA256:" + "A" * 64)),
    "h02e-sha512": head("it states a digest of another algorithm", stated("sha512:" + "0" * 128)),
    "h02f-two": head("it states two digests", stated("{digest}, {digest}")),
    "h02g-404": head("it states a digest and finds nothing", replace(STATED, status=404)),
    "h03-schema1": head(
        "it states a digest of schema 1",
        Reply(headers={**stated("sha256:" + "0" * 64).headers, "Content-Type": mediatypes.DOCKER_SCHEMA1_SIGNED}),
    ),
    "h04-body": head("HEAD gets a body", replace(STATED, body=b"HTTP/1.1 200 OK\r\n\r\n{}" * 100), gets=0),
    "h04b-chunked": head("HEAD gets the header of chunks", replace(STATED, chunked=True), gets=0),
    "h04c-length": head("HEAD gets no length", Reply(headers={**STATED.headers, "Content-Length": ""}), gets=0),
    "h04d-http10": head("HEAD gets HTTP/1.0", replace(STATED, plain=True), gets=0),
    "h04e-hints": head("HEAD gets hints", replace(STATED, interim=HINTS), gets=0),
    "h05-token": replace(head("HEAD needs a token", STATED, gets=0), challenge=BEARER),
    "h05b-root": replace(head("its challenge is at /v2/ alone", STATED, gets=0), challenge="\n", ping=BEARER),
    "h05c-redirect": head("HEAD redirects to another registry", redirect("{store}{path}/"), STATED, heads=3, gets=0),
    "h06-wrong": head("HEAD states a wrong digest under a digest", stated("sha256:" + "0" * 64), reference=PINNED),
    "h06b-right": head("HEAD confirms a digest", STATED, gets=0, reference=PINNED),
    "h06c-types": head("HEAD fails for several types at once", bare(406), STATED, heads=2, gets=0),
    "f26-wrong-digest": Scenario(
        "a wrong Docker-Content-Digest", manifest(Reply(headers={"Docker-Content-Digest": "sha256:" + "0" * 64}))
    ).ends(0, "Docker-Content-Digest"),
    "f27-pinned": Scenario(
        "another document under a digest", manifest(Reply(body=good("f28").raw)), reference="{host}/f27-pinned@{digest}"
    ).ends(6, "has the wrong digest", "do not use this image"),
    "f28-404": Scenario("no such tag", manifest(Reply(404, JSON, errors("MANIFEST_UNKNOWN", "manifest unknown")))).ends(
        3, "was not found", "manifest unknown", "v1"
    ),
    "f29-403": Scenario("denied", manifest(Reply(403, JSON, errors("DENIED")))).ends(
        4, "cannot get the manifest of", "DENIED"
    ),
    "f30-details": Scenario(
        "an error of another form", manifest(Reply(403, JSON, b'{"details":"image is not in the allowlist"}'))
    ).ends(4, "not in the allowlist"),
    "f30b-escapes": Scenario("an error with terminal escapes", manifest(Reply(404, JSON, errors("X", ESCAPES)))).ends(
        3, r"\x1b[2J", r"\u202e", r"\x0d\x0a"
    ),
    "f31-429": Scenario("it limits twice, and says how long", manifest(*[limit("2")] * 2, None)).ends(waits=(2, 2)),
    "f31b-date": Scenario("it limits until a date", manifest(limit("{soon}"), None)).ends(waits=(4,)),
    "f31c-garbage": Scenario("it limits, and says nonsense", manifest(limit("soon"), None)).ends(waits=(0,)),
    "f31d-past": Scenario("it limits until 2015", manifest(limit("Wed, 21 Oct 2015 07:28:00 GMT"), None)).ends(
        waits=(0,)
    ),
    "f32-429": Scenario("it limits for ever", manifest(bare(429))).ends(
        5, "too many requests", "Tried 5 times", waits=(0, 1, 3, 6), asked={"manifest": 5}
    ),
    "f32b-hub": Scenario("Docker Hub's limit of pulls", manifest(HUB_LIMIT)).ends(
        5, "100 pulls per 6 hours", "0 are left", "192.0.2.7", "did not retry", "log in", asked={"manifest": 1}
    ),
    "f32c-long": Scenario("it wants to wait an hour", manifest(limit("3600"))).ends(
        5, "3600", "--max-wait", asked={"manifest": 1}
    ),
    "f32d-longer": Scenario(
        "it wants to wait for longer than usual, and may", manifest(limit("90"), None), arguments="--max-wait 120"
    ).ends(waits=(90,)),
    "f33-malformed": Scenario(
        "a malformed 429, once",
        manifest(Reply(raw=b"HTTP/1.1 429 Too Many Requests\nRetry-After: 60\nConnection: close\n\nHAP"), None),
    ).ends(0, "retrying in 60 s (attempt 2 of 5)", waits=(60,)),
    "f34-500": Scenario("it answers 500 once", manifest(bare(500), None)).ends(waits=(0,)),
    "f34b-502": Scenario("a proxy's page, once", manifest(Reply(502, body=b"<html>502</html>"), None)).ends(waits=(0,)),
    "f34c-503": Scenario("it answers 503 once", manifest(UNAVAILABLE, None)).ends(waits=(0,)),
    "f34d-500": Scenario("it answers 500", manifest(bare(500))).ends(
        5, "500", "Tried 5 times", waits=(0, 1, 3, 6), asked={"manifest": 5}
    ),
    "f34e-501": Scenario("it answers 501", manifest(bare(501))).ends(5, "501", asked={"manifest": 1}),
    "f34f-504": Scenario("it answers 504 once", manifest(bare(504), None)).ends(waits=(0,)),
    "f34g-408": Scenario("it answers 408 once", manifest(bare(408), None)).ends(waits=(0,)),
    "f34h-499": Scenario("it answers 499 once", manifest(bare(499), None)).ends(waits=(0,)),
    "f34i-520": Scenario("it answers 520 once", manifest(bare(520), None)).ends(waits=(0,)),
    "f35-schema1": Scenario(
        "schema 1 only", manifest(Reply(headers={"Content-Type": mediatypes.DOCKER_SCHEMA1}, body=SCHEMA1))
    ).ends(1, "schema 1", "another tag"),
    "f36-ambiguous": Scenario("an ambiguous document", manifest(_AMBIGUOUS)).ends(6, "ambiguous"),
    "f37-large": Scenario("a manifest of more than 4 MiB", manifest(Reply(body=b" " * (4 * 1024**2 + 1)))).ends(
        6, "exceeds 4194304 bytes"
    ),
    # 2.4 Blobs.
    "f40-label": Scenario(
        "a .tar.gz that is labelled as coded", of_layer(Reply(headers={"Content-Encoding": "gzip"})), built=_gzipped()
    ),
    "f40b-label": Scenario(
        "a .tar.gz that is labelled as coded, by an old name",
        of_layer(Reply(headers={"Content-Encoding": "x-gzip"})),
        built=_gzipped(),
    ),
    "f41-proxy": Scenario(
        "a proxy compresses the config",
        config(Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(good("f41-proxy").config.content))),
    ),
    "f41b-manifest": Scenario(
        "a proxy compresses the manifest",
        manifest(Reply(headers={"Content-Encoding": "gzip"}, body=gzip.compress(good("f41b-manifest").raw, mtime=0))),
    ),
    "f41c-label": Scenario(
        "a plain manifest that is labelled as coded", manifest(Reply(headers={"Content-Encoding": "gzip"}))
    ),
    "f42-chunked": Scenario("no length, but chunks", of_layer(Reply(chunked=True))),
    "f42b-chunked": Scenario(
        "no length of anything, but chunks",
        {part: (Reply(chunked=True),) for part in ("manifest", "config", "layer", "other")},
    ),
    "f43-wrong": Scenario("wrong bytes of the right length", of_layer(Reply(body=bytes(LAYER_SIZE)))).ends(
        6, "layer 1/2", "expected sha256:", "from {host}", waits=(0,), asked={"layer": 2}
    ),
    "f43b-once": Scenario("wrong bytes, once", of_layer(Reply(body=bytes(LAYER_SIZE)), None)).ends(waits=(0,)),
    "f43c-config": Scenario("a wrong config", config(Reply(body=b"x" * len(good("f43c-config").config.content)))).ends(
        6, "the config of", "expected sha256:", waits=(0,), asked={"config": 2}
    ),
    "f44-longer": Scenario("more bytes than promised", of_layer(Reply(body=bytes(LAYER_SIZE + 9)))).ends(
        6, "layer 1/2", "the wrong size", waits=(0,)
    ),
    "f44b-longer": Scenario(
        "more bytes than promised, in chunks", of_layer(Reply(body=bytes(LAYER_SIZE + 9), chunked=True))
    ).ends(6, "layer 1/2", "got more", waits=(0,), asked={"layer": 2}),
    "f45-cut": Scenario(
        "cut at 1.5 MB, then at 100 kB; ranges work", of_layer(Reply(cut=CUT), Reply(cut=100_000), None)
    ).ends(waits=(1, 1), sent={"layer": LAYER_SIZE}),
    "f45b-cuts": Scenario("cut at 100 kB each time", of_layer(Reply(cut=100_000))).ends(
        5,
        "{host} closed the connection partway through",
        "Tried 5 times",
        "partial downloads are kept",
        waits=(0, 1, 3, 6),
        asked={"layer": 5},
        sent={"layer": 500_000},
    ),
    "f45c-progress": Scenario(
        "cut each time, but every time there is progress",
        of_layer(Reply(cut=1_100_000), Reply(cut=300_000), Reply(cut=300_000), None),
    ).ends(waits=(1, 1, 3), sent={"layer": LAYER_SIZE}),
    "f45d-token": Scenario(
        "the token has ended when the download is resumed",
        of_layer(Reply(cut=CUT), None),
        challenge=BEARER,
        demands=frozenset({"layer"}),
        uses=1,
    ).ends(waits=(1,), asked={"token": 2}, sent={"layer": LAYER_SIZE}),
    "f45e-both": Scenario(
        "cut, and then a layer is not there, resumed or not", of_layer(Reply(cut=CUT), bare(404))
    ).ends(3, "layer 1/2", "the registry has lost this blob", waits=(1,), asked={"layer": 3}),
    "f45f-both": Scenario(
        "cut, and then one error for what is resumed, and another one for the whole",
        {"layer": (Reply(cut=CUT), bare(403)), "layer-resumed": (UNAVAILABLE,)},
    ).ends(4, "layer 1/2", "403", waits=(1, 1, 3, 6), asked={"layer": 2, "layer-resumed": 3}),
    "f46-cut": Scenario(
        "cut at 1.5 MB; ranges are ignored", of_layer(Reply(cut=CUT, ranges=False), Reply(ranges=False))
    ).ends(waits=(1,), asked={"layer": 2}),
    "f46d-same": Scenario("cut at 1.5 MB each time; ranges are ignored", of_layer(Reply(cut=CUT, ranges=False))).ends(
        5,
        "{host} closed the connection partway through",
        "Tried 5 times",
        "partial downloads are kept",
        waits=(1, 1, 3, 6),
        asked={"layer": 5},
    ),
    "f46e-same": Scenario(
        "cut at 1.5 MB each time; ranges are refused", {"layer": (Reply(cut=CUT),), "layer-resumed": (bare(400),)}
    ).ends(
        5,
        "{host} closed the connection partway through",
        "Tried 6 times",
        "partial downloads are kept",
        waits=(1, 1, 3, 6),
        asked={"layer": 5, "layer-resumed": 1},
    ),
    "f46b-416": Scenario(
        "cut, and 416 for the rest", {"layer": (Reply(cut=CUT), None), "layer-resumed": (bare(416),)}
    ).ends(waits=(1,)),
    "f46c-multipart": Scenario(
        "cut, and the rest comes as several parts",
        {
            "layer": (Reply(cut=CUT), None),
            "layer-resumed": (Reply(206, {"Content-Type": "multipart/byteranges; boundary=x"}, b"--x--"),),
        },
    ).ends(waits=(1,)),
    "f47-reset": Scenario("a reset at 1.5 MB", of_layer(Reply(cut=CUT, reset=True), None)).ends(
        waits=(1,), sent={"layer": LAYER_SIZE}
    ),
    "f47b-resets": Scenario("a reset each time", of_layer(Reply(cut=0, reset=True))).ends(
        5, "{host}", "Tried 5 times", waits=(0, 1, 3, 6), asked={"layer": 5}
    ),
    "f48-offset": Scenario("the rest from a wrong byte on", of_layer(Reply(cut=CUT), Reply(shift=4096), None)).ends(
        waits=(1,)
    ),
    "f48b-no-header": Scenario(
        "a 206 that does not say what of", of_layer(Reply(cut=CUT), Reply(headers={"Content-Range": ""}), None)
    ).ends(waits=(1,)),
    "f49-expired": Scenario(
        "the signed URL has expired when it is continued", of_layer(TO_STORE, data=(Reply(cut=CUT), EXPIRED, None))
    ).ends(waits=(1, 1), asked={"layer": 3}, sent={"data": LAYER_SIZE + 100}),
    "f49b-first": Scenario(
        "the signed URL has expired at once", of_layer(TO_STORE, data=(EXPIRED, EXPIRED, None))
    ).ends(waits=(0, 1), asked={"layer": 3}),
    "f49c-always": Scenario("the signed URL has always expired", of_layer(TO_STORE, data=(EXPIRED,))).ends(
        1, "redirected to {store_host}", "403", waits=(0, 1), asked={"layer": 3}
    ),
    "f49d-once": Scenario(
        "a signed URL is good for one request, and what it leads to is cut",
        of_layer(TO_STORE_ONCE, data=(Reply(cut=CUT), None)),
        once=True,
    ).ends(waits=(1,), asked={"layer": 2}, sent={"data": LAYER_SIZE}),
    "f50-503": Scenario("503 once for a layer", of_layer(UNAVAILABLE, None)).ends(waits=(0,)),
    "f51-429": Scenario("a limit for a layer, once", of_layer(limit("5"), None)).ends(
        0, "retrying in 5 s (attempt 2 of 5)", waits=(5,)
    ),
    "f52-404": Scenario("a layer is not there", of_layer(Reply(404, JSON, errors("BLOB_UNKNOWN")))).ends(
        3, "layer 1/2", "sha256:", "the registry has lost this blob", asked={"layer": 1}
    ),
    "f52b-config": Scenario("the config is not there", config(Reply(404, JSON, errors("BLOB_UNKNOWN")))).ends(
        3, "the config of", "sha256:", asked={"config": 1}
    ),
    "f53-token": Scenario(
        "the store wants a token of its own",
        of_layer(TO_STORE),
        challenge='Bearer realm="{url}/token/{name}",service="store"',
        demands=frozenset({"data"}),
    ),
    "f53b-basic": Scenario(
        "the store wants a password", of_layer(TO_STORE), challenge='Basic realm="store"', demands=frozenset({"data"})
    ).ends(1, "redirected to {store_host}", "401"),
    "f54-loop": Scenario("redirects in a circle", of_layer(redirect("{path}"))).ends(
        1, "redirect loop", asked={"layer": 1}
    ),
    "f54b-endless": Scenario("redirects without end", of_layer(redirect("{path}?x"))).ends(1, "more than 10 redirects"),
    "f54c-nowhere": Scenario("a redirect without a Location", of_layer(bare(307))).ends(1, "without a Location"),
    "f55-relative": Scenario("a relative redirect", of_layer(redirect("/data/{blob}"), data=(None,))),
    "f55b-own": Scenario(
        "a relative redirect to storage that wants no token",
        of_layer(redirect("/data/{blob}"), data=(None,)),
        challenge=BEARER,
    ).ends(asked={"data": 1}),
    "f55c-token": Scenario(
        "a relative redirect to storage that wants the token",
        of_layer(redirect("/data/{blob}"), data=(None,)),
        challenge=BEARER,
        demands=frozenset({"manifest", "config", "layer", "other", "data"}),
    ).ends(asked={"data": 1}),
    "f55d-password": Scenario(
        "a relative redirect to storage that wants no password",
        of_layer(redirect("/data/{blob}"), data=(None,)),
        challenge='Basic realm="x"',
        wants="alice",
        **stored(),
    ).ends(asked={"data": 1}),
    "f56-store": Scenario("a store that wants no token of the registry", of_layer(TO_STORE), challenge=BEARER),
    "f57-http": Scenario(
        "a redirect from https to http", of_layer(TO_STORE), tls=True, arguments="--ca-file {ca}"
    ).ends(0, "over plain http"),
    "f57b-strict": Scenario(
        "a redirect from https to http, which --strict refuses",
        of_layer(TO_STORE),
        tls=True,
        arguments="--ca-file {ca} --strict",
    ).ends(6, "plain http", asked={"data": 0}),
    "f57c-manifest": Scenario(
        "a redirect from https to http, of a manifest",
        manifest(redirect("{store}/v2/f57c-manifest/manifests/v1")),
        tls=True,
        arguments="--ca-file {ca}",
    ).ends(1, "from https to http", asked={"manifest": 1}),
    "f58-metadata": Scenario(
        "a redirect to a metadata service", of_layer(redirect("http://169.254.169.254/latest"))
    ).ends(1, "did not follow a redirect to an unsafe address"),
    "f58b-loopback": Scenario(
        "a redirect from elsewhere to this machine",
        of_layer(TO_STORE),
        reference="f58b-loopback.invalid/f58b-loopback:v1",
        arguments="--plain-http",
        environment={"HTTP_PROXY": "http://{host}"},
        rule="forbidden-addresses",
    ).ends(1, "did not follow a redirect to an unsafe address", asked={"layer": 1, "data": 0}),
    "f58c-mapped": Scenario(
        "a redirect to a metadata service in IPv6", of_layer(redirect("http://[::ffff:169.254.169.254]/latest"))
    ).ends(1, "did not follow a redirect to an unsafe address", asked={"layer": 1}),
    "f58d-internal": Scenario(
        "a redirect to a host that only the registry knows", of_layer(redirect("http://s3.internal.invalid/{blob}"))
    ).ends(5, "{host} redirects to s3.internal.invalid: cannot find s3.internal.invalid:80", waits=None),
    "f59-stall": Scenario(
        "nothing comes after 1.5 MB", of_layer(Reply(cut=CUT, stall=LONGEST), None), arguments="--timeout 0.5"
    ).ends(waits=(1,), sent={"layer": LAYER_SIZE}),
    "f59b-trickle": Scenario(
        "a byte now and then", of_layer(Reply(step=1, cut=100), None), arguments="--timeout 0.5"
    ).ends(waits=(0,)),
    "f59c-stalls": Scenario(
        "nothing comes after 100 kB, each time",
        of_layer(Reply(cut=100_000, stall=LONGEST)),
        arguments="--timeout 0.3 --retries 1",
    ).ends(
        5,
        "{host}",
        "Tried 2 times",
        "partial downloads are kept",
        waits=(0,),
        asked={"layer": 2},
        sent={"layer": 200_000},
    ),
    "f59d-silent": Scenario(
        "nothing comes after 1.5 MB, nor at any other request",
        of_layer(Reply(cut=CUT, stall=LONGEST), Reply(stall=LONGEST)),
        arguments="--timeout 0.3",
    ).ends(
        5,
        "{host} stopped responding",
        "Tried 5 times",
        "partial downloads are kept",
        waits=(1, 1, 3, 6),
        asked={"layer": 5},
    ),
    "f59e-manifest": Scenario("it never answers", manifest(Reply(stall=LONGEST)), arguments="--timeout 0.3").ends(
        5, "{host} stopped responding", "Tried 5 times", waits=(0, 1, 3, 6), asked={"manifest": 5}
    ),
    # F60, a full disk, is not the registry's: tests/integration/test_output.py has it.
    "f61-diff-id": Scenario("a wrong diff_id", built=_wrong_diff_id(), rule="decompressed-digests").ends(
        6, "layer 1/2", "expected diff_id sha256:000", "try another tag, or tell the image's publisher"
    ),
    "f61b-number": Scenario("a diff_id too few", built=_two_diff_ids_short(), rule="decompressed-digests").ends(
        6, "expected 2 diff_ids", "got 1"
    ),
    # Beside the matrix.
    "x01-http10": Scenario(
        "HTTP/1.0 without a length, cut once", of_layer(Reply(plain=True, cut=CUT), Reply(plain=True))
    ).ends(waits=(1,), asked={"layer": 2}),
    "x02-headers": Scenario("100 MB of headers", manifest(Reply(raw=b"HTTP/1.1 200 OK\r\n", flood=b"X-A: b\r\n"))).ends(
        5, "{host}", waits=(0, 1, 3, 6)
    ),
    "x03-header": Scenario("a header of 100 MB", manifest(Reply(raw=b"HTTP/1.1 200 OK\r\nX-A: ", flood=b"b"))).ends(
        5, "{host}", waits=(0, 1, 3, 6)
    ),
    "x04-continue": Scenario(
        "100 Continue without end",
        manifest(Reply(flood=b"HTTP/1.1 100 Continue\r\n\r\n", raw=b"")),
        arguments="--timeout 0.5 --retries 1",
    ).ends(5, "{host}", waits=(0,)),
    "x05-redirect-body": Scenario(
        "a redirect with a body of 100 MB",
        of_layer(Reply(307, {**TO_STORE.headers, "Content-Length": str(FLOOD)}, b"", flood=b"body")),
    ),
    "x06-error-body": Scenario(
        "an error with a body of 100 MB", manifest(Reply(404, {"Content-Length": str(FLOOD)}, b"", flood=b"body"))
    ).ends(3, "404"),
    "x07-token-body": token(
        "a token of 4 GiB", Reply(headers={"Content-Length": str(4 * 1024**3)}, body=b"", flood=b"token")
    ).ends(4, "token"),
    "x08-garbage": Scenario("no HTTP at all", manifest(Reply(raw=b"SSH-2.0-OpenSSH_9.2\r\n"))).ends(
        5, "{host}", waits=(0, 1, 3, 6)
    ),
    "x09-hang-up": Scenario("it hangs up, once", manifest(Reply(raw=b""), None)).ends(waits=(0,)),
    "x10-deep": Scenario("JSON nested too deeply", manifest(Reply(body=b"[" * 200_000 + b"1"))).ends(
        6, "nested too deeply"
    ),
    "x11-alert": Scenario(
        "it breaks TLS off by an alert", {"hello": (Reply(raw=b"\x15\x03\x03\x00\x02\x02\x28"),)}, **TUNNEL
    ).ends(5, "the TLS handshake with x11-alert.invalid:443 failed", asked={"hello": 1}),
    "x12-hang-up": Scenario("it hangs up where TLS should begin", {"hello": (Reply(raw=b""),)}, **TUNNEL).ends(
        5, "x12-hang-up.invalid:443", "Tried 5 times", waits=(0, 1, 3, 6), asked={"hello": 5}
    ),
    "x13-handshake": Scenario(
        "its TLS is garbage", {"hello": (Reply(raw=b"\x16\x03\x03\x00\x05hello"),)}, **TUNNEL
    ).ends(5, "the TLS handshake with x13-handshake.invalid:443 failed"),
    "x14-manifest": Scenario(
        "a manifest without end", manifest(Reply(plain=True, flood=b" ")), rule="limits-for-documents"
    ).ends(6, "exceeds 4194304 bytes"),
    "x15-layer": Scenario("a layer without end", of_layer(Reply(plain=True, flood=b"more")), rule="lengths").ends(
        6, "layer 1/2", "got more", waits=(0,), asked={"layer": 2}
    ),
    "x16-http10": Scenario(
        "HTTP/1.0 throughout", {part: (Reply(plain=True),) for part in ("manifest", "config", "layer", "other")}
    ),
    "x17-chunks": Scenario(
        "chunks that are none, once", manifest(answered("HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\nzz\n{}"), None)
    ).ends(waits=(0,)),
    "x18-lengths": Scenario(
        "two lengths, once", manifest(answered("HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 9\n\n{}"), None)
    ).ends(waits=(0,)),
    "x19-status": Scenario(
        "a status that is not a number", manifest(answered("HTTP/1.1 abc OK\nContent-Length: 2\n\n{}"))
    ).ends(5, "{host}", "Tried 5 times", waits=(0, 1, 3, 6), asked={"manifest": 5}),
    "x20-hints": Scenario(
        "103 Early Hints before each answer", dict.fromkeys(("manifest", "config", "layer", "other"), (HINTED,))
    ),
    "x20b-processing": Scenario(
        "102 Processing, five times, before a token",
        {"token": (Reply(interim=b"HTTP/1.1 102 Processing\r\n\r\n" * 5),)},
        challenge=BEARER,
    ),
    "x20c-redirect": Scenario(
        "103 Early Hints before a redirect, and before the rest of what is cut",
        of_layer(replace(TO_STORE, interim=HINTS), data=(replace(HINTED, cut=CUT), HINTED)),
    ).ends(waits=(1,), asked={"layer": 2}),
    "x20d-endless": Scenario("102 Processing without end", manifest(Reply(raw=b"", flood=HINTS))).ends(
        5, "more than 100 interim responses", waits=(0, 1, 3, 6)
    ),
    "x21-head": Scenario(
        "the connection ends inside the headers, once",
        manifest(Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"), None),
    ).ends(waits=(0,)),
    "x21b-missing": Scenario(
        "it ends inside the headers of a 404, once", of_layer(Reply(raw=b"HTTP/1.1 404 Not Found\r\nServer: x"), None)
    ).ends(waits=(0,)),
    "x21c-location": Scenario(
        "it ends inside a Location, once", of_layer(Reply(raw=b"HTTP/1.1 307 There\r\nLocation: /data/x21c"), None)
    ).ends(waits=(0,)),
    "x21d-challenge": Scenario(
        "it ends inside a challenge, once",
        manifest(Reply(raw=b'HTTP/1.1 401 No\r\nWWW-Authenticate: Bearer realm="htt'), None),
    ).ends(waits=(0,)),
    "x21e-token": token("it ends inside the headers of a token, once", Reply(raw=b"HTTP/1.1 200 OK\r\n"), None).ends(
        waits=(0,)
    ),
    "x21f-always": Scenario(
        "it ends inside the headers each time", manifest(Reply(raw=b"HTTP/1.1 200 OK\r\nContent-Le"))
    ).ends(5, "{host} closed the connection partway through", "Tried 5 times", waits=(0, 1, 3, 6)),
    "x21g-deadline": Scenario(
        "the headers stop, once",
        manifest(Reply(raw=b"HTTP/1.1 200 OK\r\nX-A: " + b"b" * 40, step=4), None),
        arguments="--timeout 0.5",
    ).ends(waits=(0,)),
    "x22-types": Scenario("400 for several types at once", manifest(bare(400), None)),
    "x22b-types": Scenario("415 for several types at once", manifest(bare(415), None)),
    "x22c-always": Scenario("400 for any types", manifest(Reply(400, JSON, errors("UNSUPPORTED")))).ends(
        1, "400", asked={"manifest": 2}
    ),
    "x23-empty": Scenario("an empty manifest, once", manifest(Reply(body=b""), None)).ends(waits=(0,)),
    "x23b-chunked": Scenario("an empty manifest in chunks, once", manifest(Reply(body=b"", chunked=True), None)).ends(
        waits=(0,)
    ),
    "x23c-always": Scenario("an empty manifest each time", manifest(Reply(body=b""))).ends(
        6, "is empty: {host} sent no content", "Tried 2 times", waits=(0,), asked={"manifest": 2}
    ),
    "x24-challenges": challenged(
        "60 challenges of 60 kB behind the right one", "\n".join([BEARER, *["a," * 30_000] * 60])
    ),
    **_credentials(),
    **_mirrored(),
    **_trickling(),
    **_endless(),
    **_refusing(),
    **_in_pieces(),
    **_from_mirrors(),
}


@contextmanager
def served(directory: Path) -> Iterator[dict[str, FaultRegistry]]:
    """Serve all scenarios by http and https, with the store at an origin of its own; ``names`` has who is where."""
    made = certificates.make(directory)

    def secured(certificate: Path) -> FaultRegistry:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, made.server_key)
        return FaultRegistry(SCENARIOS, context)

    with ExitStack() as stack:
        servers = {
            "http": stack.enter_context(FaultRegistry(SCENARIOS)),
            "https": stack.enter_context(secured(made.server_cert)),
            "expired": stack.enter_context(secured(made.expired_cert)),
            "misnamed": stack.enter_context(secured(made.wrong_name_cert)),
            "store": stack.enter_context(FaultRegistry(SCENARIOS)),
            "proxy": stack.enter_context(_Static(Reply(407))),
            "silent": stack.enter_context(_Static(Reply(stall=LONGEST))),
            "down": stack.enter_context(_Static(Reply(503))),
            "slow": stack.enter_context(_Slow(SCENARIOS)),
            "second": stack.enter_context(_Second(SCENARIOS)),
        }
        held = stack.enter_context(socket.socket())
        held.bind(("127.0.0.1", 0))  # bound, and nobody listens
        for server in servers.values():
            server.names |= {
                "closed": f"127.0.0.1:{held.getsockname()[1]}",
                "store": f"http://{servers['store'].host}",
                "store_host": servers["store"].host,
                **{name: servers[name].host for name in ("proxy", "silent", "down", "slow", "second")},
                "tls": servers["https"].host,
                "expired": servers["expired"].host,
                "misnamed": servers["misnamed"].host,
                "ca": str(made.ca),
                "another_ca": str(made.another_ca),
            }
        yield servers


class _Static(FaultRegistry):
    """Gives the same answer to everything."""

    def __init__(self, reply: Reply) -> None:
        super().__init__({})
        handler: Any = self._server.RequestHandlerClass
        handler.do_GET = lambda handler: handler._send(reply, b"", "text/plain")


class _Slow(FaultRegistry):
    """Sends 200 kB a second at most, for each answer."""

    def next_reply(self, name: str, part: str) -> Reply:
        return replace(super().next_reply(name, part), step=20_000)


class _Second(FaultRegistry):
    """Has replies of its own."""

    prefix = "second-"


def reference(name: str, servers: Mapping[str, FaultRegistry]) -> str:
    """Return what to save for a scenario."""
    scenario = SCENARIOS[name]
    server = servers["https" if scenario.tls else "http"]
    host = server.host.replace("127.0.0.1", "localhost") if scenario.tls else server.host
    wanted = scenario.reference or "{host}/{name}:v1"
    return wanted.format(**server.names | {"host": host}, name=name, digest=server.built(name).digest)


def stripped(environment: Mapping[str, str]) -> list[str]:
    """Return the variables that would make a test depend on whose it is."""
    return [
        name
        for name in environment
        if name.startswith(("XDG_", "DOCKER_", "IMGFETCH_RETRIES"))
        or name.upper().endswith("_PROXY")
        or name in ("REGISTRY_AUTH_FILE", "REQUESTS_CA_BUNDLE")
    ]


def plain_environment(home: Path, names: Mapping[str, str]) -> dict[str, str]:
    """Return a home without logins, and one authority to believe: the system's many take a while to read."""
    return {"HOME": str(home), "SSL_CERT_FILE": names["another_ca"], "SSL_CERT_DIR": str(home / "none")}


def main() -> int:
    """Serve until it is interrupted."""
    with tempfile.TemporaryDirectory() as directory, served(Path(directory)) as servers, suppress(KeyboardInterrupt):
        names = servers["http"].names
        for name, scenario in SCENARIOS.items():
            expected = f"exit {scenario.status}" if scenario.status else "works"
            expected += f" (not yet: {scenario.pending})" if scenario.pending else ""
            if scenario.tags or scenario.tags_say:
                expected = f"imgfetch tags {'lists ' + ' '.join(scenario.tags) if scenario.tags else 'fails'}"
            given = {key: value.format(**names) for key, value in scenario.environment.items()}
            variables = "".join(f"{key}={shlex.quote(value)} " for key, value in given.items())
            arguments = f" {scenario.arguments}".rstrip().format(**names)
            print(f"{variables}{reference(name, servers)}{arguments}\n    {scenario.what}; {expected}", flush=True)
        print(
            f"Ctrl-C ends it.  Each breaks anew when nobody asked for {IDLE:.0f} s; use imgfetch save --no-cache.",
            flush=True,
        )
        threading.Event().wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
