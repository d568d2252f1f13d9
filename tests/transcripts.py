"""Plays recorded pulls back through `responses`.

The recorded clients ask ``/v2/`` first, and imgfetch does not: the 401 recorded there is what the first request for
the manifest gets.  Where a body was not recorded, or only its length, zeros of that length stand in for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
import responses
from urllib3 import HTTPHeaderDict

FOLDER = Path(__file__).parent.parent / "fixtures" / "transcripts"
NAMES = ("aliyun-mirror", "aliyun-registry", "daocloud", "docker-hub", "gcr", "quay")
CLIENT_ID = ("client_id", "imgfetch")

_REFUSED = 401


@dataclass(frozen=True)
class Exchange:
    """A request and its answer.

    Attributes:
        url: what was asked.
        authorization: the header that was sent.
        status: the answer's status.
        headers: the answer's headers, in order, one for each line.
        recorded: the answer's body, if it was recorded.
        digest: what the recorded body hashes to, if the recording says.
    """

    url: str
    authorization: str | None
    status: int
    headers: tuple[tuple[str, str], ...]
    recorded: bytes | None
    digest: str | None

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Exchange:
        request, response = value["request"], value["response"]
        headers = tuple((name, text) for name, text in response["headers"])
        is_recorded = response["body"] is not None
        digest = response.get("body_digest") or _find(headers, "Docker-Content-Digest")
        return cls(
            url=request["url"],
            authorization=_find(request["headers"], "Authorization"),
            status=response["status"],
            headers=headers,
            recorded=response["body"].encode() if is_recorded else None,
            digest=digest if is_recorded and response["status"] == 200 else None,
        )

    @property
    def body(self) -> bytes:
        """The body as it goes over the wire: as long as the ``Content-Length`` says."""
        length = _find(self.headers, "Content-Length")
        body = self.recorded or b""
        return body if length is None else body[: int(length)].ljust(int(length), b"\0")

    @property
    def is_token(self) -> bool:
        return "scope=" in urlsplit(self.url).query

    @property
    def is_blob(self) -> bool:
        return "/blobs/sha256:" in self.url


def load(name: str) -> tuple[Exchange, ...]:
    """Return a recorded pull."""
    return tuple(Exchange.from_json(value) for value in json.loads((FOLDER / f"{name}.json").read_bytes()))


def play(wire: responses.RequestsMock, exchanges: Sequence[Exchange], *, hides_challenge: bool = False) -> None:
    """Answer as recorded.

    Args:
        wire: what answers.
        exchanges: a recorded pull.
        hides_challenge: refuse the manifest without a challenge, so that ``/v2/`` has to be asked for it.
    """
    ping, rest = exchanges[0], exchanges[1:]
    manifest = next(exchange for exchange in rest if "/manifests/" in exchange.url)
    if ping.status == _REFUSED:
        headers = [pair for pair in ping.headers if not (hides_challenge and pair[0].lower() == "www-authenticate")]
        _answer(wire, manifest.url, ping.status, headers, ping.body)
        if hides_challenge:
            _answer(wire, ping.url, ping.status, ping.headers, ping.body)
    for exchange in rest:
        _answer(wire, exchange.url, exchange.status, exchange.headers, exchange.body, is_token=exchange.is_token)


def token_query(url: str) -> list[tuple[str, str]]:
    """Return what a token is asked for, in no order."""
    return sorted(parse_qsl(urlsplit(url).query, keep_blank_values=True))


def _answer(
    wire: responses.RequestsMock,
    url: str,
    status: int,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    *,
    is_token: bool = False,
) -> None:
    match: Callable[[requests.PreparedRequest], tuple[bool, str]]
    if is_token:
        wanted = sorted([*token_query(url), CLIENT_ID])
        match = _matching(lambda asked: token_query(asked) == wanted)
    else:
        match = _matching(lambda asked: asked == url)
    wire.add(
        responses.Response(
            "GET",
            url.partition("?")[0],
            body=body,
            status=status,
            headers=HTTPHeaderDict(headers),
            content_type=None,
            match=[match],
        )
    )


def _matching(is_it: Callable[[str], bool]) -> Callable[[requests.PreparedRequest], tuple[bool, str]]:
    return lambda request: (is_it(str(request.url)), "the URL is not the one recorded")


def _find(headers: Sequence[Sequence[str]], name: str) -> str | None:
    return next((text for key, text in headers if key.lower() == name.lower()), None)
