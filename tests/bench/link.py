"""A network of its own with a line of a given rate, for clients that are run in it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_REGISTRY, _CLIENT = "198.18.0.1", "198.18.0.2"  # set aside for benchmarks (RFC 2544)


@dataclass(frozen=True)
class Link:
    """A line.

    Attributes:
        address: of the near end, where the registry listens.
        prefix: what runs a command at the far end.
    """

    address: str
    prefix: tuple[str, ...]


@contextmanager
def link(rate: str) -> Iterator[Link]:
    """Make a network namespace at the end of a line with ``rate``, such as ``1gbit``, until the block ends.

    Raises:
        subprocess.CalledProcessError: that takes root, and a kernel that lets it.
    """
    namespace, near, far = (f"imgfetch{kind}{os.getpid()}" for kind in ("", "a", "b"))
    near, far = near[-15:], far[-15:]  # the kernel's names are short
    _ip("netns", "add", namespace)
    try:
        _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", namespace)
        _ip("address", "add", f"{_REGISTRY}/30", "dev", near)
        _ip("link", "set", near, "up")
        _ip("-n", namespace, "address", "add", f"{_CLIENT}/30", "dev", far)
        _ip("-n", namespace, "link", "set", far, "up")
        _ip("-n", namespace, "link", "set", "lo", "up")
        # What the registry sends is what is slow; requests are small.
        shape = ["tc", "qdisc", "add", "dev", near, "root", "tbf", "rate", rate, "burst", "256kb", "latency", "30ms"]
        subprocess.run(shape, check=True, capture_output=True, text=True)
        yield Link(_REGISTRY, ("ip", "netns", "exec", namespace))
    finally:
        _ip("netns", "delete", namespace)  # takes both ends of the line with it


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)
