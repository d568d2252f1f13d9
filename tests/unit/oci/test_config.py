from __future__ import annotations

import json
from typing import Any

import pytest

from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.oci.config import Config, RunConfig
from imgfetch.oci.digest import Digest
from imgfetch.oci.mediatypes import OCI_CONFIG
from imgfetch.oci.platforms import Platform
from tests.images import hello, image

HASH = "0123456789abcdef" * 4
SHA256 = f"sha256:{HASH}"
SHA512 = f"sha512:{HASH * 2}"

CONFIG: dict[str, Any] = {
    "os": "linux",
    "architecture": "arm64",
    "variant": "v8",
    "rootfs": {"type": "layers", "diff_ids": [SHA256, SHA512]},
}


def config(document: object, media_type: str = OCI_CONFIG) -> Config:
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Config.from_json(raw, media_type, "the config of x")


def settings(document: object) -> RunConfig:
    config(document)
    return RunConfig.read(json.dumps(document).encode())


def test_a_config_is_read() -> None:
    raw = json.dumps(CONFIG).encode()
    diff_ids = (Digest.parse(SHA256), Digest.parse(SHA512))
    assert config(raw) == Config(Platform("linux", "arm64"), diff_ids)


@pytest.mark.parametrize("rootfs", [{"diff_ids": None}, {"diff_ids": []}], ids=repr)
def test_a_config_may_have_no_layers(rootfs: object) -> None:
    assert config({**CONFIG, "rootfs": rootfs}).diff_ids == ()


def test_a_configs_platform_may_be_missing() -> None:
    assert config({"rootfs": CONFIG["rootfs"]}).platform == Platform("", "")


@pytest.mark.parametrize("media_type", ["application/octet-stream", "application/json", "text/html", ""])
def test_a_vague_type_will_do_for_a_config_with_diff_ids(media_type: str) -> None:
    assert len(config(CONFIG, media_type).diff_ids) == 2


@pytest.mark.parametrize("document", [{}, {"rootfs": None}, {"rootfs": {"type": "layers"}}], ids=repr)
def test_a_vague_type_will_not_do_without_diff_ids(document: object) -> None:
    with pytest.raises(UnsupportedError, match=r"^the config of x is not a container image but .*octet-stream"):
        config(document, "application/octet-stream")


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({}, id="no rootfs"),
        pytest.param({"rootfs": []}, id="rootfs of another kind"),
        pytest.param({"rootfs": {"diff_ids": {}}}, id="diff_ids of another kind"),
        pytest.param({**CONFIG, "os": 7}, id="system of another kind"),
        pytest.param({**CONFIG, "architecture": []}, id="architecture of another kind"),
        pytest.param([], id="array"),
    ],
)
def test_a_malformed_config_is_refused(document: object) -> None:
    with pytest.raises(VerificationError, match="is malformed: expected "):
        config(document)


@pytest.mark.parametrize("text", [None, 7, "", HASH, SHA256.upper(), "sha256:../../x"], ids=repr)
def test_a_diff_id_that_is_no_digest_is_refused(text: object) -> None:
    with pytest.raises(VerificationError, match=r"^diff_id 2 of the config of x is not a valid digest"):
        config({"rootfs": {"diff_ids": [SHA256, text]}})


@pytest.mark.parametrize(
    "document",
    [
        pytest.param({**CONFIG, "RootFS": CONFIG["rootfs"]}, id="rootfs"),
        pytest.param({**CONFIG, "rootf\u017f": CONFIG["rootfs"]}, id="rootfs with a long s"),
        pytest.param({**CONFIG, "OS": "windows"}, id="os"),
        pytest.param({**CONFIG, "Architecture": "amd64"}, id="architecture"),
        pytest.param({**CONFIG, "rootfs": {**CONFIG["rootfs"], "Diff_IDs": []}}, id="diff_ids"),
        pytest.param({**CONFIG, "rootfs": {**CONFIG["rootfs"], "diff_id\u017f": []}}, id="diff_ids with a long s"),
    ],
)
def test_a_config_with_a_key_in_another_case_is_refused(document: object) -> None:
    # one reader would check these layers, another load those
    with pytest.raises(VerificationError, match="is ambiguous: readers disagree about the key "):
        config(document)


def test_a_key_may_be_in_another_case_if_it_is_there_once() -> None:
    expected = config(CONFIG)
    document = {"OS": "linux", "Architecture": "arm64", "variant": "v8", "RootFS": {"Diff_IDs": [SHA256, SHA512]}}
    found = config(document)
    assert (found.platform, found.diff_ids) == (expected.platform, expected.diff_ids)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"rootfs":{"diff_ids":[]},"rootfs":{"diff_ids":[]}}', id="rootfs"),
        pytest.param(b'{"rootfs":{"diff_ids":[],"diff_ids":[]}}', id="diff_ids"),
        pytest.param(b'{"os":"linux","os":"linux","rootfs":{"diff_ids":[]}}', id="os"),
        pytest.param(b'{"architecture":"a","architecture":"b","rootfs":{"diff_ids":[]}}', id="architecture"),
        pytest.param(b'{"variant":"a","variant":"b","rootfs":{"diff_ids":[]}}', id="variant"),
    ],
)
def test_a_config_with_a_key_twice_that_decides_what_is_loaded_is_refused(raw: bytes) -> None:
    with pytest.raises(VerificationError, match="which occurs twice"):
        config(raw)


def test_a_key_that_does_not_decide_what_is_loaded_may_occur_twice_and_the_last_counts() -> None:
    raw = (
        b'{"created":"a","Created":"b","zz":1,"zz":2,"os.version":"1","OS.Version":"2","rootfs":{"type":"layers",'
        b'"TYPE":"layers","diff_ids":[]},"config":{"Cmd":["a"],"Cmd":["b"],"Env":["A=1"],"env":["A=2"],'
        b'"Labels":{"a":"1","a":"2"}}}'
    )
    run = RunConfig.read(raw)
    assert (config(raw).platform.os_version, run.created, run.command) == ("2", "b", ("b",))
    assert (run.environment, run.labels) == (("A=2",), {"a": "2"})


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("os.version", "20.04 (focal)"),
        ("os.version", "a/b"),
        ("os.version", "\u00e9"),
        ("os.version", "1" * 120),
        ("architecture", "amd64/v2"),
        ("architecture", "amd64(v1)"),
        ("variant", "v8 (64)"),
    ],
)
def test_a_platform_may_have_any_characters(name: str, text: str) -> None:
    assert text in str(config({**CONFIG, name: text}).platform)


def test_a_platform_is_safe_to_show() -> None:
    assert str(config({**CONFIG, "os.version": "\x1b[2J"}).platform) == r"linux/arm64:\x1b[2J"


def test_a_member_of_the_wrong_type_counts_as_absent_in_the_run_settings() -> None:
    odd = {"Cmd": 1, "Env": ["A=b", 1], "Volumes": [], "Labels": {"a": 1}, "User": 5}
    run = settings({**CONFIG, "created": 1, "config": odd, "history": [1, [[]], {"created_by": 2}]})
    assert (run.created, run.command, run.environment, run.volumes) == ("", (), ("A=b", ""), ())
    assert (run.labels, run.user, len(run.history)) == ({"a": ""}, "", 3)


def test_a_history_may_be_of_any_length() -> None:
    steps = [{"created_by": str(number)} for number in range(6000)]
    assert len(settings({**CONFIG, "history": steps}).history) == 6000


def test_a_builders_image_is_read_as_it_was_built() -> None:
    built = image(hello("a"), hello("b"), platform={"os": "linux", "architecture": "arm", "variant": "v7"})
    assert config(built.config.content) == Config(
        Platform("linux", "arm", "v7"),
        tuple(Digest.parse(layer.diff_id) for layer in built.layers),
    )
