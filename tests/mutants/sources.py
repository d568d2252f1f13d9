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
    Mutant(
        "source:copied", "view = view[copy.write(view) :]", "view = view[copy.write(view) + len(view) :]"
    ).noticed_by("test_a_copy_is_complete_though_each_write_takes_a_part"),
    Mutant("compression:decompress", "if is_strict and oddity:", "if False:").noticed_by(
        "test_data_behind_compressed_data_is_damage"
    ),
    Mutant("source:_refuse_foreign", r' and beginning[:HEAD].strip(b"\0")', "").noticed_by(
        "test_a_device_without_end_comes_to_an_end"
    ),
    Mutant("CountedFile.__init__", "self.size is not None or isinstance(file, io.BytesIO)", "True").noticed_by(
        "test_a_pipe_is_read_as_a_file_is"
    ),
    Mutant("LineEnds.are_converted", "self._feeds >= _ENOUGH and ", "").noticed_by(
        "test_line_ends_are_counted_across_pieces"
    ),
    Mutant("LineEnds.are_converted", " and self._pairs == self._feeds", "").noticed_by(
        "test_line_ends_are_counted_across_pieces"
    ),
    Mutant("source:open_descriptor", "if own is not None:", "if False:").noticed_by(
        "test_an_open_file_is_not_opened_again"
    ),
    Mutant("source:opened", "if os.isatty(descriptor):", "if False:").noticed_by("test_a_terminal_is_not_read"),
    Mutant("source:can_be_read_again", " or own_descriptor(source) is not None", "").noticed_by(
        "test_diff_ids_in_sha512_need_a_file_because_it_is_read_twice"
    ),
    Mutant("recognise:is_damaged", "scan.has_parts or is_unknown", "scan.has_parts").noticed_by(
        "test_an_archive_over_which_readers_differ_exits_with_6"
    ),
    Mutant("recognise:is_damaged", "scan.has_parts or is_unknown", "is_unknown").noticed_by(
        "test_parts_of_an_image_beside_a_member_with_a_fault_are_damage"
    ),
    Mutant("recognise:_not_an_archive", "if scan.has_parts and not scan.faults:", "if False:").noticed_by(
        "test_parts_of_an_image_without_a_description_are_damage"
    ),
    Mutant("Finder.answer", "if named is None or number in named", "if True").noticed_by(
        "test_an_image_that_is_missing_is_a_finding_with_what_there_is"
    ),
    Mutant("Finder.answer", "if identified is None:", "if named:").noticed_by(
        "test_an_image_that_is_missing_is_a_finding_with_what_there_is"
    ),
    Mutant("Finder._identified", "self._by_id if wanted.reference is None else {}", "self._by_id").noticed_by(
        "test_an_image_that_is_missing_is_a_finding_with_what_there_is"
    ),
    Mutant("Finder.answer", "self._other_content(wanted, found) or ", "").noticed_by(
        "test_an_image_among_others_under_its_name_is_not_what_all_readers_load"
    ),
    Mutant("Finder.answer", " or self._other_platform(wanted, found)", "").noticed_by(
        "test_a_platform_that_is_missing_is_a_finding"
    ),
    Mutant("Finder._relevant_choices", "yield from self._bare_choices.get(name, ())", "yield from ()").noticed_by(
        "test_a_bare_tag_that_stands_for_more_counts_as_the_name"
    ),
    Mutant("Finder._suggested", "self._suggestions -= 1", "pass").noticed_by(
        "test_other_tags_are_listed_for_as_many_findings_as_are_printed"
    ),
)
