from __future__ import annotations

from dataclasses import replace

import pytest

from imgfetch.oci import config_demands
from imgfetch.oci.config import Config
from imgfetch.oci.mediatypes import OCI_CONFIG
from tests.images import Blob, hello
from tests.odd_configs import CLASSIC, CRANE, CTR_1, CTR_2, ODD_CONFIGS, PODMAN, READERS, SKOPEO, STORE, Fate, Odd

READERS_OF_NAMES = {
    "docker 20.10 and 28 (classic store)": CLASSIC,
    "docker 20.10": {"docker-20.10"},
    "docker 28 (classic store)": {"docker-28.5"},
    "docker 28 (containerd store)": STORE,
    "podman": PODMAN,
    "podman 4.3": {"podman-4.3"},
    "podman 5.8": {"podman-5.8"},
    "skopeo": SKOPEO,
    "skopeo 1.22": {"skopeo-1.22-docker-archive"},
    "crane": CRANE,
    "crane validate": CRANE,
    "containerd": CTR_1 | CTR_2,
    "containerd 1.6": CTR_1,
    "containerd 2.1": CTR_2,
    "others built by Go before 1.27": set(),
}


def parsed(raw: bytes) -> Config:
    return Config.from_json(raw, OCI_CONFIG, "the config of x")


def warnings(member: str, value: str, *layers: Blob) -> list[str]:
    odd = Odd(member, value, Fate())
    raw = odd.config(*layers or (hello(),))
    return list(config_demands.warnings(parsed(raw), raw, "the config of x"))


@pytest.mark.parametrize("name", ODD_CONFIGS)
def test_the_readers_that_refuse_an_odd_config_are_named(name: str) -> None:
    odd = ODD_CONFIGS[name]
    raw = odd.config(hello())
    found = list(config_demands.faults(parsed(raw), raw))
    refuse = {reader for fault in found for each in fault.readers.refuse for reader in READERS_OF_NAMES[each]}
    cannot_run = {reader for fault in found for each in fault.readers.cannot_run for reader in READERS_OF_NAMES[each]}
    assert (refuse, cannot_run - refuse) == (odd.fate.refuse, odd.fate.cannot_run)
    assert refuse < READERS


def test_a_warning_names_member_value_and_readers() -> None:
    (warning,) = warnings("created", '""')
    assert warning == (
        "the config of x has a malformed 'created' ('' instead of a time as in RFC 3339), which docker 20.10 and 28 "
        "(classic store), podman, skopeo, crane and containerd 1.6 refuse, and docker 28 (containerd store) and "
        "containerd 2.1 load but cannot run; ask the publisher to rebuild the image"
    )


@pytest.mark.parametrize(
    ("media_type", "shown"),
    [("", "no media type"), ("application/octet-stream", "the media type application/octet-stream")],
)
def test_a_config_of_a_vague_type_is_warned_of(media_type: str, shown: str) -> None:
    raw = ODD_CONFIGS["created null"].config(hello())
    (warning,) = config_demands.warnings(Config.from_json(raw, media_type, "it"), raw, "the config of x")
    assert warning == (
        f"the config of x has {shown}, which ctr 1.6 and ctr 2.1 load but cannot run; docker and podman run it"
    )


def test_an_escape_is_shown_as_in_the_document() -> None:
    (warning,) = warnings("created", r'"2024-01-01T00:00:00\u002B00:00"')
    assert r"'created' ('2024-01-01T00:00:00\u002B00:00' instead of a time without an escape)" in warning


def test_a_backslash_and_a_quotation_mark_are_no_escapes_of_a_time() -> None:
    assert "a time as in RFC 3339" in warnings("created", r'"\"2024-01-01T00:00:00Z\\u002B"')[0]
    assert warnings("author", r'"\"a\" \\u002B \u002B"') == []


def test_members_that_the_same_readers_refuse_are_in_one_warning() -> None:
    (warning,) = warnings("config", '{"User": 1, "Env": {}, "Cmd": 2, "Labels": [], "Volumes": []}')
    assert warning.startswith(
        "the config of x has a malformed 'config.User' (1 instead of a string), "
        "a malformed 'config.Env' (an object instead of an array of strings), "
        "a malformed 'config.Cmd' (2 instead of an array of strings) and 2 more, which "
    )


def test_members_that_other_readers_refuse_are_in_a_warning_of_their_own() -> None:
    assert len(warnings("config", '{"User": 1, "Hostname": 1, "Cmd": "x"}')) == 3


def test_a_key_counts_in_any_case() -> None:
    (warning,) = warnings("config", '{"ENV": {}}')
    assert "'config.ENV'" in warning


def test_each_spelling_of_a_key_counts() -> None:
    assert len(warnings("config", '{"env": {}, "Env": []}')) == 1
    assert len(warnings("config", '{"env": [], "Env": {}}')) == 1


def test_a_step_in_the_history_is_counted_as_readers_do() -> None:
    assert warnings("history", '[{"Empty_Layer": true}, {"empty_layer": true}, {}]') == []
    (warning,) = warnings("history", '[{"empty_layer": false}, {"empty_layer": null}]')
    assert "has 2 layers in its history but 1 in its rootfs, which docker" in warning


def test_docker_stops_at_125_layers() -> None:
    layers = [hello(str(number)) for number in range(126)]
    assert warnings("author", '"x"', *layers[1:]) == []
    (warning,) = warnings("author", '"x"', *layers)
    assert warning.startswith("the config of x has 126 layers, more than 125, which docker")


def test_diff_ids_by_another_algorithm_are_warned_of() -> None:
    (warning,) = warnings("author", '"x"', replace(hello(), diff_id="sha512:" + "0" * 128))
    assert warning.startswith(
        "the config of x has diff_ids by another algorithm than sha256, which docker 20.10 and 28"
    )


def test_a_document_that_is_nested_like_a_config_is_left_alone() -> None:
    assert warnings("extra", '{"created": 1, "config": {"Env": {}}}') == []
    assert warnings("config/Labels", '{"created": "\\u002B", "Env": "x"}') == []
