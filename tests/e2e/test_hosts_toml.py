"""containerd reads hosts.toml and asks the same places for the same things, in the same order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.conftest import Run
from tests.engines import output
from tests.images import hello, image
from tests.loopback import Loopback
from tests.readers import Containerd

BUILT = image(hello("hosts.toml"))


@pytest.fixture
def registries() -> Iterator[dict[str, Loopback]]:
    """A registry ``r``, and three that may be its mirrors; only ``c`` has the image, under any name."""
    with ExitStack() as stack:
        found = {name: stack.enter_context(Loopback()) for name in "rabc"}
        for repository in ("app", "hub/app"):
            found["c"].add(repository, "1", BUILT)
        yield found


@pytest.mark.parametrize(
    ("text", "folder"),
    [
        pytest.param("", "r", id="nothing"),
        pytest.param('[host."http://{a}"]\n[host."http://{c}"]', "r", id="a mirror that lacks it"),
        pytest.param('[host."http://{c}"]\n[host."http://{a}"]', "r", id="a mirror that has it"),
        pytest.param(
            '[host."http://{b}"]\n[host."http://{a}".header]\nx="y"\n[host."http://{c}"]', "r", id="the order"
        ),
        pytest.param('[host."http://{c}"]', "_default", id="the default"),
        pytest.param('[host."http://{c}"]', "colon", id="a colon in the name"),
        pytest.param('server = "http://{c}"', "r", id="a server"),
        pytest.param('server = "http://{c}"\n[host."http://{a}"]', "r", id="a server and a mirror"),
        pytest.param('server = "http://{a}"', "r", id="a server without it"),
        pytest.param('[host."http://{c}"]\ncapabilities = ["pull"]\n', "r", id="not to resolve"),
        pytest.param('[host."http://{c}"]\ncapabilities = ["resolve"]\n', "r", id="not to pull"),
        pytest.param('[host."http://{c}"]\ncapabilities = ["pull", "resolve"]\n', "r", id="to pull and resolve"),
        pytest.param('server = "http://{c}"\ncapabilities = ["push"]', "r", id="a server not to pull from"),
        pytest.param('[host."http://{c}"]\ncapabilities = ["push", "pul"]\n', "r", id="an unknown capability"),
        pytest.param('[host."http://{c}/x"]\n', "r", id="a path"),
        pytest.param('[host."http://{c}/x/v2"]\n', "r", id="a path to the API"),
        pytest.param('[host."http://{c}/v2/hub"]\noverride_path = true', "r", id="a path with a name"),
        pytest.param('[host."http://{c}/v2/hub"]\n', "r", id="a path with a name, not overridden"),
        pytest.param('[host."http://{c}"]\nskip_verify = 1', "r", id="a number for a boolean"),
        pytest.param('[host."http://{c}"]\nheader = {{a = 1}}', "r", id="a header that is none"),
        pytest.param('[host."http://{c}"\n', "r", id="no TOML"),
    ],
)
def test_containerd_asks_the_same_places(
    started: Callable[[str], Containerd],
    run: Run,
    registries: dict[str, Loopback],
    tmp_path: Path,
    *,
    text: str,
    folder: str,
) -> None:
    hosts = {name: registry.host for name, registry in registries.items()}
    names = {"r": hosts["r"].replace(":", "_") + "_", "colon": hosts["r"]}
    directory = tmp_path / "certs" / names.get(folder, folder)
    directory.mkdir(parents=True)
    (directory / "hosts.toml").write_text(text.format(**hosts))
    reference = f"{hosts['r']}/app:1"

    def asked() -> list[tuple[str, str]]:
        found = [
            (request.when, name, request.path)
            for name, registry in registries.items()
            for request in registry.requests
            if request.path.partition("?")[0].endswith("/manifests/1") and request.method == "HEAD"
        ]
        for registry in registries.values():
            registry.requests.clear()
        return [(name, path) for _, name, path in sorted(found)]

    containerd = started("ctr-2.1-local")
    output(*containerd.command, "images", "pull", "--local", "--hosts-dir", tmp_path / "certs", reference, check=False)
    theirs = asked()
    assert theirs or "server" in text
    run("digest", reference, "--certs-dir", str(tmp_path / "certs"))
    assert asked() == theirs
