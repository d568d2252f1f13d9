"""Mutants of the checks on the command line and make.mk."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant("command_digest:run", "if path and not _is_replaceable(path):", "if False:").noticed_by(
        "test_a_list_without_digests_is_not_replaced[name]", "test_digests_replace_no_file_of_another_kind[tar]"
    ),
    Mutant("lists:is_pinned", "all(image.reference.digest", "any(image.reference.digest").noticed_by(
        "test_a_list_without_digests_is_not_replaced[name]"
    ),
    Mutant("lists:is_pinned", "not mistakes and", "").noticed_by(
        "test_digests_replace_no_file_of_another_kind[comments]"
    ),
    Mutant("command_digest:_is_json", '"pinned" in each', "True").noticed_by(
        "test_digests_replace_no_file_of_another_kind[JSON]"
    ),
    Mutant(
        "lists:shard",
        'distinct.setdefault(image._replace(origin=""), image)',
        'image = next((each for each in distinct if each == image._replace(origin="")), image._replace(origin=""))\n'
        "        distinct.setdefault(image, image)",
    ).noticed_by("test_twice_as_many_images_are_at_most_twice_as_much_work"),
    Mutant("lists:shard", "[number - 1 :: count]", "[number :: count]").noticed_by(
        "test_each_image_is_in_one_shard_and_the_shards_are_equally_large"
    ),
    Mutant("lists:shard", 'image._replace(origin="")', "image").noticed_by(
        "test_comments_and_duplicates_do_not_change_the_shards"
    ),
    Mutant(
        "parse:shard", "1 <= int(match[1]) <= int(match[2]) <=", "0 <= int(match[1]) and int(match[2]) <="
    ).noticed_by("test_a_shard_that_does_not_exist_is_a_usage_error"),
    Mutant("_chosen", "if not arguments.output_dir:", "if False:").noticed_by(
        "test_an_empty_shard_is_an_error_for_one_archive"
    ),
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
    Mutant("report:caught", "signal.setitimer(signal.ITIMER_REAL, _GRACE, _GRACE)", "pass").noticed_by(
        "test_the_first_signal_ends_a_save_whose_stderr_nobody_reads"
    ),
    Mutant("report:caught", "if came or is_done:", "if came:").noticed_by(
        "test_a_signal_at_any_moment_after_the_work_prints_no_traceback"
    ),
    Mutant("main:main", "if argv is None and ", "if False and ").noticed_by(
        "test_a_signal_at_any_moment_after_the_work_prints_no_traceback"
    ),
    Mutant("report:caught", "signal.SIG_IGN if came and is_program else handler", "handler").noticed_by(
        "test_after_a_signal_further_ones_have_no_effect_if_the_program_is_about_to_end"
    ),
    Mutant("_check_names", "unknown option {quoted(option)}", "unknown option {quoted(word)}").noticed_by(
        "test_a_usage_error_is_two_lines_and_suggests_what_was_meant"
    ),
    Mutant("parser:parse", "option = unknown[:2]", "option = unknown").noticed_by(
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
    Mutant("Sessions.open", "self.retries.fresh()", "self.retries").noticed_by(
        "test_a_client_has_all_its_retries_for_each_call"
    ),
    Mutant("command_cache:run", 'stdout.show_bytes(os.fsencode(root) + b"\\n")', "stdout.show([str(root)])").noticed_by(
        "test_the_cache_directory_is_printed_byte_for_byte"
    ),
    Mutant("command_save:_save", "display.has_plan = False", "pass").noticed_by(
        "test_a_command_that_cannot_print_ends_with_one_sentence"
    ),
    Mutant("_save_each", "display.has_plan = bool(done.failures)", "pass").noticed_by(
        "test_a_command_that_cannot_print_ends_with_one_sentence"
    ),
    Mutant("advice:advised", "error.hint == files.HINTS[number]", "True").noticed_by(
        "test_the_next_step_after_an_output_that_cannot_be_written_suits_the_command"
    ),
    Mutant("_another_output", 'arguments.command == "save"', "True").noticed_by(
        "test_a_directory_that_is_in_the_way_is_told_before_a_request"
    ),
    Mutant("command_login:run", "keyring.require(arguments.registry)", "pass").noticed_by(
        "test_nothing_is_asked_for_that_could_not_be_stored[JSON-password]"
    ),
    Mutant("Keyring.require", "self._helpers.require(helper)", "pass").noticed_by(
        "test_nothing_is_asked_for_that_could_not_be_stored[helper-password]"
    ),
    Mutant("Keyring.require", "if not os.access(", "if False and not os.access(").noticed_by(
        "test_a_place_that_cannot_be_written_is_reported_before_there_are_credentials"
    ),
    Mutant("Registry.check_login", "elsewhere = self._api.is_elsewhere(response)", "elsewhere = False").noticed_by(
        "test_a_login_that_is_redirected_names_the_other_host"
    ),
    Mutant("Bars._fit", "shape != self._shape", "False").noticed_by(
        "test_a_terminal_of_another_size_shows_right_rows_again_within_a_frame"
    ),
    Mutant("Bars._fit", "row.disable = True", "pass").noticed_by(
        "test_a_terminal_of_another_size_shows_right_rows_again_within_a_frame"
    ),
    Mutant("Bars._return", 'self._stream.write("\\r")', "pass").noticed_by(
        "test_a_terminal_of_another_size_shows_right_rows_again_within_a_frame"
    ),
    Mutant("Client.dry_run", "if output and not cache_dir else None", "if False else None").noticed_by(
        "test_a_dry_run_without_a_cache_counts_what_a_failed_save_left_beside_the_output"
    ),
    Mutant("workspace:kept", "_is_for_us(folder) and lock.acquire()", "lock.acquire()").noticed_by(
        "test_nothing_is_shown_of_one_that_is_absent_in_use_empty_or_of_others"
    ),
    Mutant("workspace:kept", " and _keeps_layers(folder)", "").noticed_by(
        "test_nothing_is_shown_of_one_that_is_absent_in_use_empty_or_of_others"
    ),
)
