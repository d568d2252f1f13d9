"""An image's config: its platform and layers, its run settings and its history.

Sources: OCI image specification, "Image Configuration"; docker's image specification 1.2 uses the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Self

from imgfetch.errors import VerificationError
from imgfetch.oci import mediatypes, strictjson
from imgfetch.oci.digest import Digest
from imgfetch.oci.platforms import Platform

_KEYS = frozenset({"os", "architecture", "variant", "rootfs"})
"""Members that decide what is loaded, and therefore occur once."""
_ROOTFS_KEYS = frozenset({"diff_ids"})


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

    created: str = ""
    author: str = ""
    entrypoint: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    environment: tuple[str, ...] = ()
    labels: Mapping[str, str] = {}
    ports: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    user: str = ""
    working_dir: str = ""
    stop_signal: str = ""
    history: tuple[Step, ...] = ()

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """Read them from a valid config; a member that is not of the right type counts as absent."""
        members = strictjson.fields(strictjson.loads(raw, "the config", as_go=True))
        run = strictjson.fields(members.get("config"))
        return cls(
            created=_text(members.get("created")),
            author=_text(members.get("author")),
            entrypoint=_words(run.get("entrypoint")),
            command=_words(run.get("cmd")),
            environment=_texts(run.get("env")),
            labels={name: _text(text) for name, text in sorted(_members(run.get("labels")).items())},
            ports=tuple(sorted(_members(run.get("exposedports")))),
            volumes=tuple(sorted(_members(run.get("volumes")))),
            user=_text(run.get("user")),
            working_dir=_text(run.get("workingdir")),
            stop_signal=_text(run.get("stopsignal")),
            history=tuple(map(_step, _items(members.get("history")))),
        )

    def made_by(self, count: int) -> tuple[str, ...]:
        """Return the command that made each of ``count`` layers, or empty texts if the history lists another number."""
        steps = [step.created_by for step in self.history if not step.is_empty]
        return tuple(steps) if len(steps) == count else ("",) * count


@dataclass(frozen=True)
class Config:
    """The parts of an image's config that decide what is loaded.

    Attributes:
        diff_ids: the digests of the decompressed layers, base first.
        media_type: the one in the manifest.
    """

    platform: Platform
    diff_ids: tuple[Digest, ...]
    media_type: str = field(default=mediatypes.OCI_CONFIG, compare=False)

    @classmethod
    @strictjson.blaming_the_publisher()
    def from_json(cls, raw: bytes, media_type: str, what: str) -> Self:
        """Read a config; ``what`` is its name in messages.

        Raises:
            VerificationError: the config is malformed.
            UnsupportedError: it belongs to something other than an image.
        """
        document = strictjson.loads(raw, what, as_go=True)
        members = strictjson.Object(document, what, _KEYS, in_any_case=True)
        members["os.version"] = strictjson.fields(document).get("os.version")
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
        return cls(Platform.from_json(members), tuple(diff_ids), media_type)


def _step(value: object) -> Step:
    step = strictjson.fields(value)
    return Step(_text(step.get("created_by")), step.get("empty_layer") is True)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _members(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _texts(value: object) -> tuple[str, ...]:
    return tuple(map(_text, _items(value)))


def _words(value: object) -> tuple[str, ...]:
    """Return the words of a command, which docker accepts as one string, too."""
    return (value,) if isinstance(value, str) else _texts(value)
