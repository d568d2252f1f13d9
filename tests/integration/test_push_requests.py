"""The number of requests of a push is the one in docs/registries.md, and none is needless."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tests.images import hello, image
from tests.integration.conftest import Command
from tests.integration.test_requests import number
from tests.loopback import Loopback
from tests.uploads import Reply, Sent, UploadRegistry, refusal

DOCUMENT = Path("docs/registries.md").read_text("utf-8").partition("### Uploads")[2].partition("\n#")[0]
KINDS = ("challenge", "token", "HEAD tag", "GET tag", "HEAD blob", "POST", "PUT blob", "PUT tag")


def promised(column: int, images: int) -> Counter[str]:
    """Return the numbers of a column of the document's table."""
    rows = [row.strip("|").split("|")[column].strip() for row in re.findall(r"^\|.*\|$", DOCUMENT, re.MULTILINE)[2:]]
    counts = [number(text, images) for text in rows]
    assert counts[-1] == sum(counts[:-1])
    return +Counter(dict(zip(KINDS, counts[:-1], strict=True)))


class Counting(UploadRegistry):
    """A registry that wants a token for each repository, and tells its requests apart."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.fault = self.check

    def check(self, sent: Sent) -> Reply | None:
        kind, reply = sent.method, None
        if sent.path.startswith("/token"):
            kind, reply = (
                "token",
                Reply(200, {}, b'{"token": "T-%b"}' % re.findall(rb"team%2Fapp-(\d+)", sent.path.encode())[0]),
            )
        elif sent.headers.get("Authorization") != f"Bearer T-{re.findall('/app-([0-9]+)/', sent.path)[0]}":
            repository = "/".join(sent.path.split("/")[2:4])
            challenge = f'Bearer realm="http://{self.host}/token",scope="repository:{repository}:pull"'
            kind, reply = "challenge", refusal(401, WWW_Authenticate=challenge)
        elif sent.method != "POST":
            kind = f"{sent.method} {'tag' if '/manifests/1' in sent.path else 'blob'}"
        with self.lock:
            self.counts[kind] += 1
        return reply


@pytest.mark.parametrize("images", [1, 30])
def test_a_push_sends_the_requests_of_the_table(
    images: int, loopback: Loopback, command: Command, tmp_path: Path
) -> None:
    names = [
        loopback.add(f"team/app-{each}", "1", image(*(hello(f"{each} {layer}") for layer in range(3))))
        for each in range(images)
    ]
    archive = tmp_path / "y.tar"
    assert command("save", *names, "--platform", "linux/amd64", "-o", archive).status == 0
    with Counting() as registry:
        for column in (1, 2):
            registry.counts.clear()
            done = command("push", archive, registry.host)
            assert done.status == 0, done.err
            assert registry.counts == promised(column, images)
