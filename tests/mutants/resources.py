"""Mutants of the checks on what the machine lacks, and on the directories that modules come from."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant("_IndexWalk._add_statement", "descriptor.bare()", "descriptor").noticed_by(
        "test_large_documents_do_not_add_up[statements]"
    ),
    Mutant("Resolver.count", "self._layers_left < 0", "False").noticed_by(
        "test_the_layers_of_all_images_have_a_bound_together"
    ),
    Mutant("uncompressed:_stored", "documents.put(descriptor, raw)", "pass").noticed_by(
        "test_a_plan_is_laid_out_by_its_documents_alone"
    ),
    Mutant("command_tags:_sortable", '.lstrip("0")', "").noticed_by(
        "test_natural_order_is_that_of_numbers_and_texts", "test_natural_order_takes_numbers_as_numbers"
    ),
    Mutant("leave_out_the_working_directory", "del sys.path[0]", "pass").noticed_by(
        "test_no_command_executes_a_file_of_the_working_directory"
    ),
    Mutant("leave_out_the_working_directory", "_is_program() and ", "").noticed_by(
        "test_a_program_that_imports_imgfetch_keeps_its_search_path"
    ),
    Mutant("leave_out_the_working_directory", " and not sys.flags.safe_path", "").noticed_by(
        "test_the_working_directory_is_removed_only_for_imgfetch_itself"
    ),
    Mutant("leave_out_the_working_directory", "sys.path[:1] == [_working_directory()]", "True").noticed_by(
        "test_another_first_directory_is_left_alone"
    ),
    Mutant("threads:start", "(RuntimeError, MemoryError, OSError)", "(MemoryError, OSError)").noticed_by(
        "test_every_command_works_without_a_thread[digest {reference}]",
        "test_every_command_works_without_a_thread[save {reference} -o y.tar]",
        "test_a_thread_that_cannot_start_is_none",
    ),
    Mutant("threads:start", "_check_memory()", "pass").noticed_by(
        "test_a_thread_without_memory_to_begin_is_none_and_not_waited_for"
    ),
    Mutant("threads:for_each", "if is_over.is_set():", "if False:").noticed_by(
        "test_the_first_failure_is_raised_and_no_call_begins_after_it"
    ),
    Mutant("threads:for_each", "raise failures[0]", "pass").noticed_by(
        "test_the_first_failure_is_raised_and_no_call_begins_after_it"
    ),
    Mutant("Downloads._work", " or is_done()", "").noticed_by(
        "test_without_a_thread_layers_are_brought_as_they_are_awaited"
    ),
    Mutant("compressed:_zstd", "enable_ldm=True, ", "").noticed_by("test_zstd_refers_to_content_up_to_128_mib_back"),
    Mutant("compressed:compressed", "size=size, ", "").noticed_by("test_a_window_is_no_larger_than_the_content"),
    Mutant("compressed:_warn_of", "window > ZSTD_WINDOW", "False").noticed_by(
        "test_the_readers_that_refuse_a_window_are_named"
    ),
    Mutant("compressed:_warn_of", "window > _MAX_GO_WINDOW", "False").noticed_by(
        "test_the_readers_that_refuse_a_window_are_named"
    ),
    Mutant("plan:_require", "not smallest <= number <= largest", "False").noticed_by(
        "test_a_window_of_zstd_has_bounds_and_a_compressed_file"
    ),
    Mutant("Saving.check_output", 'compressed.compression(path) != "zstd"', "False").noticed_by(
        "test_a_window_of_zstd_has_bounds_and_a_compressed_file"
    ),
    Mutant("command_save:_check_output", 'compression != "zstd"', "False").noticed_by(
        "test_what_does_not_go_together_is_a_usage_error_of_save"
    ),
    Mutant("compressed:_zstd", ", _MAX_THREADS)", ", 10**9)").noticed_by(
        "test_zstd_has_a_few_threads_on_a_large_machine"
    ),
    Mutant("compressed:_zstd", "_MAX_THREADS), 1, 0)", "_MAX_THREADS), 1)").noticed_by(
        "test_every_command_works_without_a_thread[save {reference} -o y.tar.zst]"
    ),
    Mutant("shortage:_lack", "isinstance(error, MemoryError) or", "False or").noticed_by(
        "test_a_lack_is_found_behind_an_error", "test_a_lack_during_an_import_or_a_report_is_one_sentence"
    ),
    Mutant("shortage:_lack", "if type(error).__name__ in _FROM_C", "if error.args").noticed_by(
        "test_a_lack_is_found_behind_an_error"
    ),
    Mutant("shortage:_chain", "*item.args, ", "").noticed_by("test_a_lack_is_found_behind_an_error"),
    Mutant("shortage:of_files", "os.close(descriptor)", "pass").noticed_by(
        "test_the_search_for_descriptors_leaves_none_open"
    ),
    Mutant("network_errors:_local_error", "lack or shortage.of_files()", "lack").noticed_by(
        "test_a_name_or_issuer_that_is_not_found_for_lack_of_descriptors_says_so"
    ),
    Mutant("network_errors:mapped", "_local_error(url, error) or ", "").noticed_by(
        "test_a_request_that_lacks_something_is_no_fault_of_the_registry"
    ),
    Mutant("Inflater.decompress", "if str(error).startswith(_NO_MEMORY):", "if False:").noticed_by(
        "test_zlib_without_memory_is_no_damage"
    ),
    Mutant("ZstdStream._decompressed", "if shortage.of(error):", "if False:").noticed_by(
        "test_zstd_without_memory_is_no_damage"
    ),
    Mutant("helpers:_converse", "error.errno == errno.EAGAIN", "False").noticed_by(
        "test_a_credential_helper_that_cannot_be_started_is_no_refusal"
    ),
    Mutant("main:_status", "lack = shortage.of(error)", "lack = None").noticed_by(
        "test_a_lack_during_an_import_or_a_report_is_one_sentence[ssl-memory]",
        "test_little_memory_leaves_the_progress_as_json",
    ),
    Mutant("main:main", 'message, lack = "", shortage.of(error)', 'message, lack = "", None').noticed_by(
        "test_a_lack_during_an_import_or_a_report_is_one_sentence[imgfetch.cli.report-memory]"
    ),
    Mutant("stdout:_ending_with_the_reader", "except OSError as error", "except ZeroDivisionError as error").noticed_by(
        "test_a_full_disk_behind_stdout_is_one_sentence"
    ),
)
