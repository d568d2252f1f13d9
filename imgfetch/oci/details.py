"""What an image's config says beyond its layers: how it is run, and how it was made.

Source: OCI image specification, config.md; docker's image specification 1.2 has the same names.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from imgfetch.errors import VerificationError
from imgfetch.oci import strictjson
from imgfetch.oci.image import Config

_KEYS = frozenset({"config", "history", "created", "author"})
_RUN_KEYS = frozenset(
    {"Entrypoint", "Cmd", "Env", "Labels", "ExposedPorts", "User", "WorkingDir", "Volumes", "StopSignal"}
)
_STEP_KEYS = frozenset({"created", "created_by", "comment", "author", "empty_layer"})
_MAX_STEPS = 5000


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the history.

    Attributes:
        created_by: the command that made it.
        is_empty: whether it made no layer.
    """

    created_by: str
    is_empty: bool


@dataclass(frozen=True, slots=True)
class Details:
    """How an image is run, and how it was made.

    Attributes:
        created: when, as the config has it (RFC 3339).
        author: who says that they made it.
        entrypoint: the arguments before the command.
        command: what is run by default, or its default arguments.
        environment: variables as ``NAME=value``.
        labels: its labels.
        ports: what it says that it listens on, such as ``80/tcp``.
        volumes: directories for data of their own.
        user: who runs it.
        working_dir: where it is run.
        stop_signal: what ends it, if not SIGTERM.
        history: its steps, the oldest first.
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
        """Read them.

        Args:
            config: the config.
            what: its name in messages.

        Raises:
            VerificationError: something has a wrong type.
        """
        members = strictjson.Object(strictjson.loads(config.raw, what), what, _KEYS)
        run_json = members.get("config")
        run = strictjson.Object({} if run_json is None else run_json, f"'config' of {what}", _RUN_KEYS)
        return cls(
            members.text("created"),
            members.text("author"),
            _texts(run, "Entrypoint"),
            _texts(run, "Cmd"),
            _texts(run, "Env"),
            dict(sorted(run.texts("Labels").items())),
            _keys(run, "ExposedPorts"),
            _keys(run, "Volumes"),
            run.text("User"),
            run.text("WorkingDir"),
            run.text("StopSignal"),
            _history(members),
        )

    def made_by(self, count: int) -> tuple[str, ...]:
        """Return the command that made each of ``count`` layers, or nothing where the history has another number."""
        steps = [step.created_by for step in self.history if not step.is_empty]
        return tuple(steps) if len(steps) == count else ("",) * count


def _history(members: strictjson.Object) -> tuple[Step, ...]:
    items = members.items_of("history")
    if len(items) > _MAX_STEPS:
        raise VerificationError(
            f"'history' of {members.what} is too long", wanted=f"{_MAX_STEPS} steps at most", got=str(len(items))
        )
    steps = []
    for number, item in enumerate(items, 1):
        step = strictjson.Object(item, f"step {number} in the history of {members.what}", _STEP_KEYS)
        steps.append(Step(step.text("created_by"), step.get("empty_layer") is True))
    return tuple(steps)


def _texts(members: strictjson.Object, key: str) -> tuple[str, ...]:
    items = members.items_of(key)
    texts = tuple(item for item in items if isinstance(item, str))
    if len(texts) != len(items):
        raise VerificationError(f"{key!r} of {members.what} is malformed", wanted="strings", got="something else")
    return texts


def _keys(members: strictjson.Object, key: str) -> tuple[str, ...]:
    """Return the keys of an object whose values mean nothing, which is how Go writes a set."""
    value = members.get(key)
    if value is None:
        return ()
    if not isinstance(value, dict):
        raise VerificationError(
            f"{key!r} of {members.what} is malformed", wanted="an object", got=strictjson.shown(value)
        )
    return tuple(sorted(value))
