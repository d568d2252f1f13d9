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
def link(rate: str, loss: float = 0) -> Iterator[Link]:
    """Make a network namespace at the end of a line, until the block ends.

    Args:
        rate: of the line, such as ``1gbit``.
        loss: the probability that a packet for the client is lost.

    Raises:
        subprocess.CalledProcessError: that takes root, and a kernel that lets it.
        FileNotFoundError: ``ip``, ``tc`` or ``iptables`` is not installed.
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
        _run("tc", "qdisc", "add", "dev", near, "root", "tbf", "rate", rate, "burst", "256kb", "latency", "30ms")
        if loss:
            _ip("link", "set", near, "gso_max_segs", "1")  # a packet is what a wire would carry
            drop = ["-m", "statistic", "--mode", "random", "--probability", str(loss), "-j", "DROP"]
            _ip("netns", "exec", namespace, "iptables", "-A", "INPUT", *drop)
        yield Link(_REGISTRY, ("ip", "netns", "exec", namespace))
    finally:
        _ip("netns", "delete", namespace)  # takes both ends of the line with it


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
