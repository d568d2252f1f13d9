"""One client for many calls, and arguments that are one thing or many."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import imgfetch
from imgfetch.errors import TransportError
from imgfetch.http.retries import RetryPolicy
from imgfetch.layers.diffid import LayerInfo
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.reference import Reference
from imgfetch.pull.make_plan import make_plan
from imgfetch.pull.plan import SaveRequest
from imgfetch.pull.resolve import Resolver
from imgfetch.store.blobs import BlobStore
from imgfetch.tolerance import Tolerance
from tests.fakes import FakeBody, FakeRegistry
from tests.images import ARM64, hello, image, index

NAME = "registry.example/team/app:1"
REFERENCE = Reference.parse(NAME)
BASE, TOP = hello("base"), hello("top")
ONE = image(BASE, TOP)
MANY = index(ONE, image(BASE, hello("arm64"), platform=ARM64))


@pytest.fixture
def registry() -> FakeRegistry:
    registry = FakeRegistry()
    registry.add(ONE)
    return registry


@pytest.fixture
def client(registry: FakeRegistry) -> imgfetch.Client:
    return imgfetch.Client(open_registry=lambda _: registry)


@pytest.mark.parametrize(
    "given",
    [NAME, REFERENCE, [NAME], (REFERENCE, NAME), {NAME}, (name for name in [NAME])],
    ids=["text", "reference", "list", "tuple", "set", "generator"],
)
def test_references_are_one_or_many(
    client: imgfetch.Client, registry: FakeRegistry, given: str | Reference | Iterable[str | Reference]
) -> None:
    saved = client.save(given, io.BytesIO(), platform="linux/amd64")
    assert {name for image in saved.images for name in image.references} == {REFERENCE}
    assert set(registry.names) == {REFERENCE.name}


def test_pin_takes_one_or_many(client: imgfetch.Client) -> None:
    (pinned,) = client.pin(NAME)
    assert str(pinned) == f"{NAME}@{ONE.digest}"
    assert client.pin([NAME, REFERENCE]) == (pinned, pinned)


def test_verify_takes_one_or_many_names_or_none(client: imgfetch.Client, tmp_path: Path) -> None:
    client.save(NAME, tmp_path / "y.tar", platform="linux/amd64")
    for wanted in (f"{NAME}@{ONE.digest}", client.pin(NAME)[0], client.pin(NAME), [], ()):
        assert imgfetch.verify(tmp_path / "y.tar", wanted).findings == ()
    assert imgfetch.verify(tmp_path / "y.tar", f"{NAME}@{MANY.digest}").findings != ()


@pytest.mark.parametrize("form", [str, Path, lambda path: [path]], ids=["text", "path", "list"])
def test_a_base_is_one_or_many_and_may_be_a_file(
    client: imgfetch.Client, registry: FakeRegistry, tmp_path: Path, form: Callable[[Path], Any]
) -> None:
    registry.add(image(BASE), "base")
    for base in ("registry.example/team/app:base", Reference.parse("registry.example/team/app:base")):
        assert client.dry_run(NAME, base=base, platform="linux/amd64").left_out == len(BASE.content)
    client.save("registry.example/team/app:base", tmp_path / "base.tar", platform="linux/amd64")
    forecast = client.dry_run(NAME, base=form(tmp_path / "base.tar"), platform="linux/amd64")
    assert forecast.left_out == len(BASE.content)


@pytest.mark.parametrize("empty", [[], (), iter(())], ids=["list", "tuple", "iterator"])
def test_an_empty_list_of_references_is_an_error(client: imgfetch.Client, tmp_path: Path, empty: list[str]) -> None:
    calls: list[Callable[[], object]] = [
        lambda: client.save(empty, tmp_path / "y.tar"),
        lambda: client.dry_run(empty),
        lambda: client.pin(empty),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="list of references is empty"):
            call()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [{"archive_format": "foo"}, {"layers": "bar"}], ids=str)
def test_a_choice_that_does_not_exist_is_an_error(
    client: imgfetch.Client, tmp_path: Path, options: dict[str, Any]
) -> None:
    (name,) = options
    with pytest.raises(ValueError, match=f"{name} must be one of .*, not '{options[name]}'"):
        client.save(NAME, tmp_path / "y.tar", **options)
    with pytest.raises(ValueError, match=name):
        client.dry_run(NAME, **options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("output", "window", "reason"),
    [
        ("y.tar.zst", 2**20 - 1, "zstd_window must be from 1048576 to 2147483648, not 1048575"),
        ("y.tar.zst", 2**31 + 1, "zstd_window must be from"),
        ("y.tar.zst", 0, "zstd_window must be from"),
        ("y.tar", 2**27, "zstd_window is only for an output whose name ends in .tar.zst"),
        ("y.tgz", 2**27, "zstd_window is only for an output"),
        ("/dev/null", 2**27, "zstd_window is only for an output"),
    ],
)
def test_a_window_of_zstd_has_bounds_and_a_compressed_file(
    client: imgfetch.Client, tmp_path: Path, output: str, window: int, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        client.save(NAME, tmp_path / output, zstd_window=window)
    with pytest.raises(ValueError, match="zstd_window"):
        client.save_each(NAME, tmp_path, zstd_window=window)
    assert list(tmp_path.iterdir()) == []


def test_one_image_has_one_platform(client: imgfetch.Client) -> None:
    several = ["linux/amd64", "linux/arm64"]
    for call in (client.pin, client.inspect):
        with pytest.raises(ValueError, match="expected one platform, got linux/amd64, linux/arm64"):
            call(NAME, platform=several)
    assert client.inspect(NAME, platform=["linux/amd64"]).images[0].image_id == Digest.parse(ONE.config.digest)


class Flaky(FakeRegistry):
    """Fails the first request for each blob."""

    @contextmanager
    def blob(self, reference: Reference, descriptor: Descriptor, what: str, *, offset: int = 0) -> Iterator[FakeBody]:
        if str(descriptor.digest) not in self.asked:
            self.asked.append(str(descriptor.digest))
            raise TransportError("reset")
        with super().blob(reference, descriptor, what, offset=offset) as body:
            yield body


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (lambda client: client.inspect("registry.example/x"), "registry.example/x:latest: no answer"),
        (lambda client: client.tags("registry.example/x"), "registry.example/x: no answer"),
        (lambda client: client.pin("registry.example/x"), "registry.example/x:latest: no answer"),
        (lambda client: client.dry_run("a/b", base="registry.example/x"), "base registry.example/x:latest: no answer"),
        (
            lambda client: client.dry_run("a/b", base=["registry.example/x", "registry.example/y"]),
            "base registry.example/x:latest: no answer",
        ),
    ],
    ids=["inspect", "tags", "pin", "base", "bases"],
)
def test_a_failure_of_the_network_names_the_image(call: Callable[[imgfetch.Client], object], expected: str) -> None:
    def open_registry(_: str) -> FakeRegistry:
        raise TransportError("no answer")

    with pytest.raises(TransportError) as caught:
        call(imgfetch.Client(open_registry=open_registry))
    assert str(caught.value) == expected


def test_an_error_that_names_the_image_does_not_name_it_twice(registry: FakeRegistry) -> None:
    with pytest.raises(imgfetch.NotFoundError) as caught:
        imgfetch.Client(open_registry=lambda _: registry).inspect("registry.example/team/app:2")
    assert str(caught.value).count("registry.example/team/app:2") == 1


def test_a_client_has_all_its_retries_for_each_call() -> None:
    policy = RetryPolicy(retries=1, pause=lambda _: None)
    registries: list[Flaky] = []

    def open_registry(_: str) -> Flaky:
        registries.append(Flaky())
        registries[-1].add(ONE)
        return registries[-1]

    client = imgfetch.Client(retries=policy, open_registry=open_registry)
    outputs = [io.BytesIO(), io.BytesIO()]
    for out in outputs:
        client.save(NAME, out, platform="linux/amd64")
    assert outputs[0].getvalue() == outputs[1].getvalue()
    assert len(registries) == 2
    with pytest.raises(TransportError):
        imgfetch.Client(retries=0, open_registry=open_registry).save(NAME, io.BytesIO(), platform="linux/amd64")


class Documents(dict[Digest, bytes]):
    def read(self, digest: Digest, /) -> bytes:
        return self[digest]

    def put(self, descriptor: Descriptor, content: bytes, /) -> None:
        assert descriptor == Descriptor.of(content, descriptor.media_type)
        self[descriptor.digest] = content


def test_a_plan_is_laid_out_by_its_documents_alone(registry: FakeRegistry, tmp_path: Path) -> None:
    registry.add(MANY)
    store = BlobStore(tmp_path / "store")
    request = SaveRequest.parse(NAME, layers="plain", platform=["linux/amd64", "linux/arm64"])
    plan = make_plan(request, Resolver(registry, store, Tolerance(), RetryPolicy(retries=0)))
    (selection,) = plan.selections
    described = [*selection.indexes, *(image.manifest.descriptor for image in selection.images)]
    documents = Documents({each.digest: store.read(each.digest) for each in described})
    assert plan.layout({}, documents) is None
    shutil.rmtree(tmp_path / "store")
    found = {layer.descriptor.digest: LayerInfo(layer.diff_id, "gzip", 1024) for layer in plan.layers if layer.diff_id}
    layout = plan.layout(found, documents)
    assert layout is not None
    assert layout.plain == set(found)
    assert layout.selections[0].root.digest in documents.keys() - {each.digest for each in described}
    assert not (tmp_path / "store").exists()
