"""The check of credentials by a request for a registry's root."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from imgfetch.auth.credentials import Credentials
from imgfetch.auth.login import Login
from imgfetch.errors import ImgfetchError
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.client import Registry
from tests.wire import HOST, Wire


def refused_login(wire: Wire, answers: Mapping[str, Mapping[str, Any]]) -> ImgfetchError:
    """Return the error of a check of credentials."""
    for url, answer in answers.items():
        wire.get(url, **answer)
    access = RegistryConfig(credentials=Credentials(explicit=Login("me", "open sesame", is_explicit=True)))
    with Registry(HOST, access=access) as registry, pytest.raises(ImgfetchError) as raised:
        registry.check_login()
    return raised.value


@pytest.mark.parametrize("status", [401, 403, 404, 500])
def test_a_login_that_is_redirected_names_the_other_host(wire: Wire, status: int) -> None:
    moved = {"status": 301, "headers": {"Location": "https://other.example/v2/"}}
    error = refused_login(wire, {f"https://{HOST}/v2/": moved, "https://other.example/v2/": {"status": status}})
    assert str(error).startswith(
        f"cannot check the credentials for {HOST}: it redirected {HOST}/v2/ to other.example, which receives none and "
        f"returned {status} "
    )
    assert "if other.example is the registry, log in there: imgfetch login other.example" in (error.hint or "")


@pytest.mark.parametrize(
    ("answer", "message", "hint"),
    [
        ({"status": 404}, f"{HOST}/v2/ was not found", "name the registry's own host and port"),
        ({"status": 404, "body": "<html>"}, f"{HOST}/v2/ was not found", "this is probably not a registry"),
        ({"status": 200, "body": " <html>"}, f"unexpected content for {HOST}/v2/", "a server that is not a registry"),
        ({"status": 403}, f"cannot get {HOST}/v2/", f"{HOST} does not ask for credentials"),
        ({"status": 429}, f"too many requests for {HOST}/v2/", "try again later"),
        ({"status": 429, "headers": {"Retry-After": "9"}}, "too many requests", "the server asks you to wait 9 s"),
        ({"status": 503}, f"{HOST}/v2/ is temporarily unavailable", "try again later"),
    ],
)
def test_a_login_that_cannot_be_checked_does_not_end_with_the_hint_to_log_in(
    wire: Wire, answer: Mapping[str, Any], message: str, hint: str
) -> None:
    error = refused_login(wire, {f"https://{HOST}/v2/": answer})
    assert message in str(error)
    assert hint in (error.hint or "")
    assert "log in" not in f"{error} {error.hint}"
    assert "image" not in f"{error} {error.hint}"
