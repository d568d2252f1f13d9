"""Content that is far larger than it looks ends in an error, with bounded memory and time."""

from __future__ import annotations

import functools
import itertools
import json
import os
import re
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.bounded import MEMORY, MIB, run
from tests.images import OCI_GZIP, OCI_ZSTD, Blob, Built, hello, image, index, layer, sha256
from tests.loopback import Answer, Loopback, Request

RUN = 120  # seconds that a run gets; none is near


@cache
def gzip_bomb() -> bytes:
    """Return 1 MB that becomes 1 GiB."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(compressor.compress(bytes(MIB)) for _ in range(1024)) + compressor.flush()


def zstd_bomb() -> bytes:
    """Return 32 kB that become 1 GiB: a frame of blocks that repeat one byte (RFC 8878, section 3.1.1.2)."""
    size, count = 128 * 1024, 8192
    header = b"\x28\xb5\x2f\xfd" + b"\x00" + b"\x38"  # a window of 128 KiB, no length, no checksum
    blocks = b"".join(
        struct.pack("<I", (size << 3) | (1 << 1) | (number == count - 1))[:3] + b"\0" for number in range(count)
    )
    return header + blocks


def wide_zstd() -> bytes:
    """Return a frame that wants a window of 2 GiB."""
    return b"\x28\xb5\x2f\xfd" + b"\x00" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00" + bytes(4096)


def lying(content: bytes, media_type: str) -> Built:
    """Return an image with a layer of which nobody has seen the end."""
    return image(Blob(content, media_type, "sha256:" + "0" * 64))


def entries(count: int) -> bytes:
    one = {"mediaType": OCI_GZIP, "digest": sha256(b""), "size": 0}
    return json.dumps({"schemaVersion": 2, "config": GOOD.config.descriptor, "layers": [one] * count}).encode()


GOOD = image(hello())
MANIFEST = "/v2/team/app/manifests/v1"
DEEP = b'{"a":' * 100_000


@dataclass(frozen=True)
class Bomb:
    """Something that is larger than it looks.

    Attributes:
        serve: puts it into a registry.
        status: the exit status.
        says: what the message must hold.
        arguments: further arguments.
    """

    serve: Callable[[Loopback], object]
    status: int
    says: tuple[str, ...]
    arguments: tuple[str, ...] = ()


def built(make: Callable[[], Built]) -> Callable[[Loopback], object]:
    return lambda registry: registry.add("team/app", "v1", make())


def answering(path: str, make: Callable[[], Answer]) -> Callable[[Loopback], object]:
    def serve(registry: Loopback) -> None:
        registry.add("team/app", "v1", GOOD)
        registry.answers[path] = make()

    return serve


def _self_listing(registry: Loopback) -> None:
    inner = index(GOOD)
    outer = index(inner)
    registry.add("team/app", "v1", outer)
    registry.answers[f"/v2/team/app/manifests/{inner.digest}"] = Answer(outer.raw)


def _deep_config() -> Built:
    blob = Blob(DEEP, GOOD.config.media_type)
    made = image(*GOOD.layers, manifest={"config": blob.descriptor})
    return Built(made.raw, made.media_type, (blob, *GOOD.layers))


def _large_config() -> Built:
    blob = Blob(b" " * 5 * MIB, GOOD.config.media_type)
    made = image(*GOOD.layers, manifest={"config": blob.descriptor})
    return Built(made.raw, made.media_type, (blob, *GOOD.layers))


SMALL = ("--max-layer-size", "100MB")
BOMBS = {
    "gzip of 1000:1": Bomb(built(lambda: lying(gzip_bomb(), OCI_GZIP)), 1, ("--max-layer-size", "100000000"), SMALL),
    "gzip of 1000:1 without a limit that matters": Bomb(
        built(lambda: lying(gzip_bomb(), OCI_GZIP)), 6, ("layer 1/1", "diff_id")
    ),
    "zstd of 30000:1": Bomb(built(lambda: lying(zstd_bomb(), OCI_ZSTD)), 1, ("--max-layer-size",), SMALL),
    "a zstd window of 2 GiB": Bomb(built(lambda: lying(wide_zstd(), OCI_ZSTD)), 1, ("window",)),
    "a gzip bomb as a coding of the config": Bomb(
        answering(
            f"/v2/team/app/blobs/{GOOD.config.digest}",
            lambda: Answer(gzip_bomb(), headers={"Content-Encoding": "gzip"}),
        ),
        6,
        ("the config", "gzip"),
    ),
    "a gzip bomb as a coding of the manifest": Bomb(
        answering(MANIFEST, lambda: Answer(gzip_bomb(), headers={"Content-Encoding": "gzip"})), 6, ("exceeds",)
    ),
    "100 content codings": Bomb(
        answering(MANIFEST, lambda: Answer(b"x", headers={"Content-Encoding": "gzip, " * 100})), 6, ("codings",)
    ),
    "JSON nested 100 000 deep": Bomb(answering(MANIFEST, lambda: Answer(DEEP)), 6, ("nested too deeply",)),
    "a config nested 100 000 deep": Bomb(built(_deep_config), 6, ("nested too deeply",)),
    "an error nested 100 000 deep": Bomb(answering(MANIFEST, lambda: Answer(DEEP, 404)), 3, ("404",)),
    "a config of 5 MiB": Bomb(built(_large_config), 6, ("too large",)),
    "a manifest with 20 000 layers": Bomb(
        answering(MANIFEST, lambda: Answer(entries(20_000), headers={"Content-Type": GOOD.media_type})),
        6,
        ("too many layers",),
    ),
    "a manifest with 100 000 layers": Bomb(
        answering(MANIFEST, lambda: Answer(entries(100_000), headers={"Content-Type": GOOD.media_type})),
        6,
        ("exceeds",),
    ),
    "an index that lists itself": Bomb(_self_listing, 6, ("has the wrong digest",)),
    "10 000 warnings": Bomb(
        answering(MANIFEST, lambda: Answer(GOOD.raw, headers={"Warning": '299 - "x' + "y" * 60_000 + '"'})), 0, ()
    ),
}


def in_lines(name: str, value: str, count: int) -> dict[str, str]:
    """Return a header in many lines, whose names differ in their case only."""
    cases = itertools.product(*((letter.lower(), letter.upper()) for letter in name))
    return {"".join(letters): value for letters in itertools.islice(cases, count)}


def refusing(junk: str, loopback: Loopback) -> None:
    """Refuse the image, with 60 lines of 65 kB."""
    headers = in_lines("www-authenticate", (junk * 65_000)[:65_000], 60)
    loopback.answers[MANIFEST] = Answer(status=401, headers=headers)


BOMBS |= {
    f"60 challenges of 65 kB: {junk}": Bomb(functools.partial(refusing, junk), 4, ("the manifest of",))
    for junk in ("a,", 'Bearer a="b",', 'Bearer a="\\"')
}


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of a process")
@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_ends_in_an_error_and_takes_little_memory(name: str, loopback: Loopback, tmp_path: Path) -> None:
    bomb = BOMBS[name]
    bomb.serve(loopback)
    target = tmp_path / "y.tar"
    arguments = [f"{loopback.host}/team/app:v1", "-o", target, "--retries", "0", "--platform", "linux/amd64"]
    ended = run(tmp_path, "save", *arguments, *bomb.arguments)
    err = ended.err
    assert ended.status == bomb.status, err
    assert "Traceback" not in err
    for words in bomb.says:
        assert words in err
    assert max(map(len, err.splitlines()), default=0) < 6000
    assert ended.peak < MEMORY
    assert target.exists() == (bomb.status == 0)
    assert re.search(r"[\x00-\x09\x0b-\x1f]", err) is None


def test_the_limit_of_a_layer_is_the_decompressed_one(loopback: Loopback, tmp_path: Path) -> None:
    loopback.add("team/app", "v1", image(layer(bytes(10 * MIB))))
    arguments = ["save", f"{loopback.host}/team/app:v1", "-o", str(tmp_path / "y.tar"), "--platform", "linux/amd64"]
    for limit, status in (("10MiB", 0), ("10485759", 1)):
        done = subprocess.run(
            [sys.executable, "-m", "imgfetch", *arguments, "--no-cache", "--max-layer-size", limit],
            capture_output=True,
            check=False,
            timeout=RUN,
        )
        assert done.returncode == status, done.stderr.decode()


LARGE = "larger than 4194304 bytes"
A_DEVICE = "/dev/zero: it is a device, not a regular file"


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of a process")
@pytest.mark.parametrize(
    ("says", "status", "arguments", "variables"),
    [
        pytest.param(A_DEVICE, 7, ["-i", "/dev/zero"], {}, id="list"),
        pytest.param(LARGE, 7, ["-i", "-"], {}, id="list on stdin"),
        pytest.param(A_DEVICE, 4, [], {"CONTAINERS_REGISTRIES_CONF": "/dev/zero"}, id="registries.conf"),
        pytest.param("larger", 4, [], {"CONTAINERS_REGISTRIES_CONF": "/dev/fd/0"}, id="registries.conf on stdin"),
        pytest.param(A_DEVICE, 4, [], {"REGISTRY_AUTH_FILE": "/dev/zero"}, id="credentials"),
        pytest.param(LARGE, 4, [], {"REGISTRY_AUTH_FILE": "/dev/stdin"}, id="credentials on stdin"),
        pytest.param(A_DEVICE, 7, ["--ca-file", "/dev/zero"], {}, id="authority"),
        pytest.param("a line of more than 65536 bytes", 2, ["-u", "me", "--password-stdin"], {}, id="password"),
    ],
)
def test_lists_and_settings_without_an_end_take_little_memory(  # noqa: PLR0917
    says: str, status: int, arguments: list[str], variables: dict[str, str], loopback: Loopback, tmp_path: Path
) -> None:
    images = [] if "-i" in arguments else [demanding(loopback)]
    with Path("/dev/zero").open("rb") as zeros:
        ended = run(tmp_path, "save", *images, *arguments, "-o", tmp_path / "y.tar", stdin=zeros, variables=variables)
    assert ended.status == status, ended.err
    assert says in ended.err
    assert "Traceback" not in ended.err
    assert ended.peak < MEMORY


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of a process")
@pytest.mark.parametrize(
    ("variable", "begin", "repeated", "end", "limit"),
    [
        ("REGISTRY_AUTH_FILE", '{"auths": [', "{},", "0]}", 4 * MIB),
        ("REGISTRY_AUTH_FILE", '{"auths": ', '{"a":', "0", 4 * MIB),
        ("CONTAINERS_REGISTRIES_CONF", "a = [", "{},", "]", MIB),
        ("CONTAINERS_REGISTRIES_CONF", "a = [", "[", "]", MIB),
    ],
)
def test_the_largest_settings_take_little_memory(  # noqa: PLR0917
    variable: str, begin: str, repeated: str, end: str, limit: int, loopback: Loopback, tmp_path: Path
) -> None:
    path = tmp_path / "settings"
    path.write_text(begin + repeated * ((limit - len(begin + end)) // len(repeated)) + end)
    ended = run(tmp_path, "save", demanding(loopback), "-o", tmp_path / "y.tar", variables={variable: os.fspath(path)})
    assert ended.status == 4, ended.err
    assert str(path) in ended.err or "{}," in repeated
    assert "Traceback" not in ended.err
    assert ended.peak < MEMORY


def demanding(loopback: Loopback) -> str:
    """Return an image for which credentials are needed."""
    reference = loopback.add("team/app", "v1", GOOD)
    loopback.challenge("/v2/team/app/manifests/v1", 'Basic realm="x"')
    return reference


TAGS = "/v2/team/app/tags/list"


def tag_lists(name: str, loopback: Loopback) -> None:
    """Serve a list of tags that never ends, or whose header is as large as a header may be."""
    numbers = itertools.count(1)

    def page(count: int, length: int, link: str) -> Answer:
        number = next(numbers)
        new = [f"{number}.{tag}".ljust(length, "x") for tag in range(count)]
        headers = in_lines("link", link.format(number=number), 1)
        return Answer(json.dumps({"name": "x", "tags": new}, separators=(",", ":")).encode(), headers=headers)

    following = f'<{TAGS}?last={{number}}>; rel="next"'
    lists = {
        "many tags": lambda _: page(300_000, 0, following),
        "long tags": lambda _: page(30_000, 128, following),
        "brackets": lambda _: page(1, 0, "<" * 65_000),
        "lines": lambda _: Answer(b'{"tags": ["1"]}', headers=in_lines("link", "<" * 65_000, 16)),
    }
    loopback.answers[TAGS] = lists[name]


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of a process")
@pytest.mark.parametrize(
    ("name", "status", "says"),
    [
        ("many tags", 1, "is too long: more than 500000 tags"),
        ("long tags", 1, "is too long: more than 16777216 characters"),
        ("brackets", 0, ""),
        ("lines", 1, "its Link header exceeds 65536 bytes"),
    ],
)
def test_a_list_of_tags_without_an_end_is_an_error_and_takes_little_memory(
    name: str, status: int, says: str, loopback: Loopback, tmp_path: Path
) -> None:
    tag_lists(name, loopback)
    ended = run(tmp_path, "tags", f"{loopback.host}/team/app")
    assert (ended.status, ended.out) == (status, "" if status else "1.0\n"), ended.err
    assert says in ended.err
    assert ended.peak < MEMORY


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells the peak of a process")
@pytest.mark.parametrize("length", [0, 33])
def test_the_longest_list_of_tags_takes_little_memory(length: int, loopback: Loopback, tmp_path: Path) -> None:
    new = [[f"{page}.{tag}".ljust(length, "x") for tag in range(100_000)] for page in range(5)]

    def answer(request: Request) -> Answer:
        page = int(request.path.partition("=")[2] or "0")
        link = {"Link": f"<?page={page + 1}>; rel=next"} if page < 4 else {}
        return Answer(json.dumps({"tags": new[page]}).encode(), headers=link)

    loopback.answers[TAGS] = answer
    ended = run(tmp_path, "tags", f"{loopback.host}/team/app")
    assert ended.status == 0, ended.err
    assert len(ended.out.split()) == 500_000
    assert ended.peak < MEMORY
