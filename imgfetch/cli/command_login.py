"""`imgfetch login`."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from imgfetch.cli import context
from imgfetch.cli.display import Display
from imgfetch.cli.options import usage
from imgfetch.registry.client import Registry


def run(arguments: argparse.Namespace, display: Display) -> int:
    """Check a user name and password at a registry, and store them where docker does."""
    keyring = context.keyring(arguments)
    keyring.require(arguments.registry)
    if not arguments.username:
        arguments.username = _username(arguments)
    config = context.access(arguments)
    login = config.credentials.find(arguments.registry, "")
    assert login is not None  # noqa: S101  # that of the command line
    with ExitStack() as stack:
        registry = Registry(
            arguments.registry, access=config, timeout=arguments.timeout, patience=context.retries(arguments)
        )
        is_checked = stack.enter_context(registry).check_login()
    place = keyring.keep(arguments.registry, login)
    if not is_checked:
        display.message("warning", f"{arguments.registry} asks for no credentials, so they were not checked")
    display.message("info", f"logged in to {arguments.registry} as {login.shown_username}; credentials are in {place}")
    return 0


def _username(arguments: argparse.Namespace) -> str:
    if sys.stdin is None or not sys.stdin.isatty() or arguments.password_stdin:
        usage(arguments, "no user name given; pass --username")
    sys.stderr.write(f"User name at {arguments.registry}: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() or usage(arguments, "the user name is empty")
