"""Mutants of the checks on outputs: files, devices and streams."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "a header is written before its blob is waited for",
        "TarLayout.stream",
        "write(padding + header)",
        "write(padding)",
        ("test_a_stream_whose_blob_fails_has_part_of_the_next_header",),
    ),
    Mutant(
        "padding goes out with the next header, not before it",
        "TarLayout.stream",
        "write(padding + header)",
        "write(padding), write(header)",
        ("test_a_stream_never_rests_where_a_member_ends",),
    ),
    Mutant(
        "the last byte of a piece goes out with the next one",
        "TarLayout.stream",
        'out.write(b"".join((held, data[:-1])))',
        "out.write(held), out.write(data[:-1])",
        ("test_a_stream_never_rests_where_a_member_ends",),
    ),
    Mutant(
        "a blob's last byte is held until its end is known to be right",
        "TarLayout.stream",
        "held = bytes(data[-1:])",
        "held = b''; out.write(data[-1:])",
        ("test_a_blob_that_is_wrong_at_its_end_ends_the_stream_before_its_last_byte",),
    ),
    Mutant(
        "what a process has open is not replaced by a file",
        "output:regular",
        "if _open_file(path):",
        "if False:",
        ("test_what_a_process_has_open_is_a_stream_by_any_name",),
    ),
    Mutant(
        "a path is not judged by where it is",
        "output:regular",
        "if _open_file(path):",
        'if _open_file(path) or path.parts[:2] == ("/", "dev"):',
        ("test_a_file_below_dev_is_a_file", "test_a_name_below_dev_that_nothing_has_is_a_file_s"),
    ),
    Mutant(
        "the directory of a name is resolved, whatever leads there",
        "_open_file",
        "os.path.realpath(link.parent)",
        "link.parent",
        ("test_what_a_process_has_open_is_a_stream_by_any_name",),
    ),
    Mutant(
        "a descriptor of our own is duplicated, not opened again",
        "output:_open",
        "if place and",
        "if False and",
        ("test_what_is_open_already_is_gone_on_with", "test_a_socket_takes_a_stream_by_its_name"),
    ),
    Mutant(
        "a file that another process has open is not overwritten from its start",
        "output:_open",
        "os.lseek(descriptor, 0, os.SEEK_END)",
        "pass",
        ("test_what_another_process_has_open_is_not_emptied",),
    ),
    Mutant(
        "opening a device or pipe empties no file",
        "output:_open",
        "os.O_WRONLY |",
        "os.O_WRONLY | os.O_TRUNC | os.O_CREAT |",
        ("test_a_file_that_has_taken_the_place_of_a_pipe_is_left_alone", "test_a_pipe_that_is_gone_is_not_made_a_file"),
    ),
    Mutant(
        "a regular file that has taken the place of a pipe is not written to",
        "output:_open",
        "if not place:",
        "if False:",
        ("test_a_file_that_has_taken_the_place_of_a_pipe_is_left_alone",),
    ),
    Mutant(
        "a terminal gets no archive by any name",
        "context:output",
        "if is_terminal(chosen):",
        "if not isinstance(chosen, str) and is_terminal(chosen):",
        ("test_a_terminal_gets_no_archive",),
    ),
    Mutant(
        "the free space of another disk is not told for a stream",
        "output:opened",
        'storage_errors("the output", "write")',
        'storage_errors(Path("the output"), "write")',
        ("test_what_a_shell_does_with_stdout_and_stderr",),
    ),
)
