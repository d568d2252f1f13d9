"""Mutants of the checks on the command line and make.mk."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "a repeated --platform adds to the first",
        "Collect.__call__",
        "*(getattr(namespace, self.dest) or ()), *values",
        "*values",
        ("test_a_repeated_platform_adds_to_the_first",),
    ),
    Mutant(
        "a platform that is given twice is one",
        "Collect.__call__",
        "dict.fromkeys([*(getattr(namespace, self.dest) or ()), *values])",
        "[*(getattr(namespace, self.dest) or ()), *values]",
        ("test_the_same_platform_twice_is_one",),
    ),
    Mutant(
        "a platform that is listed twice is one",
        "arguments:platforms",
        'list(dict.fromkeys(platform(part) for part in text.split(",")))',
        '[platform(part) for part in text.split(",")]',
        ("test_the_same_platform_twice_is_one",),
    ),
    Mutant(
        "a platform that the library is given twice is one",
        "save:_wanted",
        "dict.fromkeys(Platform.parse(each)",
        "list(Platform.parse(each)",
        ("test_the_same_platform_twice_is_one",),
    ),
    Mutant(
        "two different values for an option that takes one are an error",
        "Once.__call__",
        "first != values",
        "False",
        ("test_a_repeated_option_that_takes_one_value_is_a_usage_error",),
    ),
    Mutant(
        "two token servers in the place of one are an error",
        "context:access",
        "len(overrides) < len(set(arguments.realm_override))",
        "False",
        ("test_what_does_not_go_together_is_a_usage_error_of_save",),
    ),
)
