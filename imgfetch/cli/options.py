"""Options of the command line, each with the environment variable that gives its default."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple, NoReturn

from imgfetch.text import quoted


class Option(NamedTuple):
    """An option or a positional argument, from which argparse's part and the lookup in the environment are made.

    Attributes:
        spec: its names, the name of its value in the help, and its variable, as in ``-j --jobs N $IMGFETCH_JOBS``.
        parse: converts its value.
        help: its line in the help.
        default: its value if neither the command line nor the variable gives one.
        action: argparse's action.  With ``store`` the last value wins, so that a script can override its defaults.
        parse_variable: converts the variable, if not `parse`.
        choices: its valid values.
        nargs: the number of its values.
    """

    spec: str
    parse: Callable[[str], object]
    help: str
    default: object = None
    action: str | type[argparse.Action] = "store"
    parse_variable: Callable[[str], object] | None = None
    choices: tuple[str, ...] | None = None
    nargs: str | int | None = None

    @property
    def variable(self) -> str:
        """The environment variable, or an empty string."""
        return self.spec.partition("$")[2]

    @property
    def name(self) -> str:
        """The attribute of the parsed arguments that contains its value."""
        return self.names[-1].lstrip("-").replace("-", "_") if self.names else self.variable.lower()

    @property
    def names(self) -> list[str]:
        """Its names on the command line."""
        return self._names_and_metavar()[0]

    @property
    def metavar(self) -> str | None:
        """The name of its value in the help."""
        return self._names_and_metavar()[1]

    def add_to(self, parser: argparse._ActionsContainer) -> None:
        """Add it to a parser; if it has a variable, ``None`` means that the command line does not give it."""
        names, metavar = self._names_and_metavar()
        default = None if self.variable else self.default
        if self.action in ("store_true", "count"):
            parser.add_argument(*names, action=self.action, default=default, help=self.help)
        elif names:
            parser.add_argument(
                *names,
                action=self.action,
                nargs=self.nargs,
                default=default,
                type=self.parse,
                choices=self.choices,
                help=self.help,
                metavar=metavar,
            )

    def from_environment(self, arguments: argparse.Namespace, environment: Mapping[str, str]) -> object:
        """Return the variable's value, or the default; an invalid value is a usage error."""
        text = environment.get(self.variable)
        if not text:
            return self.default
        try:
            return (self.parse_variable or self.parse)(text)
        except argparse.ArgumentTypeError as error:
            reason = str(error)
            usage(arguments, f"{self.variable}{'' if reason.startswith('must ') else ':'} {reason}")

    def _names_and_metavar(self) -> tuple[list[str], str | None]:
        words = self.spec.partition("$")[0].split()
        names = [word for word in words if word.startswith("-")] or words[:1]
        return names, " ".join(words[len(names) :]) or None


class Group:
    """Options under a title in the help."""

    def __init__(self, title: str, *options: Option) -> None:
        self.title = title
        self.options = options


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


class NoPassword(argparse.Action):
    """Refuse a password where every user of the machine could read it; see docs/registries.md#secrets-in-messages."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Report a usage error."""
        parser.error("other users can read a password on the command line; use --password-stdin")


once = partial(Option, action=Once)
each = partial(Option, action="append", default=[])
switch = partial(Option, parse=bool, action="store_true", default=False)


def usage(arguments: argparse.Namespace, message: str) -> NoReturn:
    """Report a usage error and exit."""
    parser: argparse.ArgumentParser = arguments.parser
    parser.error(message)
