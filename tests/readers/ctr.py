"""containerd, fed by ctr."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.engines import Command, daemon, output
from tests.readers.engine import Loaded, Programs, answers_to, config_digest, installed, version_in
from tests.tools import root


class Containerd:
    """A running containerd, fed by ctr."""

    def __init__(self, ctr: Command, address: Path, *options: str) -> None:
        self.command = [*ctr, "-a", address]
        self._options = options
        self.version = version_in(self.run("version").partition("Server:")[2])

    @property
    def load_command(self) -> Command:
        """Imports an archive from stdin."""
        return [*self.command, "images", "import", *self._options, "-"]

    def image_named(self, name: str) -> str:
        return self.images()[name]

    def load(self, archive: Path) -> Loaded:
        before = self.images()
        self.read(archive)
        new = {name: digest for name, digest in self.images().items() if before.get(name) != digest}
        (digest,) = set(new.values())
        return Loaded(config_digest(lambda each: self.run("content", "get", each), digest), digest, frozenset(new))

    def read(self, archive: Path) -> str:
        # A loose platform would take any image; the plain command is what people type.
        return self.run("images", "import", *self._options, archive)

    def forget(self) -> None:
        if images := self.images():
            self.run("images", "rm", "--sync", *images)

    def run(self, *arguments: str | Path) -> str:
        return output(*self.command, *arguments)

    def images(self) -> dict[str, str]:
        """Return manifest digests by name."""
        lines = self.run("images", "ls").splitlines()[1:]
        return {fields[0]: fields[2] for fields in (line.split() for line in lines)}


@contextlib.contextmanager
def containerd(
    directory: Path, programs: Programs = installed, *, options: tuple[str, ...] = (), cri: bool = False
) -> Iterator[Containerd]:
    """Start containerd as root, with its own state.

    Args:
        directory: for all its files.
        programs: its programs.
        options: those of ``ctr images import``.
        cri: whether it serves Kubernetes, whose images have a namespace of their own.
    """
    root()
    server, ctr = programs("containerd"), programs("ctr")
    address = directory / "containerd.sock"
    config = directory / "config.toml"
    disabled = [] if cri else [f"io.containerd.{name}" for name in ("grpc.v1.cri", "cri.v1.images", "cri.v1.runtime")]
    config.write_text(
        f'version = 2\nroot = "{directory}/root"\nstate = "{directory}/state"\ndisabled_plugins = {disabled}\n'
        f'[grpc]\naddress = "{address}"\n[ttrpc]\naddress = "{address}.ttrpc"\n'
    )
    is_up = answers_to(*ctr, "-a", address, "version")
    with daemon([*server, "-c", config], directory / "containerd.log", is_up):
        yield Containerd([*ctr, "-n", "k8s.io"] if cri else ctr, address, *options)
