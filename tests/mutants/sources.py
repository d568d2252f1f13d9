"""Mutants of the places from which an archive is read."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant("directory:_open", " | os.O_NOFOLLOW", "").noticed_by("test_a_file_that_becomes_a_link_is_not_followed"),
    Mutant("DirectoryReader._check", "if found != expected:", "if False:").noticed_by(
        "test_a_link_in_a_layout_is_refused"
    ),
    Mutant("DirectoryReader.__iter__", "count > MAX_ENTRIES or ", "").noticed_by("test_there_is_an_end_to_entries"),
    Mutant("DirectoryReader.__iter__", ' or prefix.count("/") > _MAX_DEPTH', "").noticed_by(
        "test_there_is_an_end_to_levels"
    ),
    Mutant("DirectoryReader.pieces", "raise self._cut_short()", "return").noticed_by(
        "test_a_file_that_becomes_shorter_is_damage"
    ),
    Mutant("source:_members", "if is_header(beginning[:HEAD]):", "if False:").noticed_by(
        "test_a_file_that_is_compressed_to_some_readers_and_a_tar_to_others_is_refused"
    ),
    Mutant("compression:decompress", "if is_strict and oddity:", "if False:").noticed_by(
        "test_data_behind_compressed_data_is_damage"
    ),
    Mutant("source:_refuse_foreign", r' and beginning[:HEAD].strip(b"\0")', "").noticed_by(
        "test_a_device_without_end_comes_to_an_end"
    ),
    Mutant("streams:_is_seekable", "return stat.S_ISREG(os.fstat(file.fileno()).st_mode)", "return True").noticed_by(
        "test_a_pipe_is_read_as_a_file_is"
    ),
)
