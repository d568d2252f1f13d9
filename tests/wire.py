"""The wire to ``registry.example``, and what that registry has."""

from __future__ import annotations

from collections.abc import Callable, Collection
from urllib.parse import parse_qsl, urlsplit

import requests
import responses
from urllib3 import HTTPHeaderDict

from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.registry.client import Registry

HOST = "registry.example"
BASE = f"https://{HOST}"
MANIFEST_PATH = "/v2/team/app/manifests/1"
MANIFEST = f"{BASE}{MANIFEST_PATH}"
CONTENT = b"content of the layer"
BLOB = Descriptor("", Digest.of(CONTENT), len(CONTENT))
BLOB_PATH = f"/v2/team/app/blobs/{BLOB.digest}"
BLOB_URL = f"{BASE}{BLOB_PATH}"


def image_at(host: str) -> Reference:
    """Return the name of the image at a host."""
    return Reference(host, "team/app", "1")


REFERENCE = image_at(HOST)


class Wire(responses.RequestsMock):
    """Send prepared answers to requests, in order for each URL, and remember the requests."""

    @property
    def sent(self) -> list[requests.PreparedRequest]:
        """The requests, in order."""
        return [call.request for call in self.calls]

    @property
    def urls(self) -> list[str]:
        """The URL of each request."""
        return [str(request.url) for request in self.sent]

    @property
    def asked(self) -> list[str]:
        """The URL of each request without its query."""
        return [url.partition("?")[0] for url in self.urls]

    @property
    def authorizations(self) -> list[str | None]:
        """The ``Authorization`` of each request."""
        return [request.headers.get("Authorization") for request in self.sent]

    def query(self, number: int = -1) -> list[tuple[str, str]]:
        """Return the parameters in the URL of a request."""
        return parse_qsl(urlsplit(self.urls[number]).query, keep_blank_values=True)

    def redirect(self, url: str, target: str, status: int = 307) -> None:
        """Send whoever asks for a URL elsewhere."""
        self.get(url, status=status, headers={"Location": target})

    def challenge(self, url: str, *challenges: str, body: str = "") -> None:
        """Refuse a URL with a challenge in each line."""
        self.get(url, status=401, headers=in_lines(challenges), body=body)

    def guard(
        self, url: str, accepted: str, *challenges: str, body: bytes = b"{}", first: Callable[[], object] = lambda: None
    ) -> None:
        """Answer a URL for an ``Authorization`` header, and challenge all others, having done something ``first``."""

        def answer(request: requests.PreparedRequest) -> tuple[int, HTTPHeaderDict, bytes]:
            if request.headers.get("Authorization") == accepted:
                return 200, HTTPHeaderDict(), body
            first()
            return 401, in_lines(challenges), b""

        self.add_callback("GET", url, callback=answer)


def in_lines(challenges: Collection[str]) -> HTTPHeaderDict:
    return HTTPHeaderDict(("WWW-Authenticate", challenge) for challenge in challenges)


def read_blob(registry: Registry, descriptor: Descriptor = BLOB) -> bytes:
    """Return what a registry sends of a blob, and at most a byte too many."""
    with registry.blob(image_at(registry.name), descriptor, "layer 1/2") as response:
        return b"".join(response.chunks(descriptor.size + 1))
