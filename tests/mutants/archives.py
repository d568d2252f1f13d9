"""Mutants of the checks on reading and verifying archives."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant("scan:_layer", "is_compressed and", "").noticed_by("test_a_layer_of_an_unknown_compression_is_a_finding"),
    Mutant("verify:verify", "if unreadable and not findings:", "if unreadable:").noticed_by(
        "test_a_layer_that_imgfetch_cannot_read_is_told_among_the_findings"
    ),
    Mutant(
        "tarheaders:octal", "if not _OCTAL.fullmatch(digits):", "if not digits.lstrip(b'+-_01234567xobXOB') == b'':"
    ).noticed_by("test_a_number_in_a_header_is_octal_digits_only"),
    Mutant("Header.parse", "_number(block[field], what)\n        if is_posix", "pass\n        if is_posix").noticed_by(
        "test_a_number_in_a_header_is_octal_digits_only"
    ),
    Mutant("Header.parse", "0 <= size", "-(2**70) <= size").noticed_by(
        "test_a_negative_or_huge_size_in_base_256_is_refused"
    ),
    Mutant("tarheaders:_number", "if not -(2**63) <= value < 2**63:", "if False:").noticed_by(
        "test_a_time_in_base_256_may_be_negative_but_no_more_than_64_bits"
    ),
    Mutant("Header.parse", "if is_gnu and block[field.start]:", "if False:").noticed_by(
        "test_a_gnu_header_has_no_text_where_go_would_find_the_start_of_the_name"
    ),
    Mutant("Header.parse", "if is_posix and block[_TRAILER] == _STAR_TRAILER:", "if False:").noticed_by(
        "test_a_star_header_is_refused"
    ),
    Mutant("TarReader._entry", "kind == DIRECTORY or ", "").noticed_by(
        "test_a_file_whose_name_ends_with_a_slash_has_no_content"
    ),
    Mutant("TarReader._entry", " or header.kind in _WITHOUT_CONTENT", "").noticed_by(
        "test_what_has_no_content_has_no_size"
    ),
    Mutant("Extensions.add", "if kind in self._texts:", "if False:").noticed_by(
        "test_two_extended_headers_of_one_kind_before_an_entry_are_refused"
    ),
    Mutant("Extensions.add", "if PAX in self._texts and len(self._texts) > 1:", "if False:").noticed_by(
        "test_a_gnu_long_name_beside_a_pax_header_is_refused"
    ),
    Mutant("Extensions.add", "if self._texts:", "if False:").noticed_by(
        "test_a_global_header_between_an_extended_header_and_its_entry_is_refused"
    ),
    Mutant("Extensions.add", 'b"path", b"linkpath", b"size"', "").noticed_by(
        "test_a_global_header_gives_no_names_and_sizes"
    ),
    Mutant("tarheaders:records", " and _is_valid(key, value[:-1])", "").noticed_by(
        "test_a_pax_header_that_go_refuses_is_refused"
    ),
    Mutant("TarReader._header", "self.is_tar = True", "pass").noticed_by(
        "test_an_archive_over_which_readers_differ_exits_with_6"
    ),
    Mutant("recognise:read_undamaged", "if faults:", "if False:").noticed_by("test_such_an_archive_is_no_base"),
    Mutant("Object.__init__", "name in value or name in self or ", "").noticed_by(
        "test_two_spellings_of_a_key_of_manifest_json_are_a_finding"
    ),
    Mutant("Object.__init__", " or not in_any_case", " or True").noticed_by(
        "test_a_key_of_manifest_json_in_another_case_is_read_as_go_reads_it"
    ),
    Mutant("strictjson:folded", '.replace("\\u017f", "s")', "").noticed_by(
        "test_two_spellings_of_a_key_of_index_json_are_a_finding"
    ),
    Mutant("_Layout.read", 'self._top("oci-layout", _VERSION_KEYS)', "pass").noticed_by(
        "test_two_spellings_of_a_key_of_oci_layout_are_a_finding"
    ),
    Mutant("recognise:read_archive", "archive.faults += archive.ambiguous_names()", "pass").noticed_by(
        "test_one_name_for_two_images_in_manifest_json_is_a_finding"
    ),
    Mutant("read_docker:read", "archive.add_choice(image.names, [image])", "pass").noticed_by(
        "test_one_name_for_two_images_across_the_descriptions_is_a_finding"
    ),
    Mutant("Archive.ambiguous_names", " or any(map(_has_two_for_one_platform, choices))", "").noticed_by(
        "test_two_images_for_one_platform_in_an_index_with_a_name_are_a_finding"
    ),
    Mutant("read_image_layout:_is_attestation", " and not (child.platform and child.platform.is_known)", "").noticed_by(
        "test_an_image_for_a_platform_is_one_though_it_calls_itself_an_attestation"
    ),
    Mutant("contents:_has_two_for_one_platform", "image.listed_for or ", "").noticed_by(
        "test_variants_are_platforms_of_their_own_though_configs_do_not_tell"
    ),
    Mutant("read_image_layout:_full_name", ".with_default_tag()", "").noticed_by(
        "test_a_name_without_a_tag_is_the_latest"
    ),
    Mutant("_Layout.read", "self._archive.faults += _two_names(entry, number)", "pass").noticed_by(
        "test_two_full_names_in_one_entry_are_a_finding"
    ),
    Mutant("read_image_layout:read", "archive.faults += _false_digests(archive.images)", "pass").noticed_by(
        "test_a_name_with_another_digest_than_its_images_is_a_finding"
    ),
    Mutant("Selection.pins", " if reference.digest in known", "").noticed_by(
        "test_a_digest_that_decompression_has_changed_is_in_no_name"
    ),
    Mutant("contents:_without_digest", "reference and reference.tag else name", "False else name").noticed_by(
        "test_a_digest_behind_a_tag_makes_no_other_name"
    ),
    Mutant("read_docker:_identity", ", tuple(layer.member for layer in image.layers)", "").noticed_by(
        "test_layers_that_only_one_description_has_are_a_finding"
    ),
    Mutant(
        "read_docker:_docker_image", '"sha512" if len(encoded) == _SHA512_LENGTH else "sha256"', '"sha256"'
    ).noticed_by("test_a_config_is_hashed_by_the_algorithm_of_its_name"),
    Mutant("read_docker:_docker_image", '.rpartition(":")[2]', "").noticed_by(
        "test_a_config_is_hashed_by_the_algorithm_of_its_name"
    ),
    Mutant(
        "grants:_life", "isinstance(value, str) and not _SECONDS.fullmatch(value.strip())", 'value in ("", "soon")'
    ).noticed_by("test_a_token_is_renewed_ten_seconds_before_its_end"),
    Mutant("Resolver._search", "raise descriptor.error", "continue").noticed_by(
        "test_a_worse_match_does_not_replace_an_unreadable_one"
    ),
    Mutant("resolve:_sparing_others", "if descriptor.platform is not None:", "if False:").noticed_by(
        "test_a_broken_entry_for_the_platform_is_an_error"
    ),
    Mutant("Resolver._search", "raise skipped[0]", "return None").noticed_by(
        "test_a_broken_nameless_entry_is_the_error_where_no_other_fits"
    ),
    Mutant("manifest:_manifests", "platform = platform_of(entry, label)", "platform = None").noticed_by(
        "test_an_entry_that_readers_read_differently_spoils_the_index"
    ),
    Mutant("_IndexWalk.add", "if index.unreadable:", "if False:").noticed_by(
        "test_all_platforms_need_all_entries_of_the_index"
    ),
    Mutant("_refuse_wrong_size", "found.descriptor.size != listed.size", "False").noticed_by(
        "test_an_index_in_the_archive_cannot_have_a_wrong_size"
    ),
    Mutant("_IndexWalk.add", "descriptor.media_type, descriptor.size, ", "0, 0, ").noticed_by(
        "test_all_entries_of_an_image_agree_in_an_index_that_is_kept"
    ),
    Mutant("make_plan:_select", "_refuse_contradictions(resolver, reference, indexes, images)", "pass").noticed_by(
        "test_all_entries_of_an_image_agree_in_an_index_that_is_kept"
    ),
    Mutant(
        "_rewritten", "if descriptor in chosen]", "if descriptor.digest in {each.digest for each in chosen if each}]"
    ).noticed_by("test_an_index_of_some_platforms_has_no_entry_for_another"),
    Mutant("Resolver._fetched", "if reference.digest:", "if False:").noticed_by(
        "test_the_size_in_a_pinned_index_is_checked"
    ),
)
