"""Mutants of the checks on reading and verifying archives."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant("selection:_together", "_platforms(first) != _platforms(second)", "False").noticed_by(
        "test_two_names_of_an_index_are_not_for_different_platforms"
    ),
    Mutant("scan:_layer", "compression is not None and", "").noticed_by(
        "test_a_layer_of_an_unknown_compression_is_a_finding"
    ),
    Mutant("scan:_layer", 'compression == "plain" and ', "").noticed_by(
        "test_each_image_that_is_wanted_has_a_line_with_its_digest"
    ),
    Mutant("scan:_layer", " and diff_ids == algorithm", "").noticed_by(
        "test_diff_ids_in_sha512_need_a_file_because_it_is_read_twice"
    ),
    Mutant("verify:examine", "if unreadable and not findings:", "if unreadable:").noticed_by(
        "test_a_layer_that_imgfetch_cannot_read_is_told_among_the_findings"
    ),
    Mutant(
        "tarheaders:octal", "if not _OCTAL.fullmatch(digits):", "if not digits.lstrip(b'+-_01234567xobXOB') == b'':"
    ).noticed_by("test_a_checksum_is_octal_digits_only"),
    Mutant("tarheader:parse", "if not form.fullmatch(block[place]):", "if False:").noticed_by(
        "test_a_number_in_a_header_is_octal_digits_only"
    ),
    Mutant(
        "tarheader:parse", "if magic not in _FIELDS:", "magic = magic if magic in _FIELDS else _POSIX\n    if False:"
    ).noticed_by("test_a_format_of_nobody_is_refused"),
    Mutant("tarheader:parse", "if kind not in KINDS:", "if False:").noticed_by(
        "test_a_type_that_no_image_archive_has_is_refused"
    ),
    Mutant(
        "tarheader:parse",
        "(kind == PAX and magic != _POSIX) or (kind in (LONG_NAME, LONG_LINK) and magic != _GNU)",
        "False",
    ).noticed_by("test_a_long_name_is_in_the_gnu_format"),
    Mutant("tarheader:_number", "8 ** (len(field) - 1) <= ", "").noticed_by("test_a_number_in_base_256_is_read"),
    Mutant("tarheader:_number", " <= _MAX_SIZE", "").noticed_by(
        "test_a_negative_or_huge_number_in_base_256_is_refused"
    ),
    Mutant("tarheader:parse", "if form is _NUMBER}", "if form is _NUMBER and 'change' not in what}").noticed_by(
        "test_a_gnu_header_has_no_time_in_whose_place_go_would_find_the_start_of_the_name"
    ),
    Mutant("TarReader._entry", "if header.size and kind != FILE:", "if False:").noticed_by(
        "test_what_has_no_content_has_no_size"
    ),
    Mutant("TarReader._entry", "if header.link and kind in (FILE, DIRECTORY):", "if False:").noticed_by(
        "test_what_is_no_link_has_no_target"
    ),
    Mutant("TarReader._next", "if has_extension:", "if False:").noticed_by("test_an_extended_header_has_an_entry"),
    Mutant("TarReader._extension", " or self._extended > _MAX_EXTENSIONS", "").noticed_by(
        "test_there_is_an_end_to_the_extended_headers"
    ),
    Mutant("Extensions.add", "self._records is not None or ", "").noticed_by(
        "test_several_extended_headers_before_an_entry_are_refused"
    ),
    Mutant("Extensions.add", "kind in self._texts or ", "").noticed_by(
        "test_several_extended_headers_before_an_entry_are_refused"
    ),
    Mutant("Extensions.add", " or (kind == PAX and self._texts)", "").noticed_by(
        "test_several_extended_headers_before_an_entry_are_refused"
    ),
    Mutant("Extensions.add", ' or b"\\0" in content[:-1]', "").noticed_by("test_a_long_name_ends_with_its_first_nul"),
    Mutant("Extensions.applied", "if size != own.size and size < _OCTAL_SIZE:", "if False:").noticed_by(
        "test_two_sizes_that_differ_are_refused_unless_one_has_no_room_in_a_header"
    ),
    Mutant("Extensions.applied", "max(len(name), len(link)) > MAX_NAME", "False").noticed_by(
        "test_a_name_has_a_longest_length"
    ),
    Mutant("tarheader:records", "if key in found:", "if False:").noticed_by(
        "test_a_pax_header_that_go_refuses_is_refused"
    ),
    Mutant(
        "tarheader:records", "form.fullmatch(value) if form else key.startswith(_WITHOUT_EFFECT)", "True"
    ).noticed_by("test_a_pax_header_that_go_refuses_is_refused"),
    Mutant("_Scanner._fault_of_name", "not _NAME.fullmatch(name) and", "False and").noticed_by(
        "test_a_name_that_no_writer_gives_is_told"
    ),
    Mutant("_Scanner._fault_of_name", "if prefix != self._prefix:", "if False:").noticed_by(
        "test_all_names_begin_like_the_first"
    ),
    Mutant("_Scanner._fault_of_name", "if before and not", "if False and not").noticed_by(
        "test_a_name_that_stands_twice_is_told_and_the_first_counts"
    ),
    Mutant("_Scanner._add", "if len(self._found.faults) >= _MAX_FAULTS:", "if False:").noticed_by(
        "test_there_is_an_end_to_the_faults"
    ),
    Mutant("scan:_fault_of_kind", "_V1_LAYER.fullmatch(name) and _V1_LINK.fullmatch(entry.link)", "True").noticed_by(
        "test_other_links_and_directories_are_told"
    ),
    Mutant("scan:_fault_of_kind", "if name in DOCUMENTS and entry.kind != FILE:", "if False:").noticed_by(
        "test_other_links_and_directories_are_told"
    ),
    Mutant("recognise:read_undamaged", "if faults:", "if False:").noticed_by("test_such_an_archive_is_no_base"),
    Mutant("verify:examine", "and not any(_damaged_blobs(found))", "").noticed_by(
        "test_damage_to_an_archive_without_an_image_is_found"
    ),
    Mutant("tarheaders:has_right_checksum", "in (unsigned, signed)", "> 0").noticed_by(
        "test_each_kind_of_damage_is_found_and_named"
    ),
    Mutant("recognise:_unaccounted", "if not is_known:", "if False:").noticed_by(
        "test_a_member_that_no_description_accounts_for_is_a_finding"
    ),
    Mutant("recognise:_unaccounted", 'if has_index != ("oci-layout" in scan.members):', "if False:").noticed_by(
        "test_half_a_layout_is_a_finding"
    ),
    Mutant("recognise:read_archive", "faults += _disagreements(layout, docker)", "pass").noticed_by(
        "test_layers_that_only_one_description_has_are_a_finding"
    ),
    Mutant(
        "recognise:_disagreements",
        "if choice.images and in_docker.isdisjoint",
        "if in_docker and not in_docker.isdisjoint",
    ).noticed_by("test_layers_that_only_one_description_has_are_a_finding"),
    Mutant("recognise:_disagreements", "sorted(names ^ other) if other else ()", "()").noticed_by(
        "test_a_name_that_only_one_description_has_is_a_finding"
    ),
    Mutant("recognise:_disagreements", "if layout.images and not docker.images:", "if False:").noticed_by(
        "test_one_side_without_images_is_a_finding"
    ),
    Mutant("Object.__init__", "name in value or name in self or ", "").noticed_by(
        "test_two_spellings_of_a_key_of_manifest_json_are_a_finding"
    ),
    Mutant("Object.__init__", " or not in_any_case", " or True").noticed_by(
        "test_a_key_of_manifest_json_in_another_case_is_read_as_go_reads_it"
    ),
    Mutant("strictjson:folded", '.replace("\\u017f", "s")', "").noticed_by(
        "test_two_spellings_of_a_key_of_index_json_are_a_finding"
    ),
    Mutant("strictjson:unknown_keys", "if key not in names:", "if False:").noticed_by(
        "test_a_key_that_no_writer_writes_is_a_finding"
    ),
    Mutant("read_image_layout:_Reader.read", "if version != _VERSION:", "if False:").noticed_by(
        "test_another_version_of_the_layout_is_a_finding"
    ),
    Mutant("contents:ambiguous_names", "targets.setdefault(name, choice.target) != choice.target or ", "").noticed_by(
        "test_two_manifests_with_one_config_under_one_name_are_a_finding"
    ),
    Mutant(
        "contents:ambiguous_names",
        "if not all(some <= widest and (some or not widest) for some in several):",
        "if False:",
    ).noticed_by("test_one_name_for_two_images_across_the_descriptions_is_a_finding"),
    Mutant("contents:ambiguous_names", " or _has_two_for_one_platform(choice.images)", "").noticed_by(
        "test_two_images_for_one_platform_in_an_index_with_a_name_are_a_finding"
    ),
    Mutant("contents:_as_podman_reads", 'if ":" in spelling', "if False").noticed_by(
        "test_a_short_name_beside_one_of_localhost_is_a_finding"
    ),
    Mutant("is_attestation", " and not (child.platform and child.platform.is_known)", "").noticed_by(
        "test_an_image_for_a_platform_is_one_though_it_calls_itself_an_attestation"
    ),
    Mutant("contents:_has_two_for_one_platform", "image.listed_for or ", "").noticed_by(
        "test_variants_are_platforms_of_their_own_though_configs_do_not_tell"
    ),
    Mutant("entry_names:_full_name", ".with_default_tag()", "").noticed_by("test_a_name_without_a_tag_is_the_latest"),
    Mutant(
        "read_image_layout:_Reader.read", "self.faults += entry_names.odd_names(descriptor, what)", "pass"
    ).noticed_by("test_two_full_names_in_one_entry_are_a_finding"),
    Mutant("entry_names:odd_names", "if name is not None and full is None:", "if False:").noticed_by(
        "test_a_name_that_is_no_reference_is_a_finding"
    ),
    Mutant(
        "read_image_layout:_Reader.read", "self.faults += ancestors.false_platforms(descriptor, found, what)", "pass"
    ).noticed_by("test_an_entry_for_another_platform_than_its_image_is_a_finding"),
    Mutant("read_image_layout:read_image_layout", ", *ancestors.false_digests(images)", ", *()").noticed_by(
        "test_a_name_with_another_digest_than_its_images_is_a_finding"
    ),
    Mutant("read_image_layout:_Reader._visit", "if self._visits > _MAX_VISITS:", "if False:").noticed_by(
        "test_there_is_an_end_to_the_manifests"
    ),
    Mutant(
        "read_image_layout:_Reader._document", "if found and found.descriptor.size != descriptor.size:", "if False:"
    ).noticed_by("test_two_sizes_of_one_manifest_are_a_finding"),
    Mutant(
        "read_image_layout:_Reader._children", "in index.manifests:", "in dict.fromkeys(index.manifests):"
    ).noticed_by("test_an_index_without_any_of_its_manifests_is_a_finding_though_it_lists_one_twice"),
    Mutant("ancestors:above", "more = more[: _MAX_ANCESTORS - len(found)]", "pass").noticed_by(
        "test_there_is_an_end_to_the_indexes_above_an_image"
    ),
    Mutant("read_image_layout:_Reader._image", "> MAX_ALL_LAYERS", "> 10**9").noticed_by(
        "test_there_is_an_end_to_the_layers_of_all_images"
    ),
    Mutant("read_docker:_Reader._repo_tags", "if self._names > _MAX_NAMES:", "if False:").noticed_by(
        "test_an_archive_is_read_in_bounded_memory_and_steps[100,000 names]"
    ),
    Mutant("read_docker:_repositories", "> _MAX_NAMES:", "< 0:").noticed_by(
        "test_an_archive_is_read_in_bounded_memory_and_steps[100,000 names in repositories]"
    ),
    Mutant("read_docker:_Reader.read", "if len(items) > _MAX_IMAGES:", "if False:").noticed_by(
        "test_an_archive_is_read_in_bounded_memory_and_steps[a manifest.json of 5,000 items]"
    ),
    Mutant("read_image_layout:_Reader._unreferenced", "self._visit(found.manifests)", "pass").noticed_by(
        "test_an_archive_is_read_in_bounded_memory_and_steps[1,000 indexes of 200 children]"
    ),
    Mutant("Configs.config", "if self._values > _MAX_CONFIG_VALUES:", "if False:").noticed_by(
        "test_an_archive_is_read_in_bounded_memory_and_steps[20 configs of 100,000 labels]"
    ),
    Mutant("strictjson:loads", "if count_values(raw) > _MAX_VALUES:", "if False:").noticed_by(
        "test_an_archive_is_read_in_bounded_memory_and_steps[a manifest.json of 1,300,000 objects]"
    ),
    Mutant("verify:_limited", "if len(found) == _MAX_SENTENCES:", "if False:").noticed_by(
        "test_there_is_an_end_to_the_findings"
    ),
    Mutant("read_docker:_Reader._digest", "if key not in self._digests:", "if True:").noticed_by(
        "test_a_config_of_many_items_is_hashed_once"
    ),
    Mutant("read_docker:_Reader.read", "if self._layers > MAX_ALL_LAYERS:", "if False:").noticed_by(
        "test_there_is_an_end_to_the_layers_of_all_images"
    ),
    Mutant("read_docker:_Reader._repo_tags", "if reference.digest or not reference.tag:", "if False:").noticed_by(
        "test_a_repo_tag_without_a_tag_is_a_finding"
    ),
    Mutant("read_docker:_Reader.read", "self.faults += _repositories(self._scan, self._images)", "pass").noticed_by(
        "test_repositories_that_differ_from_manifest_json_are_a_finding"
    ),
    Mutant(
        "read_docker:_Reader._image", "dict.fromkeys(self._repo_tags(item))", "dict(self._repo_tags(item)).items()"
    ).noticed_by("test_a_short_name_beside_one_of_localhost_is_a_finding"),
    Mutant("read_docker:_Reader._image", "self.faults += _layer_sources(item, config.diff_ids)", "pass").noticed_by(
        "test_a_source_of_a_layer_that_is_not_there_is_a_finding"
    ),
    Mutant("read_image_layout:_Reader._parsed", "self.faults += odd_types(document, what)", "pass").noticed_by(
        "test_another_spelling_of_a_manifests_media_type_is_a_finding"
    ),
    Mutant("is_artifact", "mediatypes.CONFIGS | ", "").noticed_by(
        "test_a_manifest_of_neither_an_image_nor_an_artifact_is_a_finding"
    ),
    Mutant("Finder._other_content", " and not choice.is_only(digest)", " and False").noticed_by(
        "test_an_index_with_another_image_is_not_the_image"
    ),
    Mutant("read_image_layout:_Reader._choices", ' or ("",)', "").noticed_by(
        "test_an_image_without_a_name_that_only_index_json_has_is_a_finding"
    ),
    Mutant("ambiguous_names", " and (some or not widest)", "").noticed_by(
        "test_one_name_for_an_artifact_and_an_image_is_a_finding"
    ),
    Mutant("read_image_layout:_Reader._children", "self._select(child)", "pass").noticed_by(
        "test_an_index_with_content_that_a_reader_may_have_already_is_not_the_image"
    ),
    Mutant("read_image_layout:_Reader._other", "self._select(descriptor)", "pass").noticed_by(
        "test_an_index_with_content_that_only_readers_take_for_an_image_is_not_the_image"
    ),
    Mutant("read_image_layout:_Reader._images", "self._select(descriptor)", "pass").noticed_by(
        "test_an_index_with_another_image_is_not_the_image"
    ),
    Mutant("Descriptor.may_be_run", " or self.platform.is_known", " or True").noticed_by(
        "test_an_index_with_an_attestation_for_no_machine_is_the_image"
    ),
    Mutant("tarheader:parse", "(0, _FILE_TYPES.get(kind))", "range(2**20)").noticed_by(
        "test_the_mode_of_an_entry_is_not_that_of_something_else"
    ),
    Mutant("verify:_scanned_again", "if _digests(second) != _digests(found):", "if False:").noticed_by(
        "test_an_archive_that_changes_before_it_is_read_again_is_refused"
    ),
    Mutant("Selection.pins", " if reference.digest in known", "").noticed_by(
        "test_a_digest_that_decompression_has_changed_is_in_no_name"
    ),
    Mutant("contents:without_digest", "reference and reference.tag else name", "False else name").noticed_by(
        "test_a_digest_behind_a_tag_makes_no_other_name"
    ),
    Mutant(
        "read_docker:_Reader._image", '"sha512" if len(encoded) == _SHA512_LENGTH else "sha256"', '"sha256"'
    ).noticed_by("test_a_config_is_hashed_by_the_algorithm_of_its_name"),
    Mutant("read_docker:_Reader._image", '.rpartition(":")[2]', "").noticed_by(
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
    Mutant("_combined", "_refuse_contradictions(resolver, reference, indexes, images)", "pass").noticed_by(
        "test_all_entries_of_an_image_agree_in_an_index_that_is_kept"
    ),
    Mutant(
        "_rewritten", "if descriptor in chosen]", "if descriptor.digest in {each.digest for each in chosen if each}]"
    ).noticed_by("test_an_index_of_some_platforms_has_no_entry_for_another"),
    Mutant("Resolver._fetched", "if reference.digest:", "if False:").noticed_by(
        "test_the_size_in_a_pinned_index_is_checked"
    ),
)
