"""Mutants of the checks on outputs: files, devices and streams."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant("output:regular", "error.errno == errno.ENAMETOOLONG", "False").noticed_by(
        "test_an_output_with_too_long_a_name_is_refused_before_a_request"
    ),
    Mutant("reference:Reference.file_name", "len(name) <= _MAX_FILE_NAME", "True").noticed_by(
        "test_a_name_that_is_too_long_for_a_file_is_shortened_in_an_output_directory"
    ),
    Mutant("reference:Reference.file_name", "] + end", "]").noticed_by(
        "test_a_name_that_is_too_long_for_a_file_is_shortened_in_an_output_directory"
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
    Mutant("context:outputs", "(*paths, str(directory / CHECKSUMS))", "paths").noticed_by(
        "test_every_file_in_an_output_directory_is_looked_at_before_the_first_download[SHA256SUMS]"
    ),
    Mutant("command_save:_save", "not saved.is_unchanged", "False").noticed_by(
        "test_no_checksum_of_a_replaced_archive_is_left_by_a_save_that_fails"
    ),
    Mutant("context:outputs", "regular(path)", "pass").noticed_by(
        "test_every_file_in_an_output_directory_is_looked_at_before_the_first_download"
    ),
    Mutant("write:_opened", "opener=open_regular", "opener=None").noticed_by(
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
