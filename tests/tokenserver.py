"""A token server that signs real tokens, so that a real registry checks what a client got.

It knows one user, whose password and refresh token stand below, and gives everybody else a token for what is public.
Source: the distribution project's token specification.  docker-registry checks signature, issuer, times, access.
"""

from __future__ import annotations

import base64
import json
import subprocess
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.loopback import LoopbackServer
from tests.tools import tool

USER = "alice"
PASSWORD = "correct horse"  # of a user who exists in tests only
REFRESH_TOKEN = "refresh-token-of-alice"
ISSUER = "imgfetch tests"
SERVICE = "registry.test:443:tests"
PUBLIC = "public/"
LEEWAY = 60
"""Seconds by which docker-registry accepts a token that has ended."""


class TokenServer(LoopbackServer):
    """A token server."""

    def __init__(self, directory: Path) -> None:
        super().__init__(_handler(self))
        self.key, self.certificate = directory / "token.key", directory / "token.crt"
        make = [tool("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=tokens"]
        make += ["-keyout", str(self.key), "-out", str(self.certificate)]
        subprocess.run(make, check=True, capture_output=True, timeout=60)
        self.life = 300.0
        """Seconds for which the registry accepts a token; the client is always told 300."""
        self.knows_post = self.allows_push = True
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.given: list[str] = []
        """Every token that was given."""

    @property
    def realm(self) -> str:
        return f"http://{self.host}/service/token"

    def sign(self, scopes: list[str], user: str = "", *, actions: list[str] | None = None) -> str:
        """Return a token for those of ``scopes`` that the user may have."""
        access = []
        for scope in scopes:
            kind, _, rest = scope.partition(":")
            name, _, wanted = rest.rpartition(":")
            if user or name.startswith(PUBLIC):
                granted = ["pull", "push"] if user and self.allows_push and "push" in wanted else ["pull"]
                access.append({"type": kind, "name": name, "actions": actions or granted})
        now = time.time()
        der = "".join(self.certificate.read_text().splitlines()[1:-1])
        header = {"typ": "JWT", "alg": "RS256", "x5c": [der]}
        claims = {
            "iss": ISSUER,
            "sub": user,
            "aud": SERVICE,
            "iat": int(now) - 600,
            "nbf": int(now) - 600,
            "exp": int(now + self.life) - LEEWAY,
            "jti": str(len(self.given)),
            "access": access,
        }
        text = f"{_base64(json.dumps(header).encode())}.{_base64(json.dumps(claims).encode())}"
        sign = [tool("openssl"), "dgst", "-sha256", "-sign", str(self.key)]
        signature = subprocess.run(sign, input=text.encode(), check=True, capture_output=True, timeout=60).stdout
        token = f"{text}.{_base64(signature)}"
        self.given.append(token)
        return token

    def reply(self, scopes: list[str], user: str) -> dict[str, Any]:
        return {"token": self.sign(scopes, user), "expires_in": 300}


def _base64(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _handler(server: TokenServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_GET(self) -> None:
            self._note("")
            query = parse_qs(urlsplit(self.path).query)
            authorization = self.headers.get("Authorization", "")
            user = ""
            if authorization:
                login = base64.b64decode(authorization.removeprefix("Basic ")).decode()
                if login != f"{USER}:{PASSWORD}":
                    self._send(401, {"details": "incorrect username or password"})
                    return
                user = USER
            scopes = [scope for text in query.get("scope", []) for scope in text.split()]
            self._send(200, server.reply(scopes, user))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            self._note(body)
            form = parse_qs(body)
            if not server.knows_post:
                self._send(404, {"details": "no such method"})
            elif form.get("refresh_token") != [REFRESH_TOKEN] or form.get("grant_type") != ["refresh_token"]:
                self._send(401, {"details": "unknown refresh token"})
            else:
                reply = server.reply(form["scope"][0].split(), USER)
                self._send(200, {"access_token": reply["token"], "expires_in": 300})

        def _note(self, body: str) -> None:
            server.requests.append((f"{self.command} {self.path}", body, dict(self.headers.items())))

        def _send(self, status: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler
