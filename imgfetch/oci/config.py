"""An image's config: its platform and layers, its run settings and its history.

Sources: OCI image specification, "Image Configuration"; docker's image specification 1.2 uses the same names.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Self

from imgfetch.errors import VerificationError
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform

_KEYS = frozenset({"os", "architecture", "variant", "os.version", "rootfs", "history", "config", "created", "author"})
_ROOTFS_KEYS = frozenset({"type", "diff_ids"})
_RUN_KEYS = frozenset(
    {"Entrypoint", "Cmd", "Env", "Labels", "ExposedPorts", "User", "WorkingDir", "Volumes", "StopSignal"}
)
_STEP_KEYS = frozenset({"created", "created_by", "comment", "author", "empty_layer"})
_MAX_STEPS = 5000


@dataclass(frozen=True)
class Config:
    """An image's config; ``diff_ids`` are the digests of the decompressed layers, base first."""

    platform: Platform
    diff_ids: tuple[Digest, ...]
    raw: bytes = field(default=b"", repr=False)

    @classmethod
    @strictjson.blaming_the_publisher()
    def from_json(cls, raw: bytes, media_type: str, what: str) -> Self:
        """Read a config; ``what`` is its name in messages.

        Raises:
            VerificationError: the config is malformed.
            UnsupportedError: it belongs to something other than an image.
        """
        members = strictjson.Object(strictjson.loads(raw, what, errors="replace"), what, _KEYS, in_any_case=True)
        rootfs_json = members.get("rootfs")
        if media_type in mediatypes.VAGUE_CONFIGS and not (isinstance(rootfs_json, dict) and "diff_ids" in rootfs_json):
            raise mediatypes.not_an_image(what, media_type or "no media type", "")
        if rootfs_json is None:
            raise VerificationError(f"{what} is malformed", wanted="rootfs.diff_ids", got="no rootfs")
        rootfs = strictjson.Object(rootfs_json, f"'rootfs' of {what}", _ROOTFS_KEYS, in_any_case=True)
        diff_ids = []
        for number, text in enumerate(rootfs.items_of("diff_ids"), 1):
            try:
                diff_ids.append(Digest.parse(text))
            except VerificationError as error:
                raise VerificationError(f"diff_id {number} of {what} is {error}") from None
        return cls(Platform.from_json(members), tuple(diff_ids), raw)


class Step(NamedTuple):
    """A step of the history: its command, and whether it made no layer."""

    created_by: str
    is_empty: bool


class RunConfig(NamedTuple):
    """An image's run settings and history.

    Attributes:
        created: time of creation as the config has it (RFC 3339).
        entrypoint: the arguments before the command.
        command: the default command, or the entrypoint's default arguments.
        environment: variables as ``NAME=value``.
        ports: exposed ports, such as ``80/tcp``.
        volumes: mount points for volumes.
        stop_signal: the signal that stops a container; empty means SIGTERM.
        history: steps, the oldest first.
    """

    created: str
    author: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    environment: tuple[str, ...]
    labels: dict[str, str]
    ports: tuple[str, ...]
    volumes: tuple[str, ...]
    user: str
    working_dir: str
    stop_signal: str
    history: tuple[Step, ...]

    @classmethod
    def of(cls, config: Config, what: str) -> Self:
        """Read them from a config; ``what`` is its name in messages.

        Raises:
            VerificationError: a member has the wrong type.
        """
        members = strictjson.Object(strictjson.loads(config.raw, what, errors="replace"), what, _KEYS, in_any_case=True)
        run = strictjson.Object(members.members_of("config"), f"'config' of {what}", _RUN_KEYS, in_any_case=True)
        return cls(
            created=members.text("created"),
            author=members.text("author"),
            entrypoint=_words(run, "Entrypoint"),
            command=_words(run, "Cmd"),
            environment=_texts(run, "Env"),
            labels=_labels(run),
            ports=tuple(sorted(run.members_of("ExposedPorts"))),
            volumes=tuple(sorted(run.members_of("Volumes"))),
            user=run.text("User"),
            working_dir=run.text("WorkingDir"),
            stop_signal=run.text("StopSignal"),
            history=_history(members),
        )

    def made_by(self, count: int) -> tuple[str, ...]:
        """Return the command that made each of ``count`` layers, or empty texts if the history lists another number."""
        steps = [step.created_by for step in self.history if not step.is_empty]
        return tuple(steps) if len(steps) == count else ("",) * count


def _labels(run: strictjson.Object) -> dict[str, str]:
    nulls = {name: "" for name, text in run.members_of("Labels").items() if text is None}
    return dict(sorted({**nulls, **run.texts("Labels")}.items()))


def _history(members: strictjson.Object) -> tuple[Step, ...]:
    items = members.items_of("history")
    if len(items) > _MAX_STEPS:
        raise VerificationError(
            f"'history' of {members.what} is too long", wanted=f"at most {_MAX_STEPS} steps", got=str(len(items))
        )
    steps = []
    for number, item in enumerate(items, 1):
        what = f"step {number} in the history of {members.what}"
        step = strictjson.Object({} if item is None else item, what, _STEP_KEYS, in_any_case=True)
        steps.append(Step(step.text("created_by"), step.get("empty_layer") is True))
    return tuple(steps)


def _texts(members: strictjson.Object, key: str) -> tuple[str, ...]:
    items = members.items_of(key)
    texts = tuple(item or "" for item in items if item is None or isinstance(item, str))
    if len(texts) != len(items):
        raise VerificationError(f"{key!r} of {members.what} is malformed", wanted="strings", got="other values")
    return texts


def _words(members: strictjson.Object, key: str) -> tuple[str, ...]:
    """Return the words of a command, which docker accepts as one string, too."""
    value = members.get(key)
    return (value,) if isinstance(value, str) else _texts(members, key)
