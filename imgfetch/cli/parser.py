"""The parser of the command line: help with examples, and errors that suggest what was probably meant."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from imgfetch.cli import stdout
from imgfetch.cli.commands import COMMANDS, FAMILIES, TREE
from imgfetch.cli.examples import EXAMPLES
from imgfetch.cli.options import usage
from imgfetch.text import closest, did_you_mean, quoted, sanitize

_SHORT = len("-v")
_MANUAL = "Environment variables and exit statuses: man imgfetch"
_PAGE = Path(__file__).parents[1] / "data" / "imgfetch.1"
_ELSEWHERE = {
    **dict.fromkeys(("pull", "fetch", "download", "export", "get"), "did you mean 'save'?"),
    **dict.fromkeys(("check", "validate", "test"), "did you mean 'verify'?"),
    **dict.fromkeys(("pin", "lock", "resolve"), "did you mean 'digest'?"),
    **dict.fromkeys(("show", "manifest", "config", "info"), "did you mean 'inspect'?"),
    **dict.fromkeys(("signin", "auth"), "did you mean 'login'?"),
    "signout": "did you mean 'logout'?",
    **dict.fromkeys(("clean", "clear", "rm", "remove", "delete", "gc"), "did you mean 'cache prune'?"),
    **dict.fromkeys(("list", "ls", "images"), "did you mean 'tags' or 'cache list'?"),
    **dict.fromkeys(("load", "import"), "to load an archive, run: docker load -i FILE"),
    **dict.fromkeys(("copy", "cp", "sync"), "to copy between registries, run: skopeo copy"),
    **dict.fromkeys(("diff", "delta"), "did you mean 'patch'?"),
    **dict.fromkeys(("upload", "publish"), "did you mean 'push'?"),
    "help": "did you mean '--help'?",
    "version": "did you mean '--version'?",
    "-V": "did you mean '--version'?",
    "-p": "pass a password with --password-stdin",
}
"""Commands and options of other tools, with what to do instead."""


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
    if unknown := next((word for word in rest if word.startswith("-")), ""):
        # A password may follow the letter. See docs/registries.md#secrets-in-messages.
        option = unknown[:2]
        is_early = option in _options(arguments.command)
        usage(arguments, f"unknown option {quoted(option)}{_other_option(option, (), is_early=is_early)}")
    if rest:
        _add(arguments, rest)
    return arguments


def _add(arguments: argparse.Namespace, words: Sequence[str]) -> None:
    """Add the arguments that argparse leaves over because there are options before them."""
    several = [option for option in TREE[arguments.command].all_options if option.nargs == "*"]
    if not several:
        usage(arguments, f"unexpected argument {quoted(words[0])}")
    (option,) = several
    try:
        added = list(map(option.parse, words))
    except argparse.ArgumentTypeError as error:
        usage(arguments, f"{option.metavar}: {error}")
    setattr(arguments, option.name, [*getattr(arguments, option.name), *added])


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
        lacks_dash = len(option) > _SHORT and f"-{option}" in _options(name)  # -output FILE would be -o utput
        # argparse takes a word with a space for a value
        if (option.startswith("--") and " " not in option) or lacks_dash:
            if option not in _options(name) | {"--password"}:
                parsers[name].error(
                    f"unknown option {quoted(option)}{_other_option(option, _options(name), is_early=not name)}"
                )
        elif name in FAMILIES and not word.startswith("-"):
            if word not in _commands(name):
                parsers[name].error(f"unknown command {quoted(word)}{_other_command(word, _commands(name))}")
            name = f"{name} {word}".strip()


def _options(name: str) -> set[str]:
    shown = (option for option in TREE[name].all_options if option.help is not argparse.SUPPRESS)
    return {"--help", "--verbose"}.union(*(option.names for option in shown))


def _commands(family: str) -> set[str]:
    return {word for parent, _, word in (name.rpartition(" ") for name in TREE if name) if parent == family}


def _other_option(option: str, known: Iterable[str], *, is_early: bool) -> str:
    """Return the commands that have an unknown option, or a suggestion; ``is_early`` if it is before the command."""
    commands = [name for name in COMMANDS if option in _options(name)]
    if option in _ELSEWHERE or not commands:
        return _suggestion(option, known)
    *most, last = commands
    place = ", to be written after the command" if is_early else ""
    return f"; it is an option of imgfetch {' and '.join(filter(None, [', '.join(most), last]))}{place}"


def _other_command(word: str, known: Iterable[str]) -> str:
    """Return how to save an image named in place of a command, or a suggestion."""
    is_image = "/" in word or ":" in word
    return f"; did you mean 'imgfetch save {sanitize(word)}'?" if is_image else _suggestion(word, known)


def _suggestion(word: str, known: Iterable[str]) -> str:
    if word in _ELSEWHERE:
        return f"; {_ELSEWHERE[word]}"
    names = {each.lstrip("-"): each for each in known}
    return did_you_mean(names.get(closest(word.lstrip("-"), names), ""))
