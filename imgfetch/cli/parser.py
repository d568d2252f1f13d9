"""The parser of the command line: help with examples, and errors that suggest what was probably meant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from imgfetch.cli import stdout
from imgfetch.cli.commands import FAMILIES, TREE
from imgfetch.cli.examples import EXAMPLES
from imgfetch.cli.options import usage
from imgfetch.text import quoted

_MANUAL = "Environment variables and exit statuses: man imgfetch"
_PAGE = Path(__file__).parents[1] / "data" / "imgfetch.1"
_ELSEWHERE = {
    **dict.fromkeys(("pull", "fetch", "download", "export", "get"), "did you mean 'save'?"),
    **dict.fromkeys(("load", "import"), "to load an archive, run: docker load -i FILE"),
    **dict.fromkeys(("clean", "clear"), "did you mean 'cache prune'?"),
    "help": "run: imgfetch --help",
}
"""Commands of other tools, with what to do instead."""


class Parser(argparse.ArgumentParser):
    """A parser whose errors are two lines: the error, and the next step."""

    def error(self, message: str) -> NoReturn:
        """Print an error, and exit."""
        self.exit(2, f"imgfetch: error: {message.removeprefix('argument ')}\nTry '{self.prog} --help'\n")

    def print_help(self, file: Any = None) -> None:  # noqa: ANN401  # as in argparse
        """Print the help, and report an error if that fails."""
        if file is None:
            stdout.show_text(self.format_help())
        else:
            super().print_help(file)

    def overview(self) -> NoReturn:
        """Print the help as an error, because no command is given, and exit."""
        self.print_help(sys.stderr)
        self.exit(2, f"\nimgfetch: error: no command given; see {self.prog} --help\n")


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)

    def _format_action_invocation(self, action: argparse.Action) -> str:
        """Show the value once after all names, as Python 3.13 does."""
        if not action.option_strings or action.nargs == 0:
            return super()._format_action_invocation(action)
        return f"{', '.join(action.option_strings)} {self._format_args(action, action.dest.upper())}"

    def _format_action(self, action: argparse.Action) -> str:
        """List the commands without a line for the word COMMAND."""
        if isinstance(action, argparse._SubParsersAction):  # noqa: SLF001
            return "".join(map(super()._format_action, action._choices_actions))  # noqa: SLF001
        return super()._format_action(action)


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Parse the command line; a usage error ends the program."""
    parsers = _parsers(argv)
    _check_names(argv, parsers)
    arguments, rest = parsers[""].parse_known_args(argv)
    if rest and rest[0].startswith("-"):
        # A password may follow the letter. See docs/registries.md#secrets-in-messages.
        usage(arguments, f"unknown option {quoted(rest[0][:2])}")
    if rest:
        usage(
            arguments, f"unexpected argument {quoted(rest[0])}; put all arguments before the options, or all after them"
        )
    return arguments


def parser() -> Parser:
    """Return the parser of the whole command line."""
    return _parsers()[""]


def _parsers(argv: Sequence[str] | None = None) -> Mapping[str, Parser]:
    """Return the parsers by the names in `TREE`; with arguments, only the commands named in them get their options."""
    parsers: dict[str, Parser] = {}
    families: dict[str, argparse._SubParsersAction[Parser]] = {}
    for name, command in TREE.items():
        family, _, word = name.rpartition(" ")
        made = (partial(families[family].add_parser, word, help=command.help) if name else Parser)(
            prog=f"imgfetch {name}".strip(),
            usage=" ".join(filter(None, ["imgfetch", name, command.synopsis])),
            description=f"{command.help[:1].upper()}{command.help[1:].removesuffix('.')}.",
            epilog=_epilog(name),
            formatter_class=_Formatter,
            allow_abbrev=False,
            add_help=False,
        )
        made.set_defaults(parser=made, command="" if name in FAMILIES else name)
        parsers[name] = made
        if name in FAMILIES:
            families[name] = made.add_subparsers(title="commands", metavar="COMMAND", prog=made.prog)
        if argv is not None and not set(name.split()) <= set(argv):
            continue  # a third of the time of --version
        for group in command.groups:
            shown = made.add_argument_group(group.title)
            for option in group.options:
                option.add_to(shown)
        shown.add_argument("-h", "--help", action="help", help="show this help")
    # In a group, for a parser's own `add_argument` imports all compressors, which --version does not need.
    above = parsers[""].add_argument_group()
    above.add_argument("-v", "--verbose", dest="above", action="store_true", help=argparse.SUPPRESS)
    parsers[""].set_defaults(progress="none", quiet=False, verbose=0)
    return parsers


def _epilog(name: str) -> str:
    examples = (f"  # {comment}\n  {command}" for comment, command in EXAMPLES[name])
    page = "" if name else f"\nIf man does not find the page: man {_PAGE}"
    return "\n".join(["examples:", *examples, "", _MANUAL]) + page


def _check_names(words: Sequence[str], parsers: Mapping[str, Parser]) -> None:
    """Report a misspelt command or option before argparse mistakes its value for an argument."""
    name = ""
    for word in words:
        option = word.partition("=")[0]
        if option == "--":
            return
        if option.startswith("--") and " " not in option:  # argparse takes a word with a space for a value
            if option not in _options(name) | {"--password"}:
                parsers[name].error(f"unknown option {quoted(option)}{_suggestion(option, _options(name))}")
        elif name in FAMILIES and not word.startswith("-"):
            if word not in _commands(name):
                parsers[name].error(f"unknown command {quoted(word)}{_suggestion(word, _commands(name))}")
            name = f"{name} {word}".strip()


def _options(name: str) -> set[str]:
    shown = (option for option in TREE[name].all_options if option.help is not argparse.SUPPRESS)
    return {"--help", "--verbose"}.union(*(option.names for option in shown))


def _commands(family: str) -> set[str]:
    return {word for parent, _, word in (name.rpartition(" ") for name in TREE if name) if parent == family}


def _suggestion(word: str, known: Iterable[str]) -> str:
    import difflib  # noqa: PLC0415  # few command lines have a misspelt word

    if word in _ELSEWHERE:
        return f"; {_ELSEWHERE[word]}"
    return "".join(f"; did you mean '{close}'?" for close in difflib.get_close_matches(word, known, 1))
