"""Values on the command line and in the environment."""

from __future__ import annotations

import argparse

import pytest

from imgfetch.archive.ustar import MAX_OCTAL
from imgfetch.cli import commands, parser

ALL = [option for command in commands.COMMANDS.values() for option in command.all_options]
OPTIONS = {option.variable or option.name: option for option in ALL}
NUMBERS = {
    # an option's name or variable: (the texts that it takes, with their values; numbers out of its bounds)
    "IMGFETCH_RETRIES": ({"0": 0, "100": 100}, ["101", "01001000"]),
    "IMGFETCH_JOBS": ({"1": 1, "64": 64}, ["0", "65"]),
    "IMGFETCH_CONNECTIONS": ({"1": 1, "64": 64}, ["0", "65"]),
    "IMGFETCH_MAX_WAIT": ({"0.5": 0.5, "21600": 21600}, ["0", "21601"]),
    "IMGFETCH_TIMEOUT": ({"10": 10}, ["0.000", "99999"]),
    "IMGFETCH_CACHE_SIZE": ({"0": 0, "1.5k": 1500, "10GiB": 10 << 30, "7 MB": 7 * 10**6}, ["8388608TiB"]),
    "IMGFETCH_MAX_LAYER_SIZE": ({"1": 1}, ["9223372036854775808"]),
    "IMGFETCH_LIMIT_RATE": ({"1k": 1000, "500kB": 500_000, "10 MB/s": 10**7, "1MiB": 1 << 20}, ["999", "0", "8E"]),
    "keep": ({"0": 0}, ["9223373T", "9223372036854775807TiB"]),
    "older_than": ({"90min": 5400, "12h": 43200, "0s": 0}, ["1000000d"]),
    "SOURCE_DATE_EPOCH": ({"0": 0, str(MAX_OCTAL): MAX_OCTAL}, [str(MAX_OCTAL + 1)]),
}
NOT_PLAIN = ["", " 1", "1\n", "+5", "-5", "1_0", "007", "00", "1e1", "0x1", "1.", ".5", "\u0661", "\u00b2", "9" * 5000]


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_is_plain_decimal_and_within_its_bounds(name: str) -> None:
    option = OPTIONS[name]
    taken, beyond = NUMBERS[name]
    assert {text: option.parse(text) for text in taken} == taken
    unit = "d" if name == "older_than" else ""
    for text in [*beyond, *(text + unit for text in NOT_PLAIN)]:
        with pytest.raises(argparse.ArgumentTypeError, match=r"^must be "):
            option.parse(text)


def test_an_option_has_one_variable_and_one_default_in_all_commands() -> None:
    meanings = {(option.name, option.variable, str(option.default)) for option in ALL if option.name != "platform"}
    assert len(meanings) == len({name for name, *_ in meanings})


def test_the_command_line_counts_more_than_the_environment_and_that_more_than_the_default() -> None:
    environment = {"IMGFETCH_JOBS": "3", "IMGFETCH_RETRIES": "", "IMGFETCH_INSECURE": "one two"}
    arguments = parser.parse(["save", "x", "--timeout", "7"])
    commands.fill_in(arguments, {**environment, "IMGFETCH_TIMEOUT": "8"})
    assert (arguments.jobs, arguments.retries, arguments.timeout) == (3, 4, 7)
    assert (arguments.insecure, arguments.plain_http, arguments.source_date_epoch) == (["one", "two"], False, 1)
