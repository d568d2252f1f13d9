"""The readers of images, in groups that demand the same of a config.

docs/archives.md#configs has the versions that were measured, and tests/e2e/test_odd_configs.py measures them again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Readers(NamedTuple):
    """Readers that demand the same.

    Attributes:
        refuse: those that do not load an image otherwise.
        cannot_run: those that load it, but make no container from it.
        hint: what to do about such an image.
    """

    refuse: tuple[str, ...]
    cannot_run: tuple[str, ...] = ()
    hint: str = "ask the publisher to rebuild the image"

    def __str__(self) -> str:
        """Return a clause about such an image."""
        parts = ((self.refuse, "refuse"), (self.cannot_run, "load but cannot run"))
        return ", and ".join(f"{listed(names)} {verb}" for names, verb in parts if names)


def listed(texts: Sequence[str]) -> str:
    """Return texts in a row, as in a sentence."""
    return " and ".join(filter(None, (", ".join(texts[:-1]), texts[-1])))


_CLASSIC, _CONTAINERD_STORE = "docker 20.10 and 28 (classic store)", "docker 28 (containerd store)"
_ELSEWHERE = "load it with containerd, or docker's containerd store"

EVERY_READER = Readers((_CLASSIC, "podman", "skopeo", "crane", "containerd 1.6"), (_CONTAINERD_STORE, "containerd 2.1"))
PLATFORM = Readers((_CLASSIC, "podman", "skopeo", "crane", "containerd"), (_CONTAINERD_STORE,))
OCI = Readers(("podman", "crane", "containerd 1.6"), (_CONTAINERD_STORE, "containerd 2.1"))
DOCKER_SPEC = Readers((_CLASSIC, "skopeo", "crane"), (_CONTAINERD_STORE, "podman"))
NEW_DOCKER_SPEC = Readers(("docker 28 (classic store)", "skopeo 1.22"), (_CONTAINERD_STORE, "podman 5.8"))
SHELL = Readers(("crane",), (_CONTAINERD_STORE,))
DOCKER = Readers((_CLASSIC, "skopeo"), ("podman",), _ELSEWHERE)
DOCKER_AND_CRANE = Readers((_CLASSIC, "skopeo", "crane"), ("podman",), _ELSEWHERE)
CLASSIC_STORE = Readers((_CLASSIC,), hint=f"{_ELSEWHERE}, or podman")
DOCKER_20 = Readers(("docker 20.10",), hint="load it with a later version")
CONTAINERD = Readers(("containerd", _CONTAINERD_STORE), hint="load it with docker's classic store, or podman")
NEW_CONTAINERD = CONTAINERD._replace(refuse=("containerd 2.1", _CONTAINERD_STORE))
OLD_GO = Readers(
    ("docker 20.10", "podman 4.3", "skopeo", "crane", "containerd 1.6", "others built by Go before 1.27"),
)
NEW_GO = Readers(
    ("docker 28 (classic store)", "podman 5.8", "skopeo 1.22", "crane"), (_CONTAINERD_STORE, "containerd 2.1")
)
SHA256 = Readers((_CLASSIC, "podman 5.8", "containerd"), (_CONTAINERD_STORE,))
PODMAN_5 = Readers(("podman 5.8",), hint="load it with docker or containerd")
CTR = Readers((), ("ctr 1.6", "ctr 2.1"), "docker and podman run it")
PODMAN_NAME = Readers((), ("podman",), "run it with docker or containerd")
PODMAN_5_NAME = Readers((), ("podman 5.8",), "run it with docker or containerd")
CRANE = Readers(("crane validate",), hint="docker, podman and containerd load it")
