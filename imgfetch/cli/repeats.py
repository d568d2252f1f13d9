"""Options that are given more than once: no value is dropped without an error.

Options that tune a number, such as ``--jobs``, stay as argparse has them: the last one counts, so that a script can
override its defaults.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

from imgfetch.text import quoted


class Collect(argparse._AppendAction):  # noqa: SLF001  # as such, zsh completes it again
    """Collect the values of every repetition, each once."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, *_: object
    ) -> None:
        """Add a list of values to those that were given before."""
        del parser
        assert isinstance(values, Iterable)  # noqa: S101  # the option's type returns a list
        setattr(namespace, self.dest, list(dict.fromkeys([*(getattr(namespace, self.dest) or ()), *values])))


class Once(argparse.Action):
    """Refuse a second, different value for an option that decides what is written, where, or as which user."""

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: object, *_: object
    ) -> None:
        """Store the only value."""
        del parser
        given = vars(namespace).setdefault("given_once", {})
        first = given.setdefault(self.dest, values)
        if first != values:
            raise argparse.ArgumentError(
                self, f"given twice with different values: {quoted(str(first))} and {quoted(str(values))}; give it once"
            )
        setattr(namespace, self.dest, values)
