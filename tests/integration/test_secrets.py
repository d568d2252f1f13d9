"""Servers that repeat a secret: nothing that imgfetch prints contains it, in any spelling, from any place."""

from __future__ import annotations

import base64
import functools
import io
import itertools
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from imgfetch.auth.credentials import Credentials
from imgfetch.auth.login import Login
from imgfetch.errors import ImgfetchError
from imgfetch.pull.client import Client
from imgfetch.redaction import Secrets
from imgfetch.registry.access import RegistryConfig
from tests.images import DOCKER_GZIP, Blob, Built, hello, image, index
from tests.integration.conftest import Command
from tests.loopback import Loopback, serving
from tests.spellings import PASSWORD, SPELLINGS, shows
from tests.stories import Log, chain, story

USER = "alice"
TOKEN = "eyJhbGciOiJSUzI1NiJ9." + "-_abcdefgh0123456789" * 500
LOGIN = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
NAME = "team/app"

Reply = Callable[[str, str], bytes]


def reply(status: str = "404 Not Found", body: str = "", **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    head = "\r\n".join([f"HTTP/1.1 {status}", f"Content-Length: {len(body.encode())}", *lines, "Connection: close"])
    return f"{head}\r\n\r\n{body}".encode()


def manifest(**members: object) -> str:
    return json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", **members})


def in_json(said: str) -> str:
    """Return a JSON string that contains a text as it is, if it can."""
    try:
        json.loads(f'"{said}"')
    except ValueError:
        return json.dumps(said)
    return f'"{said}"'


INDEX = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [
            {
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "digest": f"sha256:{'0' * 64}",
                "size": 1,
                "platform": {"os": "linux", "architecture": "x"},
            }
        ],
    }
)
CHANNELS: dict[str, Reply] = {
    "a body": lambda said, _: reply(body=f"you sent {said}"),
    "a JSON body": lambda said, _: reply(body=f'{{"errors":[{{"code":"DENIED","message":{in_json(said)}}}]}}'),
    "an error's code": lambda said, _: reply(body=f'{{"errors":[{{"code":{in_json(said)}}}]}}'),
    "JSON without words": lambda said, _: reply(body=f'{{"x": {in_json(said)}}}'),
    "JSON that is cut": lambda said, _: reply(body=f'{{"errors":[{{"message":"{said}'),
    "the title of a page": lambda said, _: reply(body=f"<html><title>{said.replace('<', '')}</title>"),
    "a page in the place of a manifest": lambda said, _: reply("200 OK", f"<html><title>{said}"),
    "a reason phrase": lambda said, _: reply(f"404 {said}"),
    "a Content-Type": lambda said, _: reply("200 OK", "<p>", Content_Type=said),
    "the path of a Location": lambda said, host: reply("307 Moved", Location=f"http://{host}/there/{said}"),
    "the query of a Location": lambda said, host: reply("307 Moved", Location=f"http://{host}/there?scope={said}"),
    "the host of a Location": lambda said, _: reply("307 Moved", Location=f"http://{said}/"),
    "the user of a Location": lambda said, host: reply("307 Moved", Location=f"http://{said}@{host}/"),
    "a Location that is no URL": lambda said, _: reply("307 Moved", Location=f"x:{said}"),
    "a Docker-Content-Digest": lambda said, _: reply("200 OK", manifest(), Docker_Content_Digest=f"sha256:{said}"),
    "a scheme to authenticate": lambda said, _: reply("401 No", WWW_Authenticate=f"{said} realm=x"),
    "a realm": lambda said, _: reply("401 No", WWW_Authenticate=f'Bearer realm="{said}"'),
    "a realm's URL": lambda said, host: reply("401 No", WWW_Authenticate=f'Bearer realm="http://{host}/{said}"'),
    "a scope": lambda said, host: reply("401 No", WWW_Authenticate=f'Bearer realm="http://{host}/t",scope="{said}"'),
    "a Warning": lambda said, _: reply(Warning=f'299 - "{said}"'),
    "the source of a limit": lambda said, _: reply(
        "429 Slow", RateLimit_Limit="100;w=60", RateLimit_Remaining="0", Docker_RateLimit_Source=said
    ),
    "the rest of a limit": lambda said, _: reply(
        "429 Slow", RateLimit_Limit="100;w=60", RateLimit_Remaining=said, body="pull rate limit"
    ),
    "a Retry-After": lambda said, _: reply("503 Later", Retry_After=said),
    "a status line that is none": lambda said, _: f"HTTP/1.1 {said}\r\n\r\n".encode(),
    "bytes that are no response": lambda said, _: f"{said}\r\n".encode(),
    "a media type": lambda said, _: reply("200 OK", manifest(mediaType="x").replace('"x"', in_json(said))),
    "an artifact's type": lambda said, _: reply(
        "200 OK", manifest(artifactType="x", config={}).replace('"x"', in_json(said))
    ),
    "a key": lambda said, _: reply(
        "200 OK", manifest(x=1, X=1).replace('"x"', in_json(said)).replace('"X"', in_json(said))
    ),
    "a digest": lambda said, _: reply(
        "200 OK", manifest(config={"digest": "x", "size": 1}, layers=[]).replace('"x"', in_json(said))
    ),
    "a platform": lambda said, _: reply("200 OK", INDEX.replace('"x"', in_json(said))),
}
"""Responses of a registry at some host that repeats a text."""
UNSEEN = {"a Retry-After"}
"""The places that no message quotes."""
each_spelling = pytest.mark.parametrize("spell", SPELLINGS.values(), ids=SPELLINGS.keys())
SECRETS = {"a password": PASSWORD, "a token": TOKEN}
CASES = [("a password", spelling) for spelling in SPELLINGS]
CASES += [("a token", spelling) for spelling in ("plain", "a URL", "base64 of more", "its middle")]


@contextmanager
def registry(secret: str, answer: Callable[[str], bytes]) -> Iterator[str]:
    """Serve an answer to whoever sends a secret, as a password or as a token; yield the registry's host."""
    accepted = f"Bearer {TOKEN}" if secret == TOKEN else f"Basic {LOGIN}"

    def serve(connection: socket.socket) -> None:
        request = b""
        while b"\r\n\r\n" not in request:
            if not (piece := connection.recv(65536)):
                return
            request += piece
        head = request.decode("latin-1")
        host = next(line for line in head.splitlines() if line.lower().startswith("host: "))[6:]
        if "GET /token" in head and "/v2/" not in head.partition("\r\n")[0]:
            connection.sendall(reply("200 OK", json.dumps({"token": TOKEN})))
        elif f"\r\nAuthorization: {accepted}\r\n" in head or head.startswith("GET /v2/ "):
            connection.sendall(answer(host))
        elif secret == TOKEN:
            connection.sendall(reply("401 No", WWW_Authenticate=f'Bearer realm="http://{host}/token"'))
        else:
            connection.sendall(reply("401 No", WWW_Authenticate="Basic realm=x"))

    with serving(serve) as host:
        yield host


def printed(command: Command, host: str, *options: str | Path) -> str:
    done = command("save", f"{host}/{NAME}:v1", "--plain-http", "--timeout", "5", "-vv", "-o", "-", *options)
    assert done.status
    return f"{done.out}\n{done.err}"


@pytest.fixture
def log(caplog: pytest.LogCaptureFixture) -> Log:
    return Log(caplog)


@pytest.fixture
def logged_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def log_in(host: str) -> None:
        monkeypatch.setenv("DOCKER_AUTH_CONFIG", json.dumps({"auths": {host: {"auth": LOGIN}}}))

    return log_in


@pytest.mark.parametrize(("secret", "spelling"), CASES)
@pytest.mark.parametrize("channel", CHANNELS)
def test_no_output_shows_a_secret_that_a_server_repeats(
    secret: str, spelling: str, channel: str, command: Command, logged_in: Callable[[str], None]
) -> None:
    said = SPELLINGS[spelling](SECRETS[secret])
    with registry(SECRETS[secret], functools.partial(CHANNELS[channel], said)) as host:
        logged_in(host)
        text = printed(command, host)
        assert not shows(text, SECRETS[secret])
        assert not shows(text, LOGIN)


@pytest.mark.parametrize("channel", sorted(CHANNELS.keys() - UNSEEN))
def test_without_redaction_each_of_these_places_would_show_it(
    channel: str, command: Command, logged_in: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Secrets, "redacted", lambda _, text: text)
    for secret, spell in itertools.product(SECRETS.values(), SPELLINGS.values()):
        with registry(secret, functools.partial(CHANNELS[channel], spell(secret))) as host:
            logged_in(host)
            if shows(printed(command, host), secret, 16):
                return
    pytest.fail("it is never shown")


@pytest.mark.parametrize("channel", CHANNELS)
@pytest.mark.parametrize("secret", SECRETS)
def test_no_exception_or_log_holds_a_secret_that_a_server_repeats(secret: str, channel: str, log: Log) -> None:
    for spelling in ("plain", "JSON", "a URL", "base64"):
        said = SPELLINGS[spelling](SECRETS[secret])
        with registry(SECRETS[secret], functools.partial(CHANNELS[channel], said)) as host:
            config = RegistryConfig(Credentials(explicit=Login(USER, PASSWORD)), plain_http=True)
            with pytest.raises(ImgfetchError) as caught:
                Client(config, retries=0, timeout=5).save(f"{host}/{NAME}:v1", io.BytesIO())
        held = f"{story(caught.value)}\n{[vars(link) for link in chain(caught.value)]}\n{log.text}"
        assert not shows(held, SECRETS[secret])
        assert not shows(held, LOGIN)


@pytest.mark.parametrize("channel", CHANNELS)
def test_no_event_shows_a_secret_that_a_server_repeats(
    channel: str, command: Command, logged_in: Callable[[str], None]
) -> None:
    with registry(PASSWORD, functools.partial(CHANNELS[channel], PASSWORD)) as host:
        logged_in(host)
        text = printed(command, host, "--progress", "json")
        for line in text.split("\n"):
            event = json.loads(line or "{}")
            assert not shows("\n".join(map(str, event.values())), PASSWORD)


@pytest.mark.parametrize("words", [["digest"], ["tags"], ["inspect"]], ids=lambda words: words[0])
@pytest.mark.parametrize("channel", CHANNELS)
def test_no_query_shows_a_secret_that_a_server_repeats(
    words: list[str], channel: str, command: Command, logged_in: Callable[[str], None]
) -> None:
    with registry(PASSWORD, functools.partial(CHANNELS[channel], PASSWORD)) as host:
        logged_in(host)
        target = f"{host}/{NAME}" if words == ["tags"] else f"{host}/{NAME}:v1"
        done = command(*words, target, "--plain-http", "--timeout", "5", "-vv")
        assert not shows(f"{done.out}\n{done.err}", PASSWORD)
        assert not shows(f"{done.out}\n{done.err}", LOGIN)


@each_spelling
def test_a_failing_helper_prints_no_secret(
    spell: Callable[[str], str], command: Command, loopback: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = loopback.add(NAME, "v1", image(hello("x")))
    loopback.challenge(f"/v2/{NAME}/manifests/v1", "Basic realm=x")
    (tmp_path / "said").write_text(f"unlocked with {spell(PASSWORD)} of {spell(LOGIN)}\n")
    (tmp_path / "printed").write_text(json.dumps({"Username": USER, "Secret": PASSWORD}))
    (tmp_path / "config.json").write_text(json.dumps({"credsStore": "test"}))
    helper = tmp_path / "docker-credential-test"
    helper.write_text(f"#!/bin/sh\ncd {tmp_path}\ncat said >&2\ncat printed\nexit 1\n")
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    text = printed(command, reference.partition("/")[0])
    assert "unlocked with " in text
    assert "REDACTED" in text
    assert not shows(text, PASSWORD)
    assert not shows(text, LOGIN)


def changed(value: object, said: str, path: str = "") -> Iterator[tuple[str, object]]:
    """Yield a document with a text in the place of each value and of each key, and the changed place."""
    yield path, said
    if isinstance(value, dict):
        for key, member in value.items():
            yield f"{path}/{key} as a key", {said if each == key else each: value[each] for each in value}
            yield from ((place, {**value, key: other}) for place, other in changed(member, said, f"{path}/{key}"))
    if isinstance(value, list):
        for at, member in enumerate(value):
            others = changed(member, said, f"{path}/{at}")
            yield from ((place, [*value[:at], other, *value[at + 1 :]]) for place, other in others)


def documents(said: str) -> Iterator[tuple[str, Built]]:
    """Yield indexes that contain a text in one place of the index, of its manifest, or of the manifest's config."""
    made = hello("x", DOCKER_GZIP)
    extra = {"annotations": {"a": "b"}, "urls": ["http://192.0.2.1/"], "artifactType": "t", "data": "eA=="}
    config = {
        "os.version": "1",
        "os.features": ["a"],
        "variant": "v8",
        "author": "a",
        "created": "2020-01-01T00:00:00Z",
    }
    good = image(replace(made, extra=extra), config=config, manifest={"annotations": {"a": "b"}, "artifactType": "t"})
    platform = {"os": "linux", "architecture": "amd64", "variant": "v1", "os.version": "1", "os.features": ["a"]}
    good = replace(good, platform=platform)
    for place, document in changed(json.loads(index(good).raw), said):
        yield f"index{place}", replace(index(good), raw=json.dumps(document).encode())
    for place, document in changed(json.loads(good.raw), said):
        yield f"manifest{place}", index(replace(good, raw=json.dumps(document).encode()))
    for place, document in changed(json.loads(good.config.content), said):
        blob = Blob(json.dumps(document).encode(), good.config.media_type)
        manifest = {**json.loads(good.raw), "config": blob.descriptor}
        built = Built(json.dumps(manifest).encode(), good.media_type, (blob, *good.layers), platform=platform)
        yield f"config{place}", index(built)


DOCUMENTS = dict(documents(PASSWORD))


@pytest.mark.parametrize("place", DOCUMENTS)
def test_no_exception_or_log_holds_a_secret_that_a_document_contains(place: str, loopback: Loopback, log: Log) -> None:
    reference = loopback.add(NAME, "v1", DOCUMENTS[place])
    path = f"/v2/{NAME}/manifests/v1"
    loopback.guard(path, f"Basic {LOGIN}", "Basic realm=x", loopback.answers[path])  # type: ignore[arg-type]
    config = RegistryConfig(Credentials(explicit=Login(USER, PASSWORD)), plain_http=True)
    client = Client(config, retries=0, timeout=5)
    held = ""
    for operation in (functools.partial(client.save, output=io.BytesIO()), client.inspect):
        try:
            operation(reference)
        except ImgfetchError as error:
            held += f"{story(error)}\n{[vars(link) for link in chain(error)]}\n"
    assert not shows(f"{held}{log.text}", PASSWORD)
