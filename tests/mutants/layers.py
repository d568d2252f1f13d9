"""Mutants of the checks on layers and their compression."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

BROKEN_INPUT = "test_a_broken_input_has_its_status_and_leaves_the_target_alone"

JUDGED = "test_a_tar_is_judged_as_by_the_readers_wherever_it_is_cut"

MUTANTS: tuple[Mutant, ...] = (
    Mutant("DiffIdCheck.finish", "tar_oddity = self._tar.finish()", 'tar_oddity = ""').noticed_by(
        "test_a_layer_whose_tar_is_cut_short_is_refused"
    ),
    Mutant("verify:_odd_layers", "if member and member.contents:", "if False:").noticed_by(
        "test_an_odd_layer_has_its_fate[tar with one name twice]"
    ),
    Mutant(
        "manifest:_as_written", 'strictjson.Object(entry, "a layer").text("mediaType")', "layer.media_type"
    ).noticed_by("test_an_odd_layer_has_its_fate[gzip with a type in capitals]"),
    Mutant("LayerTar.finish", "self._skip > self._padding or ", "").noticed_by(
        f"{JUDGED}[tar cut short in an entry-512]"
    ),
    Mutant("LayerTar._open", "if header.size > _MAX_EXTENSION:", "if False:").noticed_by(
        f"{JUDGED}[tar with a PAX header of 2 MiB-10000000]"
    ),
    Mutant("layertar:_has_right_checksum", "wanted in (unsigned, signed)", "True").noticed_by(
        f"{JUDGED}[tar with a wrong checksum-512]"
    ),
    Mutant("extraction:_check", "if kind not in _KINDS:", "if False:").noticed_by(
        f"{JUDGED}[tar with an entry of type 7-512]"
    ),
    Mutant("Entries.add_name", "if key in self._names:", "if False:").noticed_by(
        f"{JUDGED}[tar with one name twice-512]"
    ),
    Mutant("Entries.add_name", "elif len(self._names) < _MAX_NAMES:", "else:").noticed_by(
        "test_names_are_remembered_up_to_a_limit"
    ),
    Mutant("Tree.add", "if len(self._kinds) < _MAX_NAMES:", "if True:").noticed_by(
        "test_names_are_remembered_up_to_a_limit"
    ),
    Mutant("Tree.add", "if self._room > 0", "if True").noticed_by("test_targets_are_remembered_up_to_a_limit"),
    Mutant("Tree._follow", "if self._steps < 0:", "if False:").noticed_by(
        "test_links_are_followed_up_to_a_limit", "test_long_paths_are_followed_up_to_a_limit"
    ),
    Mutant("Tree._follow", "(len(at) + len(kind)) // _STEP", "0").noticed_by(
        "test_long_paths_are_followed_up_to_a_limit"
    ),
    Mutant("Tree._follow", "LOOP if links > _MAX_LINKS else UNKNOWN", "UNKNOWN").noticed_by(
        f"{JUDGED}[tar with a file below a link to itself-512]"
    ),
    Mutant("Tree._follow", "if kind and kind != _HIDDEN and kind not in _DIRECTORIES:", "if False:").noticed_by(
        f"{JUDGED}[tar with a file below a pipe-512]"
    ),
    Mutant("Entries._target", "if self._tree.is_missing(target):", "if False:").noticed_by(
        f"{JUDGED}[tar with a hard link to nothing-512]"
    ),
    Mutant("Entries._target", "if is_whiteout or self._tree.is_directory(target):", "if False:").noticed_by(
        f"{JUDGED}[tar with a hard link to a directory-512]"
    ),
    Mutant("extraction:_check", "if len(link) > _MAX_PATH:", "if False:").noticed_by(
        f"{JUDGED}[tar with a link of 4096 bytes-512]"
    ),
    Mutant("attributes:oddity_of_attributes", "or len(value) > _MAX_VALUE", "").noticed_by(
        f"{JUDGED}[tar with a long attribute-10000000]"
    ),
    Mutant("attributes:_is_capabilities", 'not value[0] & 0xFE and value[1:3] == b"\\0\\0"', "True").noticed_by(
        f"{JUDGED}[tar with unknown flags of capabilities-512]"
    ),
    Mutant("extensions:extended", 'if kind == OLD_FILE and name.endswith(b"/"):', "if False:").noticed_by(
        f"{JUDGED}[tar with directories before POSIX-512]"
    ),
    Mutant("gzipmember:_oddity", "if longest > _MAX_TEXT:", "if False:").noticed_by(
        "test_a_header_that_some_readers_refuse_is_odd_wherever_it_is_cut[zlib-a name too long for Go]"
    ),
    Mutant("gzipmember:_header", "!= zlib.crc32(data[: end - 2]) & 0xFFFF", "< 0").noticed_by(
        "test_a_wrong_header_is_damage_wherever_it_is_cut[zlib-a wrong checksum]"
    ),
    Mutant("GzipMember.decompress", "if len(self._header) > _MAX_HEADER:", "if False:").noticed_by(
        "test_a_header_without_an_end_takes_little_memory"
    ),
    Mutant("LayerInfo.is_refused", "or not all(map(mediatypes.is_layer, media_types))", "").noticed_by(
        "test_a_layer_that_some_readers_refuse_is_not_written_as_it_is"
    ),
    Mutant(
        "layer:distinct",
        "first.media_types | layer.media_types",
        "layer.media_types if first.diff_id is None else first.media_types",
    ).noticed_by("test_a_layer_that_is_listed_with_two_types_has_both"),
    Mutant(
        "_Streams._continue",
        """raise VerificationError(f"its {self._name} data is damaged ({error})") from None""",
        "pass",
    ).noticed_by(f"{BROKEN_INPUT}[absent-a gzip layer with an incomplete Huffman code]"),
    Mutant(
        "Downloads._check_contents",
        "if contents.diff_id != layer.diff_id:",
        "if contents.diff_id.algorithm != layer.diff_id.algorithm:",
    ).noticed_by(f"{BROKEN_INPUT}[absent-a wrong diff_id]"),
    Mutant("_Streams.finish", "self._is_silent and self._fed <= _HEADER", "self._is_silent").noticed_by(
        "test_a_second_member_that_is_cut_short_before_its_content_is_refused[zlib]"
    ),
    Mutant("ZstdStream.finish", "self._frame or self._left or ", "").noticed_by(
        "test_a_frame_is_not_complete_before_its_last_byte",
        f"{BROKEN_INPUT}[absent-zstd cut short under a true digest]",
    ),
    Mutant("zstd:_window", "if window > MAX_WINDOW:", "if False:").noticed_by("test_a_larger_window_is_refused"),
    Mutant("ZstdStream._pass", "room -= _MAX_BLOCK if kind == _COMPRESSED else size", "pass").noticed_by(
        "test_what_comes_out_at_a_time_is_bounded_whatever_the_ratio"
    ),
    Mutant("ZstdStream._decompressed", "if self._is_last and not self._left:", "if False:").noticed_by(
        "test_a_stream_is_complete_at_the_end_of_its_last_frame"
    ),
    Mutant("Windows.take", "while size > self._free and not own:", "while False:").noticed_by(
        "test_a_lease_waits_until_there_is_room", "test_the_widest_windows_do_not_add_up"
    ),
    Mutant("Windows.take", "if own + size >", "if size >").noticed_by(
        "test_a_thread_with_a_lease_gets_another_one_at_once_if_the_sum_of_its_own_fits"
    ),
    Mutant("Windows.take", "self._nested if own else self._total", "self._nested").noticed_by(
        "test_more_than_there_is_is_refused_at_once"
    ),
    Mutant("Lease.resize", "self.release()", "pass").noticed_by("test_a_lease_that_grows_is_given_back_first"),
    Mutant("DiffIdCheck.close", "self._lease.release()", "pass").noticed_by(
        "test_a_window_is_freed_when_the_layer_has_passed_though_the_check_is_kept"
    ),
    Mutant("PartialBlob.close", "self._end_check()", "pass").noticed_by(
        "test_a_download_that_ends_early_gives_its_window_back_though_it_is_kept"
    ),
    Mutant("XzStream.decompress", "memlimit=memory", "memlimit=MAX_WINDOW").noticed_by(
        "test_a_later_block_with_a_larger_dictionary_is_refused"
    ),
    Mutant("LayerTar._extend", "if self._room < 0:", "if False:").noticed_by(
        "test_records_of_extended_headers_are_read_up_to_a_limit"
    ),
    Mutant("ZstdStream.__init__", 'self._kept = b""', 'self._kept, self._own = b"", self').noticed_by(
        "test_a_window_is_freed_when_the_layer_has_passed_though_the_check_is_kept",
        "test_the_windows_of_sixty_layers_do_not_add_up",
    ),
    Mutant("DiffIdCheck.update", "error.__traceback__ = error.__context__ = None", "pass").noticed_by(
        "test_a_window_is_freed_when_the_layer_has_passed_though_the_check_is_kept"
    ),
)
