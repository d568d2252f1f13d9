"""A wrong password is sent once, however many images there are, because servers lock accounts after a few."""

from __future__ import annotations

import base64
import threading
from collections.abc import Callable
from dataclasses import replace
from http.server import BaseHTTPRequestHandler

import pytest

import imgfetch
from imgfetch.auth.credentials import Credentials, Login
from imgfetch.errors import AuthenticationError, ImgfetchError, SeveralImagesError
from tests.loopback import LoopbackServer

WRONG = Login("alice", "the password of last year", source="config.json")
IMAGES = 30
DIGEST = f"sha256:{'0' * 64}"


class Refusing(LoopbackServer):
    """A registry that wants a password, or a token for one, and accepts what ``accepts`` does for a repository."""

    def __init__(self, scheme: str, accepts: Callable[[str], bool]) -> None:
        super().__init__(_handler(self))
        self.scheme, self.accepts = scheme, accepts
        self.passwords: list[str] = []
        """The repositories for which a password was sent."""
        self.refused = threading.Event()
        """Set after a refusal; until then, only the first two images get an answer."""


def _handler(server: Refusing) -> type[BaseHTTPRequestHandler]:  # noqa: C901  # a class of five methods
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_HEAD(self) -> None:
            authorization = self.headers.get("Authorization", "")
            if not self.path.startswith("/token"):
                self._registry(self.path.split("/")[2], authorization)
                return
            repository = self.path.partition("scope=repository%3A")[2].partition("%3A")[0]
            is_right = bool(authorization) and self._check(repository)
            self._send(200 if is_right else 401, b'{"token": "right"}' if is_right else b"{}")

        def do_GET(self) -> None:
            self.do_HEAD()

        def _check(self, repository: str) -> bool:
            if repository not in ("r0", "r1"):
                server.refused.wait(30)
            server.passwords.append(repository)
            return server.accepts(repository)

        def _registry(self, repository: str, authorization: str) -> None:
            challenge = 'Basic realm="x"'
            if server.scheme == "bearer":
                challenge = f'Bearer realm="http://{server.host}/token",scope="repository:{repository}:pull"'
            is_right = authorization == "Bearer right"
            if authorization.startswith("Basic"):
                is_right = self._check(repository)
            headers = {"Docker-Content-Digest": DIGEST} if is_right else {"WWW-Authenticate": challenge}
            self._send(200 if is_right else 401, b"{}", headers)

        def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)
            if server.passwords and not server.accepts(server.passwords[-1]):
                server.refused.set()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


def pin(server: Refusing, login: Login) -> ImgfetchError:
    """Ask for the digests of images of as many repositories, and return the error."""
    given = Credentials(explicit=login) if login.is_explicit else Credentials(others={"config.json": _entry(server)})
    client = imgfetch.Client(imgfetch.RegistryConfig(given, plain_http=True), retries=0)
    with pytest.raises(ImgfetchError) as caught:
        client.pin([f"{server.host}/r{number}" for number in range(IMAGES)])
    return caught.value


def _entry(server: Refusing) -> dict[str, object]:
    return {server.host: {"auth": base64.b64encode(f"{WRONG.username}:{WRONG.password}".encode()).decode()}}


@pytest.mark.parametrize("is_explicit", [True, False], ids=["given", "stored"])
@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_a_wrong_password_is_sent_once_for_all_images(scheme: str, *, is_explicit: bool) -> None:
    with Refusing(scheme, lambda _: False) as server:
        error = pin(server, replace(WRONG, is_explicit=is_explicit))
        assert server.passwords == ["r0"]
    assert isinstance(error, SeveralImagesError)
    assert len(error.errors) == IMAGES
    assert all(isinstance(each, AuthenticationError) for each in error.errors)
    assert all("rejected" in str(each) and WRONG.username in str(each) for each in error.errors)


@pytest.mark.parametrize("scheme", ["basic", "bearer"])
def test_a_password_that_was_right_once_is_sent_for_every_image(scheme: str) -> None:
    with Refusing(scheme, lambda repository: repository != "r1") as server:
        error = pin(server, replace(WRONG, is_explicit=True))
        assert set(server.passwords) == {f"r{number}" for number in range(IMAGES)}
    assert "r1" in str(error)
    assert "rejected" in str(error)
