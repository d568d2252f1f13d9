"""Mutants of the checks on the command line and make.mk."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant("Collect.__call__", "*(getattr(namespace, self.dest) or ()), *values", "*values").noticed_by(
        "test_a_repeated_platform_adds_to_the_first"
    ),
    Mutant(
        "Collect.__call__",
        "dict.fromkeys([*(getattr(namespace, self.dest) or ()), *values])",
        "[*(getattr(namespace, self.dest) or ()), *values]",
    ).noticed_by("test_the_same_platform_twice_is_one"),
    Mutant(
        "parse:platforms", 'dict.fromkeys(map(Platform.parse, text.split(",")))', 'map(Platform.parse, text.split(","))'
    ).noticed_by("test_the_same_platform_twice_is_one"),
    Mutant("names:platforms", "dict.fromkeys(Platform.parse(each)", "list(Platform.parse(each)").noticed_by(
        "test_the_same_platform_twice_is_one"
    ),
    Mutant("Once.__call__", "first != values", "False").noticed_by(
        "test_a_repeated_option_that_takes_one_value_is_a_usage_error"
    ),
    Mutant("context:access", "len(overrides) < len(set(arguments.realm_override))", "False").noticed_by(
        "test_what_does_not_go_together_is_a_usage_error_of_save"
    ),
    Mutant("_check_names", 'option.startswith("--") and', "False and").noticed_by(
        "test_a_usage_error_is_two_lines_and_suggests_what_was_meant"
    ),
    Mutant("_check_names", "unknown option {quoted(option)}", "unknown option {quoted(word)}").noticed_by(
        "test_a_usage_error_is_two_lines_and_suggests_what_was_meant"
    ),
    Mutant("parser:parse", "rest[0][:2]", "rest[0]").noticed_by(
        "test_a_usage_error_is_two_lines_and_suggests_what_was_meant"
    ),
    Mutant("_epilog", '"examples:", *examples', '"examples:"').noticed_by(
        "test_help_fits_a_terminal_and_ends_with_three_examples_and_the_manual"
    ),
    Mutant("_suggestion", "if word in _ELSEWHERE", "if not word").noticed_by(
        "test_a_usage_error_is_two_lines_and_suggests_what_was_meant"
    ),
    Mutant("parse:whole", "least <= int(text) <= most", "least <= int(text[:4]) <= most").noticed_by(
        "test_a_number_is_plain_decimal_and_within_its_bounds"
    ),
    Mutant("parse:whole", "re.fullmatch(_WHOLE, text)", "text.isdecimal()").noticed_by(
        "test_a_number_is_plain_decimal_and_within_its_bounds"
    ),
    Mutant("parse:size", "count <= _MAX_SIZE", "count").noticed_by(
        "test_a_number_is_plain_decimal_and_within_its_bounds"
    ),
    Mutant("parse:span", "length <= _MAX_SPAN", "length").noticed_by(
        "test_a_number_is_plain_decimal_and_within_its_bounds"
    ),
    Mutant("names:one_or_many", "(str, bytes, os.PathLike)", "(bytes, os.PathLike)").noticed_by(
        "test_references_are_one_or_many", "test_verify_takes_one_or_many_names_or_none"
    ),
    Mutant("names:images", "if not several", "if False").noticed_by("test_an_empty_list_of_references_is_an_error"),
    Mutant("SaveRequest.__post_init__", "value not in known", "False").noticed_by(
        "test_a_choice_that_does_not_exist_is_an_error"
    ),
    Mutant("names:platform", "len(several) > 1", "False").noticed_by("test_one_image_has_one_platform"),
    Mutant("Client._open", "self._retries.fresh()", "self._retries").noticed_by(
        "test_a_client_has_all_its_retries_for_each_call"
    ),
)
