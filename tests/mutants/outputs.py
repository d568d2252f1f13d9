"""Mutants of the checks on outputs: files, devices and streams."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant("_require_case", "and workspace.ignores_case", "and False").noticed_by(
        "test_archives_whose_names_differ_in_case_are_refused_only_where_case_is_ignored"
    ),
    Mutant("command_digest:_write", "atomic_write(path, mode=_MODE, durable=True)", 'path.open("wb")').noticed_by(
        "test_a_lock_may_be_renewed_in_place_while_others_read_it"
    ),
    Mutant(
        "command_digest:run", "pinned = client.pin(", 'path and path.write_text(""); pinned = client.pin('
    ).noticed_by("test_a_file_gets_the_digests_only_if_all_images_are_found"),
    Mutant("command_digest:run", "else regular(arguments.output)", "else Path(arguments.output)").noticed_by(
        "test_a_place_that_no_digests_can_be_written_to_costs_no_request"
    ),
    Mutant("output:regular", "error.errno == errno.ENAMETOOLONG", "False").noticed_by(
        "test_an_output_with_too_long_a_name_is_refused_before_a_request"
    ),
    Mutant("reference:Reference.file_name", "len(name) <= _MAX_FILE_NAME", "True").noticed_by(
        "test_a_name_that_is_too_long_for_a_file_is_shortened_in_an_output_directory"
    ),
    Mutant("reference:Reference.file_name", "] + end", "]").noticed_by(
        "test_a_name_that_is_too_long_for_a_file_is_shortened_in_an_output_directory"
    ),
    Mutant("Writer._fill", "final.tar.members == planned.tar.members", "True").noticed_by(
        "test_a_wrong_size_has_the_layers_decompressed_again"
    ),
    Mutant("Downloads._bring", "contents is None or brought.contents", "True").noticed_by(
        "test_layers_of_the_cache_are_decompressed_into_their_places"
    ),
    Mutant("DiffIdCheck.update", "        except StorageError:\n            raise\n", "").noticed_by(
        "test_a_full_disk_ends_the_check_at_once"
    ),
    Mutant("Writer._foreseen", "(StorageError, ", "(AssertionError, ").noticed_by(
        "test_a_size_that_the_disk_has_no_room_for_is_ignored"
    ),
    Mutant("Writer._foreseen", ", VerificationError)", ", AssertionError)").noticed_by(
        "test_two_blobs_of_one_layer_may_state_different_sizes"
    ),
    Mutant("sizes:size_of", "len(trailer) != _TRAILER", "False").noticed_by(
        "test_a_size_that_cannot_be_right_is_no_guess[too long]"
    ),
    Mutant("sizes:size_of", "compressed * _MOST_TIMES", "compressed << 60").noticed_by(
        "test_a_size_that_cannot_be_right_is_no_guess[more than deflate can make]"
    ),
    Mutant("TarLayout.stream", "write(padding + member.header(self._mtime))", "write(padding)").noticed_by(
        "test_a_stream_whose_blob_fails_has_part_of_the_next_header"
    ),
    Mutant(
        "TarLayout.stream",
        "write(padding + member.header(self._mtime))",
        "write(padding), write(member.header(self._mtime))",
    ).noticed_by("test_a_stream_never_rests_where_a_member_ends"),
    Mutant(
        "TarLayout.stream", 'out.write(b"".join((held, data[:-1])))', "out.write(held), out.write(data[:-1])"
    ).noticed_by("test_a_stream_never_rests_where_a_member_ends"),
    Mutant("TarLayout.stream", "held = bytes(data[-1:])", "held = b''; out.write(data[-1:])").noticed_by(
        "test_a_blob_that_is_wrong_at_its_end_ends_the_stream_before_its_last_byte"
    ),
    Mutant("output:regular", "if _open_file(path):", "if False:").noticed_by(
        "test_what_a_process_has_open_is_a_stream_by_any_name"
    ),
    Mutant(
        "output:regular", "if _open_file(path):", 'if _open_file(path) or path.parts[:2] == ("/", "dev"):'
    ).noticed_by("test_a_file_below_dev_is_a_file", "test_a_name_below_dev_that_nothing_has_is_a_file_s"),
    Mutant("_open_file", "os.path.realpath(link.parent)", "link.parent").noticed_by(
        "test_what_a_process_has_open_is_a_stream_by_any_name"
    ),
    Mutant("output:_open", "if place and", "if False and").noticed_by(
        "test_what_is_open_already_is_gone_on_with", "test_a_socket_takes_a_stream_by_its_name"
    ),
    Mutant("output:_open", "os.lseek(descriptor, 0, os.SEEK_END)", "pass").noticed_by(
        "test_what_another_process_has_open_is_not_emptied"
    ),
    Mutant("output:_open", "os.O_WRONLY |", "os.O_WRONLY | os.O_TRUNC | os.O_CREAT |").noticed_by(
        "test_a_file_that_has_taken_the_place_of_a_pipe_is_left_alone", "test_a_pipe_that_is_gone_is_not_made_a_file"
    ),
    Mutant("output:_open", "        if not place:", "        if False:").noticed_by(
        "test_a_file_that_has_taken_the_place_of_a_pipe_is_left_alone"
    ),
    Mutant(
        "context:output", "if is_terminal(chosen):", "if not isinstance(chosen, str) and is_terminal(chosen):"
    ).noticed_by("test_a_terminal_gets_no_archive"),
    Mutant(
        "output:opened", 'storage_errors("the output", "write")', 'storage_errors(Path("the output"), "write")'
    ).noticed_by("test_what_a_shell_does_with_stdout_and_stderr"),
    Mutant("output:_open", " and link != place", " and False").noticed_by(
        "test_a_link_of_another_user_is_not_followed"
    ),
    Mutant("output:_open", "0 if place else os.O_NOFOLLOW", "0").noticed_by(
        "test_a_link_that_takes_the_place_of_a_pipe_is_not_followed"
    ),
    Mutant("output:regular", "_require_replaceable(path)", "pass").noticed_by(
        "test_another_users_entry_in_a_sticky_directory_is_refused_before_a_request[a_file]",
        "test_an_immutable_file_is_found_before_a_request",
        "test_a_mounted_file_is_found_before_a_request",
    ),
    Mutant("_require_replaceable", "!= _mount(path.parent)", "== b'x'").noticed_by(
        "test_a_mounted_file_is_found_before_a_request"
    ),
    Mutant("_require_replaceable", "if error.errno == errno.EPERM:", "if False:").noticed_by(
        "test_an_immutable_file_is_found_before_a_request"
    ),
    Mutant("_require_replaceable", "if error.errno == errno.EPERM:", "if True:").noticed_by(
        "test_an_entry_that_can_be_replaced_is[our file]"
    ),
    Mutant("output:_open", "if not place and _is_planted(target):", "if False:").noticed_by(
        "test_another_users_entry_in_a_sticky_directory_is_refused_before_a_request[a_pipe]"
    ),
    Mutant("_is_planted", "return is_shared and", "return").noticed_by(
        "test_another_users_pipe_in_a_directory_of_ours_is_used"
    ),
    Mutant("save_each:save_each", "(*images, directory / CHECKSUMS)", "images").noticed_by(
        "test_every_file_in_an_output_directory_is_looked_at_before_the_first_download[SHA256SUMS]"
    ),
    Mutant("_Archives._write", "forget_checksums(path.parent)", "pass").noticed_by(
        "test_no_checksum_of_a_replaced_archive_is_left_by_a_save_that_fails"
    ),
    Mutant("save_each:save_each", "if regular(path) is None:", "if False:").noticed_by(
        "test_every_file_in_an_output_directory_is_looked_at_before_the_first_download"
    ),
    Mutant("save_each:save_each", "if regular(path) is None:", "if regular(path) == 0:").noticed_by(
        "test_a_pipe_in_the_place_of_an_archive_is_refused_before_a_request"
    ),
    Mutant("save_each:_paths", "if mistakes:", "if False:").noticed_by(
        "test_all_images_that_would_have_one_file_are_reported_with_file_and_line"
    ),
    Mutant("HashedOutput.write", "self._interrupt()", "pass").noticed_by("test_a_hashed_output_can_be_interrupted"),
    Mutant("_Archives._write", "if is_over():", "if False:").noticed_by(
        "test_an_archive_that_is_being_written_is_given_up_where_another_fails"
    ),
    Mutant("_Archives._write", "downloads.wait(plan.layers)", "pass").noticed_by(
        "test_an_archive_has_no_file_before_all_its_layers_are_here"
    ),
    Mutant("_Archives._reserve", "layout.tar.size for layout", "0 for layout").noticed_by(
        "test_the_space_for_all_archives_is_required_before_a_layer_is_downloaded"
    ),
    Mutant("save_each:save_each", "keeps=lambda: bool(failures)", "keeps=lambda: False").noticed_by(
        "test_a_layer_that_fails_leaves_complete_archives_and_the_next_run_resumes[keep going-no-cache]"
    ),
    Mutant("_Archives._give_up", "if not users[layer.key]", "if False").noticed_by(
        "test_of_an_image_that_has_failed_no_further_layer_is_downloaded"
    ),
    Mutant(
        "Layer.key", "self.descriptor.digest, self.descriptor.size, self.diff_id", "self.descriptor.digest, 0, None"
    ).noticed_by("test_an_image_that_states_a_wrong_diff_id_of_a_common_layer_fails_alone"),
    Mutant("inputs:opened_regular", "opener=open_regular", "opener=None").noticed_by(
        "test_a_pipe_that_takes_the_place_of_an_existing_archive_is_not_waited_for"
    ),
    Mutant("output:regular", "_require_own_directories(path)", "pass").noticed_by(
        "test_another_users_link_to_a_directory_is_not_followed"
    ),
    Mutant("_require_own_directories", "parent.is_symlink() and ", "").noticed_by(
        "test_another_users_directory_in_a_sticky_one_may_be_named"
    ),
    Mutant(
        "_require_own_directories", "if parent.is_symlink() and _is_planted(parent):", "if parent.is_symlink():"
    ).noticed_by("test_our_own_link_to_a_directory_is_followed"),
)
