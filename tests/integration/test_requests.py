"""The number of requests of a save is the one in docs/registries.md, and none is needless."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.images import AMD64, ARM64, hello, image, index
from tests.integration.conftest import Command
from tests.loopback import Answer, Loopback, Request

DOCUMENT = Path("docs/registries.md").read_text("utf-8").partition("### Number of requests")[2].partition("###")[0]
KINDS = ("challenge", "token", "GET tag", "HEAD tag", "manifest", "config", "layer")


def promised(column: int, images: int) -> Counter[str]:
    """Return the numbers of a column of the document's table."""
    rows = [row.strip("|").split("|")[column].strip() for row in re.findall(r"^\|.*\|$", DOCUMENT, re.MULTILINE)[2:]]
    counts = [number(text, images) for text in rows]
    assert counts[-1] == sum(counts[:-1])
    return +Counter(dict(zip(KINDS, counts[:-1], strict=True)))


def number(text: str, images: int) -> int:
    """Return the value of a term such as ``7N + 1``."""
    times, n, plus = re.fullmatch(r"(\d*)(N?)(?: \+ (\d+))?", text).groups()  # type: ignore[union-attr]
    return (int(times or 1) * images if n else int(times)) + int(plus or 0)


class Counting(Loopback):
    """A registry that wants a token for each repository, and tells its requests apart."""

    def __init__(self, images: int) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.references: list[str] = []
        self._configs: set[str] = set()
        for number in range(images):
            children = [
                image(*(hello(f"{number} {platform} {layer}") for layer in range(3)), platform=platform)
                for platform in (AMD64, ARM64)
            ]
            self._configs |= {child.blobs[0].digest for child in children}
            self.references.append(self.add(f"team/app-{number}", "1", index(*children)))

    def answer(self, request: Request) -> Answer:
        path, _, query = request.path.partition("?")
        if path == "/token":
            self.counts["token"] += 1
            return Answer(b'{"token": "T-' + re.findall("team%2Fapp-([0-9]+)", query)[0].encode() + b'"}')
        repository = "/".join(path.split("/")[2:4])
        if request.headers.get("Authorization") != f"Bearer T-{repository.rpartition('-')[2]}":
            self.counts["challenge"] += 1
            challenge = f'Bearer realm="http://{self.host}/token",scope="repository:{repository}:pull"'
            return Answer(b"{}", 401, {"WWW-Authenticate": challenge})
        self.counts[self._kind(request.method, path)] += 1
        return super().answer(request)

    def _kind(self, method: str, path: str) -> str:
        if path.endswith("/manifests/1"):
            return f"{method} tag"
        if "/manifests/" in path:
            return "manifest"
        return "config" if path.rpartition("/")[2] in self._configs else "layer"


@pytest.mark.parametrize("images", [1, 30, 300])
def test_a_save_sends_the_requests_of_the_table(images: int, command: Command, tmp_path: Path) -> None:
    with Counting(images) as registry:
        for column, options in [(1, ()), (2, ()), (3, ("--if-changed",))]:
            registry.counts.clear()
            done = command(
                "save", *registry.references, "--platform", "linux/amd64", *options, "-o", tmp_path / "y.tar"
            )
            assert done.status == 0, done.err
            assert registry.counts == promised(column, images)
        assert registry.connections <= 3 * (1 + 8 + 8)  # each time one that tries TLS, and eight for two origins


def test_a_shared_layer_is_requested_once(command: Command, tmp_path: Path) -> None:
    shared = hello("shared")
    with Loopback() as registry:
        references = [registry.add(f"team/app-{number}", "1", image(shared, hello(str(number)))) for number in range(5)]
        done = command("save", *references, "--platform", "linux/amd64", "-o", tmp_path / "y.tar")
        assert done.status == 0, done.err
        assert len([path for path in registry.paths if shared.digest in path]) == 1
