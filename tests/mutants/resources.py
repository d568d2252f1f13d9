"""Mutants of the checks on what the machine lacks, and on the directories that modules come from."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
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
)
