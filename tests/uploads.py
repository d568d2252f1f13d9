"""A registry on the loopback that receives pushes, by the distribution specification, and fails as a test says.

It keeps everything in memory, and remembers each request with the bytes of its body.  A test that wants the real thing
starts docker-registry instead.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from itertools import count
from urllib.parse import parse_qs, urlsplit

from tests.loopback import LoopbackServer

_UPLOADS = re.compile(r"/v2/(.+)/blobs/uploads/([^/]*)")
_BLOB = re.compile(r"/v2/(.+)/blobs/([^/]+)")
_MANIFEST = re.compile(r"/v2/(.+)/manifests/([^/]+)")
_PIECE = 65536


@dataclass(frozen=True)
class Sent:
    """A request that was received, with the length of its body, as far as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    size: int = 0


@dataclass(frozen=True)
class Reply:
    """The response to a request."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def refusal(status: int, code: str = "", **headers: str) -> Reply:
    """Return an error with a code, as registries send it; an underscore in a header's name is a hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    body = json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode() if code else b""
    return Reply(status, {"Content-Type": "application/json", **named}, body)


Fault = Callable[[Sent], Reply | None]


class UploadRegistry(LoopbackServer):
    """A registry for pushes.

    Attributes:
        blobs: by repository and digest.
        manifests: the type and content by repository and tag or digest.
        uploads: the bytes received so far, by the upload's name.
        requests: all requests, in order.
        fault: is asked first for a reply, after the body was received.
        stops_after: the bytes of bodies after which the connection of a request is cut, once.
        mounts: whether blobs can be mounted.
        knows_referrers: whether it has the referrers API.
        least: the bytes that it wants in a chunk.
        sleeps: the seconds before it reads the body of an upload.
        manifest_status: the status after a manifest was stored.
        drops_partial: whether an upload with more bytes than its address says is dropped, as by docker-registry 2.8.
    """

    def __init__(self) -> None:
        super().__init__(_handler(self))
        self.lock = threading.RLock()
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, bytearray] = {}
        self.requests: list[Sent] = []
        self._numbers = count()
        self.fault: Fault = self.obeys
        self.stops_after: int | None = None
        self.mounts = self.knows_referrers = True
        self.drops_partial = False
        self.sleeps, self.least, self.manifest_status = 0.0, 0, 201

    @staticmethod
    def obeys(_: Sent) -> None:
        """Return no reply; the fault of a registry without faults."""

    @property
    def asked(self) -> list[tuple[str, str]]:
        """The method and the path of each request, in order."""
        return [(sent.method, sent.path) for sent in self.requests]

    def number(self, method: str, part: str = "") -> int:
        """Return the number of requests with a method and a part of a path."""
        return sum(sent.method == method and part in sent.path for sent in self.requests)

    @property
    def received(self) -> int:
        """The bytes of all bodies of uploads."""
        return sum(sent.size for sent in self.requests if "/uploads/" in sent.path)

    def tags(self, repository: str) -> dict[str, str]:
        """Return the digests of a repository's tags."""
        return {
            target: _digest(raw)
            for (name, target), (_, raw) in self.manifests.items()
            if name == repository and ":" not in target
        }

    def reply(self, sent: Sent, body: bytes) -> Reply:
        """Return the response to a request, by the specification."""
        path, query = urlsplit(sent.path).path, parse_qs(urlsplit(sent.path).query)
        with self.lock:
            if path == "/v2/":
                return Reply(200)
            if match := _UPLOADS.fullmatch(path):
                return self._upload(sent, match[1], match[2], query, body)
            if match := _BLOB.fullmatch(path):
                found = self.blobs.get((match[1], match[2]))
                return refusal(404, "BLOB_UNKNOWN") if found is None else Reply(200, {}, found)
            if match := _MANIFEST.fullmatch(path):
                return self._manifest(sent, match[1], match[2], body)
        return refusal(404)

    def _manifest(self, sent: Sent, repository: str, target: str, body: bytes) -> Reply:
        if sent.method == "PUT":
            digest = _digest(body)
            self.manifests[repository, target] = self.manifests[repository, digest] = sent.headers["Content-Type"], body
            headers = {"Docker-Content-Digest": digest}
            subject = json.loads(body).get("subject")
            if subject and self.knows_referrers:
                headers["OCI-Subject"] = subject["digest"]
            return Reply(self.manifest_status, headers)
        found = self.manifests.get((repository, target))
        if found is None:
            return refusal(404, "MANIFEST_UNKNOWN")
        return Reply(200, {"Content-Type": found[0], "Docker-Content-Digest": _digest(found[1])}, found[1])

    def _upload(self, sent: Sent, repository: str, name: str, query: dict[str, list[str]], body: bytes) -> Reply:
        if sent.method == "POST":
            digest, source = query.get("mount", [""])[0], query.get("from", [""])[0]
            if self.mounts and (source, digest) in self.blobs:
                self.blobs[repository, digest] = self.blobs[source, digest]
                return Reply(201, {"Docker-Content-Digest": digest})
            name = f"upload-{next(self._numbers)}"
            self.uploads[name] = bytearray()
        elif name not in self.uploads:
            return refusal(404, "BLOB_UPLOAD_UNKNOWN")
        elif self.drops_partial and int(query["offset"][0]) != len(self.uploads[name]) - len(body):
            del self.uploads[name]
            return refusal(404, "BLOB_UPLOAD_INVALID")
        if sent.method == "PUT":
            return self._finish(repository, query["digest"][0], bytes(self.uploads.pop(name)))
        return Reply(204 if sent.method == "GET" else 202, self._state(repository, name))

    def _finish(self, repository: str, digest: str, content: bytes) -> Reply:
        if _digest(content) != digest:
            return refusal(400, "DIGEST_INVALID")
        self.blobs[repository, digest] = content
        return Reply(201, {"Docker-Content-Digest": digest})

    def _state(self, repository: str, name: str) -> dict[str, str]:
        size = len(self.uploads[name])
        location = f"/v2/{repository}/blobs/uploads/{name}?offset={size}&state=secret-of-this-upload"
        more = {"OCI-Chunk-Min-Length": str(self.least)} if self.least else {}
        return {"Location": location, "Range": f"0-{max(size - 1, 0)}", **more}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _handler(registry: UploadRegistry) -> type[BaseHTTPRequestHandler]:  # noqa: C901  # a class of few methods
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30
        disable_nagle_algorithm = True

        def do(self) -> None:
            body = self._body()
            sent = Sent(self.command, self.path, dict(self.headers.items()), len(body))
            with registry.lock:
                registry.requests.append(sent)
            if len(body) < int(self.headers.get("Content-Length", 0)):
                self.close_connection = True
                return
            reply = registry.fault(sent) or registry.reply(sent, body)
            self.send_response(reply.status)
            for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                self.send_header(name, value)
            with suppress(OSError):  # the client went away
                self.end_headers()
                self.wfile.write(b"" if self.command == "HEAD" else reply.body)

        do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do  # noqa: N815  # as in http.server

        def _body(self) -> bytes:
            """Receive the body; the bytes of an upload count even if the connection ends early."""
            left, body = int(self.headers.get("Content-Length", 0)), bytearray()
            match = _UPLOADS.fullmatch(urlsplit(self.path).path)
            if left and match:
                time.sleep(registry.sleeps)
            while left:
                with registry.lock:
                    stop = registry.stops_after
                try:
                    piece = self.rfile.read1(min(left, _PIECE, _PIECE if stop is None else max(stop, 1)))
                except OSError:
                    break
                if not piece:
                    break
                left -= len(piece)
                body += piece
                with registry.lock:
                    if match and match[2] in registry.uploads:
                        registry.uploads[match[2]] += piece
                    if registry.stops_after is not None:
                        registry.stops_after -= len(piece)
                        if registry.stops_after <= 0:
                            registry.stops_after = None
                            break
            return bytes(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler
