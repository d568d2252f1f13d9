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
        "parse:platforms",
        'list(dict.fromkeys(platform(part) for part in text.split(",")))',
        '[platform(part) for part in text.split(",")]',
        ("test_the_same_platform_twice_is_one",),
    ),
    Mutant(
        "a platform that the library is given twice is one",
        "names:platforms",
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
    Mutant(
        "a number is compared with its bounds as a whole",
        "parse:whole",
        "least <= int(text) <= most",
        "least <= int(text[:4]) <= most",
        ("test_a_number_is_plain_decimal_and_within_its_bounds",),
    ),
    Mutant(
        "a number has no sign, underscore, leading zero or foreign digit",
        "parse:whole",
        "not re.fullmatch(_WHOLE, text)",
        "not text.isdecimal()",
        ("test_a_number_is_plain_decimal_and_within_its_bounds",),
    ),
    Mutant(
        "a size has a bound",
        "parse:size",
        "count <= _MAX_SIZE",
        "count",
        ("test_a_number_is_plain_decimal_and_within_its_bounds",),
    ),
    Mutant(
        "a time has a bound",
        "parse:span",
        "length <= _MAX_SPAN",
        "length",
        ("test_a_number_is_plain_decimal_and_within_its_bounds",),
    ),
    Mutant(
        "a text is one name, not its letters",
        "names:one_or_many",
        "(str, bytes, os.PathLike)",
        "(bytes, os.PathLike)",
        ("test_references_are_one_or_many", "test_verify_takes_one_or_many_names_or_none"),
    ),
    Mutant(
        "an empty list of references is an error",
        "names:references",
        "if not several",
        "if False",
        ("test_an_empty_list_of_references_is_an_error",),
    ),
    Mutant(
        "a format or form of layers that does not exist is an error",
        "SaveRequest.__post_init__",
        "value not in known",
        "False",
        ("test_a_choice_that_does_not_exist_is_an_error",),
    ),
    Mutant(
        "of several platforms none is chosen silently",
        "names:platform",
        "len(several) > 1",
        "False",
        ("test_one_image_has_one_platform",),
    ),
    Mutant(
        "a client has all its retries for each call",
        "Client._open",
        "self._retries.fresh()",
        "self._retries",
        ("test_a_client_has_all_its_retries_for_each_call",),
    ),
)
