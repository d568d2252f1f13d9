"""Six pulls that were recorded from real registries are made again, request by request."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from imgfetch import save
from imgfetch.auth.credentials import Credentials
from imgfetch.auth.login import Login
from imgfetch.errors import ImgfetchError, NotFoundError, TransportError, VerificationError
from imgfetch.http.retries import RetryPolicy
from imgfetch.oci import mediatypes
from imgfetch.oci.descriptor import Descriptor
from imgfetch.oci.digest import Digest
from imgfetch.oci.manifest import Image
from imgfetch.oci.platforms import Platform
from imgfetch.oci.reference import Reference
from imgfetch.pull.resolve import Resolver
from imgfetch.registry.access import RegistryConfig
from imgfetch.registry.client import Registry
from imgfetch.registry.mirror_rules import Mirrors
from imgfetch.store.blobs import BlobStore
from imgfetch.tolerance import Tolerance
from tests import transcripts
from tests.stores import add
from tests.stories import Log
from tests.transcripts import Exchange
from tests.wire import Wire

LINUX_AMD64 = Platform.parse("linux/amd64")


@dataclass(frozen=True)
class Pull:
    """A recorded pull, and its expected result.

    Attributes:
        reference: the image.
        manifest: the digest of the manifest for linux/amd64, if the recording has its exact bytes.
        config: the digest of its config.
        config_size: the config's size.
        has_config: true if the config was recorded.
        layers: digests of all layers, and sizes.
        realm: the token server, if a token is needed.
        scope, service: what a token is asked for.
        storage: the host that serves the config.
    """

    reference: str
    manifest: str
    config: str
    config_size: int
    layers: tuple[tuple[str, int], ...]
    storage: str
    has_config: bool = False
    realm: str = ""
    scope: str = ""
    service: str = ""


ALPINE = {
    "manifest": "sha256:a15790640a6690aa1730c38cf0a440e2aa44aaca9b0e8931a9f2b0d7cc90fd65",
    "config": "sha256:a24bb4013296f61e89ba57005a7b3e52274d8edd3ae2077d04395f806b63d83e",
    "config_size": 1509,
    "layers": (("sha256:df20fa9351a15782c64e6dddb2d4a6f50bf6d3688060a34c4014b0d9a752eb4c", 2797541),),
}
PULLS = {
    "aliyun-mirror": Pull(
        reference="2h3po24q.mirror.aliyuncs.com/library/alpine:latest",
        storage="acs-cn-hangzhou-mirror.oss-cn-hangzhou.aliyuncs.com",
        **ALPINE,
    ),
    "aliyun-registry": Pull(
        reference="registry.aliyuncs.com/acs-sample/ubuntu:latest",
        manifest="",  # its bytes are not exactly those of the registry
        config="sha256:4791cda23dbc3d1c7a0491644ae1c819c7d24b516be95df79113119e0f073416",
        config_size=3820,
        has_config=True,
        layers=(
            ("sha256:56eb14001cebec19f2255d95e125c9f5199c9e1d97dd708e1f3ebda3d32e5da7", 65699368),
            ("sha256:7ff49c327d838cf14f7db33fa44f6057b7209298e9c03369257485a085e231df", 101415),
            ("sha256:6e532f87f96dd5821006d02e65e7d4729a4e6957a34c3f4ec72046e221eb7c52", 365),
            ("sha256:3ce63537e70c2c250fbc41b5f04bfb31f445be4034effc4b4c513bf8899dfa0a", 681),
            ("sha256:a521f68c7946d409bc182c615aa77d7e89de0914f67b2c0ce9be9f4c8e27c949", 686),
        ),
        realm="https://dockerauth.aliyuncs.com/auth",
        scope="repository:acs-sample/ubuntu:pull",
        service="registry.aliyuncs.com:cn-hangzhou:26842",
        storage="aliregistry.oss-cn-hangzhou.aliyuncs.com",
    ),
    "daocloud": Pull(
        reference="daocloud.io/busybox:latest",
        manifest="sha256:4cee1979ba0bf7db9fc5d28fb7b798ca69ae95a47c5fecf46327720df4ff352d",
        config="sha256:5b0d59026729b68570d99bc4f3f7c31a2e4f2a5736435641565d93e7c25bd2c3",
        config_size=1497,
        layers=(("sha256:57310166fe88e0dc63a80ca5c219283a932db0f3969712e2f8a86ada143bf566", 723070),),
        realm="https://daohub-auth.daocloud.io/auth",
        scope="repository:busybox:pull",
        service="daocloud.io",
        storage="daohub.ufile.ucloud.com.cn",
    ),
    "docker-hub": Pull(
        reference="alpine:latest",
        realm="https://auth.docker.io/token",
        scope="repository:library/alpine:pull",
        service="registry.docker.io",
        storage="production.cloudflare.docker.com",
        **ALPINE,
    ),
    "gcr": Pull(
        reference="gcr.io/google-containers/kube-controller-manager:v1.16.10",
        manifest="sha256:7ff962b6cdeff0bf4ab18f93adbec51aae32f4987e7c97566460247284bbde76",
        config="sha256:95b2e4f548f19fafcc7fbf683024ee9abc250394e22b0fb879d8d488099c0177",
        config_size=1786,
        layers=(
            ("sha256:83b4483280e5187b2801b449338d5755e5874ab80c44bf1ce615d258142e7c8b", 21082831),
            ("sha256:7cc17f1decf73673c3093bbbab0e5770ebd17b2201cbfd992e8284530467a97a", 27897052),
        ),
        realm="https://gcr.io/v2/token",
        scope="repository:google-containers/kube-controller-manager:pull",
        service="gcr.io",
        storage="storage.googleapis.com",
    ),
    "quay": Pull(
        reference="quay.io/watchdogpolska/alpine-curl:latest",
        manifest="sha256:51a5d57783c91797433db97b0ce1582ab1a6cf0631e6d0e45c2e7fb41608121f",
        config="sha256:7e7499db3a4c397250db4d7e3d3e93312dc8ebaf5a8533d62c6e41b7a44083fa",
        config_size=1926,
        has_config=True,
        layers=(
            ("sha256:df20fa9351a15782c64e6dddb2d4a6f50bf6d3688060a34c4014b0d9a752eb4c", 2797541),
            ("sha256:c365e8ee56bb1c3ec9230d567ab48c6ff9fa00fb116c7dafcdb673c4c6652ba4", 688971),
        ),
        realm="https://quay.io/v2/auth",
        scope="repository:watchdogpolska/alpine-curl:pull",
        service="quay.io",
        storage="cdn02.quay.io",
    ),
}
HIDES_CHALLENGE = {"gcr"}  # it refuses the real request without one (containers/image#211)
TO_PLAIN_HTTP = {"aliyun-registry", "daocloud"}

each_pull = pytest.mark.parametrize("name", PULLS)
each_pull_with_a_token = pytest.mark.parametrize("name", [name for name, pull in PULLS.items() if pull.realm])


@dataclass
class Replayed:
    """A pull made again.

    Attributes:
        wire: what was asked.
        store: what was taken in.
        image: what it came to; ``None`` where the config was not recorded.
        failure: why it came to nothing.
        refused: the blobs that were not what the manifest promises.
    """

    wire: Wire
    store: BlobStore
    image: Image | None = None
    failure: ImgfetchError | None = None
    refused: tuple[str, ...] = ()

    @property
    def authorizations(self) -> dict[str, list[str | None]]:
        found: dict[str, list[str | None]] = {}
        for url, header in zip(self.wire.asked, self.wire.authorizations, strict=True):
            found.setdefault(url, []).append(header)
        return found


def unrecorded_as(exchanges: tuple[Exchange, ...], pull: Pull) -> tuple[Exchange, ...]:
    """Return the exchanges with a config of the right length where not even its length was recorded."""
    length = ("Content-Length", str(pull.config_size))
    return tuple(
        replace(exchange, headers=(length,)) if exchange.recorded is None and not exchange.headers else exchange
        for exchange in exchanges
    )


@pytest.fixture
def replayed(wire: Wire, store: BlobStore, name: str) -> Replayed:
    """Make every request of a recorded pull, and see what comes of it."""
    pull, exchanges = PULLS[name], unrecorded_as(transcripts.load(name), PULLS[name])
    transcripts.play(wire, exchanges, hides_challenge=name in HIDES_CHALLENGE)
    replayed = Replayed(wire, store)
    reference = Reference.parse(pull.reference)
    recorded = {exchange.url.rpartition("/")[2] for exchange in exchanges if exchange.is_blob} - {pull.config}
    with Registry(reference.registry) as registry:
        resolver = Resolver(registry, store, Tolerance(), RetryPolicy(retries=0))
        try:
            replayed.image = resolver.chosen(resolver.document(reference), reference, LINUX_AMD64)
        except VerificationError as error:
            replayed.failure = error
        for digest, size in pull.layers:
            if digest in recorded:
                layer = Descriptor(mediatypes.DOCKER_LAYER_GZIP, Digest.parse(digest), size)
                with registry.blob(reference, layer, "a layer") as answer, pytest.raises(VerificationError) as caught:
                    add(store, layer, answer, "a layer")
                assert caught.value.wanted == digest
                replayed.refused += (digest,)
    return replayed


# ---- the recordings themselves ----


def test_every_recording_is_played() -> None:
    assert sorted(path.stem for path in transcripts.FOLDER.glob("*.json")) == sorted(PULLS) == list(transcripts.NAMES)


@each_pull
def test_the_recorded_bodies_are_what_their_digests_say(name: str) -> None:
    exchanges = [exchange for exchange in transcripts.load(name) if exchange.digest]
    assert exchanges
    for exchange in exchanges:
        assert f"sha256:{hashlib.sha256(exchange.recorded or b'').hexdigest()}" == exchange.digest


# ---- the exchange ----


def expected(name: str) -> list[str]:
    """Return the recorded requests as imgfetch makes them, without what a token is asked for."""
    ping, *rest = transcripts.load(name)
    urls = [exchange.url.partition("?")[0] if exchange.is_token else exchange.url for exchange in rest]
    if ping.status == 401:
        urls.append(next(url for url in urls if "/manifests/" in url))  # first without a token
    if name in HIDES_CHALLENGE:
        urls.append(ping.url)
    return sorted(urls)


@each_pull
def test_every_recorded_request_is_made_and_no_other(replayed: Replayed, name: str) -> None:
    realm = PULLS[name].realm
    asked = [url.partition("?")[0] if realm and url.startswith(f"{realm}?") else url for url in replayed.wire.urls]
    assert sorted(asked) == expected(name)


@pytest.mark.parametrize("name", ["gcr"])
def test_gcrs_ping_is_asked_for_the_challenge_that_the_real_request_lacked(replayed: Replayed) -> None:
    manifest = "https://gcr.io/v2/google-containers/kube-controller-manager/manifests/v1.16.10"
    assert replayed.wire.asked[:4] == [manifest, "https://gcr.io/v2/", "https://gcr.io/v2/token", manifest]


@each_pull_with_a_token
def test_the_token_is_asked_for_where_and_for_what_the_challenge_says(replayed: Replayed, name: str) -> None:
    requests = [url for url in replayed.wire.urls if url.startswith(f"{PULLS[name].realm}?")]
    expected = [("client_id", "imgfetch"), ("scope", PULLS[name].scope), ("service", PULLS[name].service)]
    assert [transcripts.token_query(url) for url in requests] == [expected]


@pytest.mark.parametrize("name", ["aliyun-mirror"])
def test_the_mirror_without_authentication_is_sent_no_token(replayed: Replayed) -> None:
    assert set(replayed.wire.authorizations) == {None}


@each_pull_with_a_token
def test_the_token_goes_to_the_registry_and_nowhere_else(replayed: Replayed, name: str) -> None:
    reference = Reference.parse(PULLS[name].reference)
    host = "registry-1.docker.io" if reference.registry == "docker.io" else reference.registry
    root = f"https://{host}/v2/"
    manifest = f"{root}{reference.repository}/manifests/{reference.tag}"
    for url, headers in replayed.authorizations.items():
        if url == manifest:
            assert headers == [None, "Bearer TOKEN"]
        elif url.startswith(f"{root}{reference.repository}/"):
            assert headers == ["Bearer TOKEN"]
        else:  # the ping, the token server, the storage
            assert headers == [None]


@each_pull
def test_the_token_goes_where_the_recorded_client_sent_it(replayed: Replayed, name: str) -> None:
    recorded = {exchange.url.partition("?")[0]: exchange.authorization for exchange in transcripts.load(name)}
    found = replayed.authorizations
    assert {url: headers[-1] for url, headers in found.items()} == {url: recorded[url] for url in found}


# ---- what comes of it ----


@each_pull
def test_the_manifest_for_the_platform_is_taken_in_by_its_digest(replayed: Replayed, name: str) -> None:
    manifests = [exchange.recorded for exchange in transcripts.load(name) if "/manifests/" in exchange.url]
    digest = PULLS[name].manifest or f"sha256:{hashlib.sha256(manifests[-1] or b'').hexdigest()}"
    assert replayed.store.read(Digest.parse(digest)) == manifests[-1]
    assert replayed.image is None or str(replayed.image.manifest.descriptor.digest) == digest


@pytest.mark.parametrize("name", [name for name, pull in PULLS.items() if pull.has_config])
def test_a_recorded_config_is_taken_in_by_its_digest(replayed: Replayed, name: str) -> None:
    pull = PULLS[name]
    assert replayed.failure is None
    assert replayed.image is not None
    assert replayed.image.config.platform == LINUX_AMD64
    assert str(replayed.image.manifest.config.digest) == pull.config
    assert tuple((str(layer.digest), layer.size) for layer in replayed.image.manifest.layers) == pull.layers
    raw = replayed.store.read(Digest.parse(pull.config))
    assert f"sha256:{hashlib.sha256(raw).hexdigest()}" == pull.config  # whatever it is called


@pytest.mark.parametrize("name", [name for name, pull in PULLS.items() if not pull.has_config])
def test_a_config_that_was_not_recorded_is_refused(replayed: Replayed, name: str) -> None:
    pull = PULLS[name]
    assert isinstance(replayed.failure, VerificationError)
    assert replayed.failure.wanted == pull.config
    assert replayed.failure.got == f"sha256:{hashlib.sha256(bytes(pull.config_size)).hexdigest()}"
    for words in ("the config of", pull.config, pull.storage):
        assert words in str(replayed.failure)


@pytest.mark.parametrize(("name", "count"), [("gcr", 2), ("quay", 1)])
def test_a_layer_that_was_not_recorded_is_refused(replayed: Replayed, root: Path, count: int) -> None:
    assert len(replayed.refused) == count
    names = {path.name for path in root.rglob("*") if path.is_file()}
    assert names.isdisjoint(digest.partition(":")[2] for digest in replayed.refused)


@each_pull
def test_a_redirect_to_plain_http_is_warned_of(log: Log, replayed: Replayed, name: str) -> None:
    assert replayed.wire.sent
    assert len(log.warnings) == (1 if name in TO_PLAIN_HTTP else 0)
    for warning in log.warnings:
        assert PULLS[name].storage in warning
        assert "SIGNATURE" not in warning


@each_pull
def test_no_token_and_no_signature_is_logged(log: Log, replayed: Replayed) -> None:
    lines = log.text.splitlines()
    lines += [str(replayed.failure), str(getattr(replayed.failure, "hint", ""))]
    assert len(lines) > len(replayed.wire.urls)
    assert [line for line in lines if "TOKEN" in line or "=SIGNATURE" in line or "=KEYID" in line] == []


# ---- the command's own way ----


def saved(name: str, wire: Wire, output: Path, *, strict: bool = False) -> None:
    """Save a recorded image; the layer that the recorded client already had is not there."""
    wire.assert_all_requests_are_fired = False  # it ends before the last
    pull = PULLS[name]
    exchanges = unrecorded_as(transcripts.load(name), pull)
    transcripts.play(wire, exchanges, hides_challenge=name in HIDES_CHALLENGE)
    reference = Reference.parse(pull.reference)
    layer = f"https://{reference.registry}/v2/{reference.repository}/blobs/{pull.layers[0][0]}"
    if layer not in {exchange.url for exchange in exchanges}:
        wire.get(layer, status=404, json={"errors": [{"code": "BLOB_UNKNOWN", "message": "blob unknown"}]})
    save(pull.reference, output, platform="linux/amd64", jobs=1, strict=strict, patience=RetryPolicy(retries=0))


@each_pull
def test_a_save_tells_what_is_wrong_and_leaves_nothing(wire: Wire, tmp_path: Path, name: str) -> None:
    pull, output = PULLS[name], tmp_path / "image.tar"
    cls = NotFoundError if pull.has_config else VerificationError
    with pytest.raises(cls) as caught:
        saved(name, wire, output)
    first_layer = f"layer 1/{len(pull.layers)} of "
    subject, digest = (first_layer, pull.layers[0][0]) if pull.has_config else ("the config of ", pull.config)
    for words in (f"{subject}{Reference.parse(pull.reference)}", digest):
        assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@each_pull
def test_a_save_leaves_what_was_there_as_it_was(wire: Wire, tmp_path: Path, name: str) -> None:
    output = tmp_path / "image.tar"
    output.write_bytes(b"the image of yesterday")
    with pytest.raises(ImgfetchError):
        saved(name, wire, output)
    assert output.read_bytes() == b"the image of yesterday"
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("name", sorted(TO_PLAIN_HTTP))
def test_under_strict_a_save_does_not_go_to_plain_http(wire: Wire, tmp_path: Path, name: str) -> None:
    with pytest.raises(VerificationError, match="over plain http"):
        saved(name, wire, tmp_path / "image.tar", strict=True)
    assert [url for url in wire.urls if url.startswith("http://")] == []


def test_the_recorded_mirror_stands_in_for_docker_hub(wire: Wire, tmp_path: Path) -> None:
    # its config was not recorded, so for that the upstream is asked, which is not there
    access = RegistryConfig(
        credentials=Credentials(explicit=Login("alice", "SECRET", source="--username", is_explicit=True)),
        mirrors=Mirrors(urls=("https://2h3po24q.mirror.aliyuncs.com",)),
    )
    transcripts.play(wire, transcripts.load("aliyun-mirror"))
    output, patience = tmp_path / "image.tar", RetryPolicy(retries=0)
    with pytest.raises(TransportError, match=r"registry-1\.docker\.io") as caught:
        save("alpine", output, platform=LINUX_AMD64, patience=patience, access=access)
    storage = PULLS["aliyun-mirror"].storage
    hosts = [url.split("/")[2] for url in wire.urls]
    assert hosts == ["2h3po24q.mirror.aliyuncs.com"] * 3 + [storage, "registry-1.docker.io"]
    assert set(wire.authorizations) == {None}
    (note,) = caught.value.__notes__
    assert note.startswith("mirror 2h3po24q.mirror.aliyuncs.com: the config of docker.io/library/alpine:latest")
    assert list(tmp_path.iterdir()) == []
