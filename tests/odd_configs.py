"""Configs with an odd member, and the fate of their images in each reader, as measured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.images import AMD64, Blob

_PLACE = "the odd value"


@dataclass(frozen=True)
class Fate:
    """The fate of an image in each reader.

    Attributes:
        refuse: those that do not load it.
        cannot_run: those that load it, but make no container from it.
    """

    refuse: frozenset[str] = frozenset()
    cannot_run: frozenset[str] = frozenset()


CLASSIC = frozenset({"docker-20.10", "docker-28.5"})
STORE = frozenset({"docker-28.5-containerd-store"})
PODMAN = frozenset({"podman-4.3", "podman-5.8"})
SKOPEO = frozenset({"skopeo-1.9-docker-archive", "skopeo-1.22-docker-archive"})
CRANE = frozenset({"crane-0.20"})
CTR_1, CTR_2 = frozenset({"ctr-1.6"}), frozenset({"ctr-2.1"})
READERS = CLASSIC | STORE | PODMAN | SKOPEO | CRANE | CTR_1 | CTR_2

FINE = Fate()
EVERY = Fate(CLASSIC | PODMAN | SKOPEO | CRANE | CTR_1, STORE | CTR_2)
PLATFORM = Fate(CLASSIC | PODMAN | SKOPEO | CRANE | CTR_1 | CTR_2, STORE)
OCI = Fate(PODMAN | CRANE | CTR_1, STORE | CTR_2)
DOCKER_SPEC = Fate(CLASSIC | SKOPEO | CRANE, STORE | PODMAN)
DOCKER = Fate(CLASSIC | SKOPEO, PODMAN)
DOCKER_AND_CRANE = Fate(CLASSIC | SKOPEO | CRANE, PODMAN)
CLASSIC_STORE = Fate(CLASSIC)
OLD_GO = Fate(SKOPEO | CRANE | CTR_1 | {"docker-20.10", "podman-4.3"})
NEW_GO = Fate(CRANE | {"docker-28.5", "podman-5.8", "skopeo-1.22-docker-archive"}, STORE | CTR_2)
NEW_DOCKER_SPEC = Fate(frozenset({"docker-28.5", "skopeo-1.22-docker-archive"}), STORE | {"podman-5.8"})


@dataclass(frozen=True)
class Odd:
    """A config with one odd member.

    Attributes:
        member: its path, with slashes.
        value: its value in JSON; ``None`` leaves it out.
    """

    member: str
    value: str | None
    fate: Fate

    def __str__(self) -> str:
        return f"{self.member} {self.value}"

    def config(self, *layers: Blob) -> bytes:
        """Return the config of an image with these layers."""
        document: dict[str, Any] = {
            **AMD64,
            "created": "2024-01-01T00:00:00Z",
            "config": {"Cmd": ["/hello"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
            "history": [{"created_by": f"layer {number}"} for number, _ in enumerate(layers)],
        }
        *parents, name = self.member.split("/")
        place = document
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
        if self.value is None:
            del place[name]
            return json.dumps(document).encode()
        place[name] = _PLACE
        return json.dumps(document).replace(json.dumps(_PLACE), self.value).encode()


TIMES = [
    Odd("created", '""', EVERY),
    Odd("created", "0", EVERY),
    Odd("created", "true", EVERY),
    Odd("created", "{}", EVERY),
    Odd("created", '"2024-01-01"', EVERY),
    Odd("created", '"2024-01-01 00:00:00Z"', EVERY),
    Odd("created", '"2024-01-01T00:00:00"', EVERY),
    Odd("created", '"2024-01-01t00:00:00z"', EVERY),
    Odd("created", '"2024-01-01T24:00:00Z"', EVERY),
    Odd("created", '"2016-12-31T23:59:60Z"', EVERY),
    Odd("created", '"2024-02-30T00:00:00Z"', EVERY),
    Odd("created", '"10000-01-01T00:00:00Z"', EVERY),
    Odd("created", '"2024-01-01T00:00:00+25:00"', NEW_GO),
    Odd("created", '"2024-01-01T00:00:00+23:60"', Fate(frozenset({"podman-5.8"}))),
    Odd("created", r'"2024-01-01T00:00:00\u002B00:00"', OLD_GO),
    Odd("created", '"2024-01-01T00:00:00+00:00"', FINE),
    Odd("created", '"0000-02-29T00:00:00Z"', FINE),
    Odd("created", '"2024-01-01T1:00:00.123456789012-07:30"', FINE),
    Odd("created", '"2024-01-01T00:00:00,5Z"', FINE),
    Odd("created", "null", FINE),
    Odd("created", None, FINE),
    Odd("history/0/created", '""', EVERY),
    Odd("history/0/created", "0", EVERY),
    Odd("history/0/created", r'"2024-01-01T00:00:00\u002B00:00"', OLD_GO),
    Odd("history/0/created", "null", FINE),
]
PLATFORMS = [
    Odd("os.features", '"x"', PLATFORM),
    Odd("os.features", "[1]", PLATFORM),
    Odd("os", '"darwin"', CLASSIC_STORE),
    Odd("os", '"freebsd"', CLASSIC_STORE),
    Odd("os", '"Linux"', Fate(frozenset({"docker-20.10"}))),
    Odd("os", '""', FINE),
    Odd("architecture", '""', FINE),
    Odd("architecture", '"amd64/v2"', FINE),
    Odd("architecture", '"amd64(v1)"', Fate(cannot_run=PODMAN)),
    Odd("architecture", '"amd 64"', Fate(cannot_run=PODMAN)),
    Odd("variant", '"v8 (64)"', Fate(cannot_run=frozenset({"podman-5.8"}))),
    Odd("os.version", '"20.04 (focal)"', FINE),
    Odd("architecture", "null", FINE),
]
TOP = [
    Odd("author", "1", EVERY),
    Odd("author", '["x"]', EVERY),
    Odd("id", "1", DOCKER),
    Odd("parent", "1", DOCKER),
    Odd("comment", "1", DOCKER),
    Odd("Size", '"1"', DOCKER),
    Odd("Size", "1.5", DOCKER),
    Odd("container", "1", DOCKER_AND_CRANE),
    Odd("docker_version", "1", DOCKER_AND_CRANE),
    Odd("container_config", "[]", DOCKER),
    Odd("container_config", '{"Env": {}}', DOCKER),
    Odd("container_config", '{"Cmd": "x"}', FINE),
    Odd("config", "[]", EVERY),
    Odd("config", '"x"', EVERY),
    Odd("rootfs/type", "1", PLATFORM),
    Odd("rootfs/type", '"other"', Fate(CRANE)),
    Odd("rootfs/type", '""', Fate(CRANE)),
    Odd("rootfs/type", "null", Fate(CRANE)),
    Odd("rootfs/type", None, Fate(CRANE)),
]
HISTORY = [
    Odd("history", "{}", EVERY),
    Odd("history", "1", EVERY),
    Odd("history", '["x"]', EVERY),
    Odd("history/0/created_by", '["x"]', EVERY),
    Odd("history/0/comment", "1", EVERY),
    Odd("history/0/author", "1", EVERY),
    Odd("history/0/empty_layer", '"true"', EVERY),
    Odd("history/0/empty_layer", "1", EVERY),
    Odd("history", '[{"created_by": "a"}, {"created_by": "b"}]', CLASSIC_STORE),
    Odd("history", '[{"created_by": "a"}, null]', CLASSIC_STORE),
    Odd("history", "[null]", FINE),
    Odd("history", "[]", FINE),
    Odd("history", "null", FINE),
    Odd("history", None, FINE),
    Odd("history", '[{"created_by": "a", "empty_layer": true}]', FINE),
    Odd("history/0/empty_layer", "null", FINE),
]
RUN = [
    Odd("config/User", "1", EVERY),
    Odd("config/User", "null", FINE),
    Odd("config/WorkingDir", "1", EVERY),
    Odd("config/StopSignal", "15", EVERY),
    Odd("config/ArgsEscaped", "1", EVERY),
    Odd("config/Env", "{}", EVERY),
    Odd("config/Env", '"A=b"', EVERY),
    Odd("config/Env", "[1]", EVERY),
    Odd("config/Env", "null", FINE),
    Odd("config/ExposedPorts", '["80/tcp"]', EVERY),
    Odd("config/ExposedPorts", '{"80/tcp": 1}', EVERY),
    Odd("config/ExposedPorts", '{"80/tcp": []}', EVERY),
    Odd("config/ExposedPorts", '{"80/tcp": null}', FINE),
    Odd("config/ExposedPorts", '{"80/tcp": {"a": 1}}', FINE),
    Odd("config/Volumes", '["/v"]', EVERY),
    Odd("config/Volumes", '{"/v": "x"}', EVERY),
    Odd("config/Volumes", '{"/v": null}', FINE),
    Odd("config/Labels", "[]", EVERY),
    Odd("config/Labels", '{"a": 1}', EVERY),
    Odd("config/Labels", '{"a": true}', EVERY),
    Odd("config/Labels", '{"a": null}', FINE),
    Odd("config/Entrypoint", '"/bin/sh"', OCI),
    Odd("config/Entrypoint", '""', OCI),
    Odd("config/Entrypoint", '["/a", 1]', EVERY),
    Odd("config/Entrypoint", "{}", EVERY),
    Odd("config/Entrypoint", '["/a", null]', FINE),
    Odd("config/Cmd", '"/bin/sh"', OCI),
    Odd("config/Cmd", "true", EVERY),
    Odd("config/Cmd", "[null]", FINE),
    Odd("config/OnBuild", '"x"', DOCKER_SPEC),
    Odd("config/OnBuild", "[1]", DOCKER_SPEC),
    Odd("config/Shell", '"sh"', Fate(CRANE, STORE)),
    Odd("config/Shell", "[1]", DOCKER_SPEC),
    Odd("config/Healthcheck", "[]", DOCKER_SPEC),
    Odd("config/Healthcheck", '{"Test": "x"}', DOCKER_SPEC),
    Odd("config/Healthcheck", '{"Interval": "30s"}', DOCKER_SPEC),
    Odd("config/Healthcheck", '{"Interval": 1.5}', DOCKER_SPEC),
    Odd("config/Healthcheck", '{"Interval": 30000000000.0}', DOCKER_SPEC),
    Odd("config/Healthcheck", '{"Interval": 1e9}', DOCKER_SPEC),
    Odd("config/Healthcheck", '{"Timeout": "1s"}', DOCKER_SPEC),
    Odd("config/Healthcheck", '{"StartPeriod": "1s"}', DOCKER_SPEC),
    Odd("config/Healthcheck", '{"StartInterval": "1s"}', NEW_DOCKER_SPEC),
    Odd("config/Healthcheck", '{"Retries": 18446744073709551616}', DOCKER_SPEC),
    Odd("config/Healthcheck", '{"Test": null, "Interval": -1, "Retries": 3}', FINE),
    Odd("config/StopTimeout", '"10"', DOCKER),
    Odd("config/StopTimeout", "10.0", DOCKER),
    Odd("config/StopTimeout", "9223372036854775808", DOCKER),
    Odd("config/StopTimeout", "-1", FINE),
    Odd("config/Hostname", "1", DOCKER_AND_CRANE),
    Odd("config/Domainname", "1", DOCKER_AND_CRANE),
    Odd("config/Image", "1", DOCKER_AND_CRANE),
    Odd("config/MacAddress", "1", DOCKER_AND_CRANE),
    Odd("config/AttachStdin", '"x"', DOCKER_AND_CRANE),
    Odd("config/Tty", '"true"', DOCKER_AND_CRANE),
    Odd("config/NetworkDisabled", '"x"', DOCKER_AND_CRANE),
    Odd("config/Labels", '{"a": "1", "a": "2"}', FINE),
    Odd("config/Labels", '{"a": 1, "a": "2"}', EVERY),
    Odd("config/Env", '["A=b"], "Env": ["A=c"]', FINE),
    Odd("config/Env", '1, "Env": ["A=c"]', EVERY),
    Odd("config/Memory", '"a member of early versions only"', FINE),
]
ODD_CONFIGS = {str(odd): odd for odd in (*TIMES, *PLATFORMS, *TOP, *HISTORY, *RUN)}
