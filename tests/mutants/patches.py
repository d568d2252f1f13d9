"""Mutants of the checks on patches."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant("_Loader._verify", "if not diff_id.matches(hasher):", "if False:").noticed_by(
        "test_a_damaged_base_is_refused_before_anything_is_written"
    ),
    Mutant("opened_base", "if layer.size != wanted.size:", "if False:").noticed_by(
        "test_a_damaged_patch_is_refused[another base's size]"
    ),
    Mutant("opened_pipe", "if file.isatty():", "if False:").noticed_by("test_a_terminal_is_not_an_archive"),
    Mutant("check_stdin", "if readers and sys.stdin is None:", "if False:").noticed_by(
        "test_a_closed_stdin_is_not_another_file"
    ),
    Mutant("_Loader._keep", "        self._free.append(file)\n", "").noticed_by(
        "test_archives_may_have_more_layers_than_a_process_may_open_files"
    ),
    Mutant("opened_base", "if is_named:", "if True:").noticed_by("test_of_several_candidates_a_damaged_one_is_skipped"),
    Mutant("opened_base", "raise failure or _other_base", "raise _other_base").noticed_by(
        "test_of_several_candidates_a_damaged_one_is_skipped"
    ),
    Mutant("opened_base", "        if missing:\n            raise", "        if False:\n            raise").noticed_by(
        "test_another_base_is_refused_with_the_missing_image_and_layer"
    ),
    Mutant("PatchReader.__init__", "if length > MAX_HEAD:", "if False:").noticed_by(
        "test_a_head_that_is_too_long_is_refused_before_it_is_read"
    ),
    Mutant("PatchReader.__init__", "if hashlib.sha256(frame).digest() != digest:", "if False:").noticed_by(
        "test_a_damaged_patch_is_refused[a bit of the head's sum]"
    ),
    Mutant(
        "PatchReader._sealed", "if hashlib.sha256(header[32:] + payload).digest() != digest:", "if False:"
    ).noticed_by("test_a_damaged_patch_is_refused[a bit of a frame]"),
    Mutant(
        "PatchReader._sealed", "if max(script, script_size) > MAX_SCRIPT or frame > MAX_FRAME:", "if False:"
    ).noticed_by("test_a_block_that_is_too_large_is_refused_before_it_is_read"),
    Mutant("PatchReader.sealed", " or self._file.read(1)", "").noticed_by(
        "test_a_damaged_patch_is_refused[more behind the end]"
    ),
    Mutant("PatchReader.sealed", "position != self.head.length or ", "").noticed_by(
        "test_the_length_of_all_blocks_is_that_of_the_head"
    ),
    Mutant("container:_content", "if size > MAX_HEAD:", "if False:").noticed_by(
        "test_a_head_that_becomes_too_long_is_refused_before_it_is_decompressed"
    ),
    Mutant("head:_object", "members.keys() != known or ", "").noticed_by("test_an_unknown_or_a_missing_key_is_refused"),
    Mutant("head:_documents", "if at != len(raw):", "if False:").noticed_by(
        "test_bytes_behind_the_documents_are_refused"
    ),
    Mutant("Head.from_bytes", "if len(base) > MAX_BASE:", "if False:").noticed_by(
        "test_the_number_of_old_layers_has_a_bound"
    ),
    Mutant("script:decode", " or position + length > sizes[layer]", "").noticed_by(
        "test_malformed_instructions_are_refused"
    ),
    Mutant("script:decode", "layer >= len(sizes) or ", "").noticed_by(
        "test_a_damaged_patch_is_refused[an unknown old layer]"
    ),
    Mutant("script:decode", "position < 0 or ", "").noticed_by("test_malformed_instructions_are_refused"),
    Mutant("script:decode", "if max(count, len(script.steps)) > MAX_STEPS:", "if False:").noticed_by(
        "test_the_number_of_parts_has_a_bound"
    ),
    Mutant("script:decode", "sum(each.length for each in prefix) > MAX_PREFIX or ", "").noticed_by(
        "test_content_and_prefix_have_bounds"
    ),
    Mutant("script:decode", " or script.content_size > MAX_CONTENT", "").noticed_by(
        "test_content_and_prefix_have_bounds"
    ),
    Mutant("script:_numbers", "elif shift >= _BITS * _MAX_DIGITS:", "elif False:").noticed_by(
        "test_malformed_instructions_are_refused"
    ),
    Mutant("frames:decompress", ".content_size != size:", ".content_size < 0:").noticed_by(
        "test_a_frame_has_the_size_that_its_block_says"
    ),
    Mutant("rebuild:rebuilt", "if size > patch.head.size:", "if False:").noticed_by(
        "test_no_more_is_written_than_the_head_says"
    ),
    Mutant("rebuild:rebuilt", "if size != patch.head.size:", "if False:").noticed_by(
        "test_a_damaged_patch_is_refused[a block twice]"
    ),
    Mutant("_Result._finish", "if got != wanted:", "if False:").noticed_by(
        "test_a_damaged_patch_is_refused[another result]", "test_a_stream_gets_nothing_before_the_result_is_verified"
    ),
    Mutant("apply:_write", "while left:", "if left:").noticed_by(
        "test_a_result_is_whole_although_the_system_writes_less_than_it_is_given"
    ),
    Mutant("apply:_require_space", "if patch.head.size > free:", "if False:").noticed_by(
        "test_a_damaged_patch_is_refused[a huge result]"
    ),
    Mutant("apply:_apply", "if found.findings:", "if False:").noticed_by(
        "test_an_archive_with_a_wrong_layer_is_refused_although_the_patch_makes_the_archive_that_it_says"
    ),
    Mutant("apply:_apply", "examined.scan.is_compressed or ", "").noticed_by(
        "test_a_result_that_is_compressed_is_refused[as a whole]"
    ),
    Mutant("apply:_apply", " or not examined.archive.is_plain", "").noticed_by(
        "test_a_result_that_is_compressed_is_refused[in its layers]"
    ),
    Mutant("apply:_apply", "    require(wishes, origins, found, patch.name)\n", "").noticed_by(
        "test_a_manifest_of_another_image_proves_nothing"
    ),
    Mutant("apply:_apply", "in patch.head.images} != {", "in patch.head.images} < {").noticed_by(
        "test_a_patch_says_which_images_it_makes"
    ),
    Mutant("Origins.check", "(all(has) if answer else any(has))", "True").noticed_by(
        "test_a_manifest_of_another_image_proves_nothing"
    ),
    Mutant("patch:save_patch", "if layer.diff_id not in base.layers]", "]").noticed_by(
        "test_a_layer_of_the_old_archive_is_not_downloaded"
    ),
    Mutant("patch:_placed", "if file.tell() - start != size:", "if False:").noticed_by(
        "test_a_layer_that_changes_in_the_cache_is_not_in_a_patch"
    ),
    Mutant(
        "patch:_registry_documents", "image.manifest.descriptor, *image.indexes", "image.manifest.descriptor"
    ).noticed_by("test_the_registry_s_manifest_and_index_are_in_the_patch_byte_for_byte"),
    Mutant("patch:_registry_documents", "if plan.request.all_platforms else ()", "").noticed_by(
        "test_an_index_with_two_platforms_is_in_the_patch_as_the_registry_has_it"
    ),
    Mutant("foreseen:OldLayers.of", "        frames.compression_library()\n", "").noticed_by(
        "test_the_missing_library_is_named_before_any_request[a dry run]"
    ),
    Mutant("_check_patch", "    context.refuse_to_replace(arguments.patch_from, arguments)\n", "").noticed_by(
        "test_a_patch_does_not_replace_the_old_archive"
    ),
    Mutant("refuse_archive_name", "if parse.is_archive(arguments.output):", "if False:").noticed_by(
        "test_a_patch_does_not_get_the_name_of_an_archive"
    ),
    Mutant("PatchReader.blocks", "if work > most_work(made + sum(sizes)):", "if False:").noticed_by(
        "test_work_that_the_result_does_not_need_is_refused"
    ),
    Mutant("PatchReader.blocks", "most_work(made ", "most_work(self.head.size ").noticed_by(
        "test_a_result_that_a_patch_only_claims_pays_for_no_work"
    ),
    Mutant("PatchReader._sealed", "if reserved:", "if False:").noticed_by(
        "test_a_block_that_is_wrong_on_purpose_is_refused[of a later version]"
    ),
    Mutant("Composer._script", "if self._work + script.work > most // 2:", "if False:").noticed_by(
        "test_a_patch_never_makes_more_work_than_a_reader_allows"
    ),
    Mutant("Composer._prefix", ">= _MIN_PREFIX", ">= 0").noticed_by("test_a_prefix_is_never_shorter_than_zstd_allows"),
    Mutant("Composer._prefix", "min(span.length, room)", "span.length").noticed_by(
        "test_a_prefix_is_never_larger_than_a_reader_allows"
    ),
    Mutant("frames:decompress", "parameters.window_size > 1 << _WINDOW_LOG or ", "").noticed_by(
        "test_a_block_that_is_wrong_on_purpose_is_refused[a frame with a window of 2 GiB]"
    ),
    Mutant("rebuild:_content", "if block.frame or script.prefix:", "if block.frame:").noticed_by(
        "test_a_block_that_is_wrong_on_purpose_is_refused[a prefix for nothing]"
    ),
    Mutant("script:_numbers", "if not byte and shift > _BITS:", "if False:").noticed_by(
        "test_a_block_that_is_wrong_on_purpose_is_refused[a number that is padded]"
    ),
    Mutant("Head.from_bytes", "if end > len(raw):", "if False:").noticed_by(
        "test_a_head_that_is_wrong_on_purpose_is_refused[JSON beyond its end]"
    ),
    Mutant("Head.from_bytes", 'if digest.algorithm != "sha256":', "if False:").noticed_by(
        "test_a_head_that_is_wrong_on_purpose_is_refused[the result by its SHA-512]"
    ),
    Mutant("operations:_complete", "atomic_write(path, mode=_MODE, durable=True) as", 'path.open("w+b") as').noticed_by(
        "test_a_kill_leaves_the_output_as_it_was[apply]"
    ),
    Mutant("apply:_require_space", " if status.st_nlink else NO_TEMPORARY_SPACE", "").noticed_by(
        "test_a_result_without_room_is_refused_with_the_directory_that_lacks_it"
    ),
    Mutant("advice:advised", "error if is_temporary else ", "").noticed_by(
        "test_a_full_directory_for_temporary_files_is_named_in_the_hint"
    ),
    Mutant("apply:apply", "stack.pop_all(), ", "").noticed_by("test_a_long_chain_has_two_archives_at_a_time"),
    Mutant("head:_object", " or None in members.values()", "").noticed_by(
        "test_a_head_that_is_wrong_on_purpose_is_refused[nothing for a list]"
    ),
    Mutant("raw:_require_size", "if size > MAX_ARCHIVE:", "if False:").noticed_by(
        "test_a_raw_patch_is_for_archives_that_a_window_holds"
    ),
    Mutant("decompressed:_decompressed", "if new.archive.referrers:", "if False:").noticed_by(
        "test_signatures_are_left_out_with_a_warning"
    ),
    Mutant("foreseen:foreseen", "        selections(members, archive)\n", "        pass\n").noticed_by(
        "test_an_archive_that_no_save_writes_with_decompressed_layers_is_refused"
    ),
    Mutant("foreseen:foreseen", "    refuse_directory(new)\n", "").noticed_by(
        "test_an_archive_that_no_save_writes_with_decompressed_layers_is_refused[a directory]"
    ),
    Mutant("_references", 'not all("/" in name for name in names)', "False").noticed_by(
        "test_an_archive_that_no_save_writes_with_decompressed_layers_is_refused[a bare tag]"
    ),
    Mutant("command_patch:run", "        context.refuse_to_replace(archive, arguments)\n", "        pass\n").noticed_by(
        "test_a_patch_does_not_replace_an_archive_that_is_read"
    ),
    Mutant("command_patch:run", '    context.refuse_archive_name(arguments, "imgfetch patch")\n', "").noticed_by(
        "test_a_patch_of_two_archives_does_not_get_the_name_of_one"
    ),
    Mutant("command_apply:_check", "if is_compressed_name(arguments.output):", "if False:").noticed_by(
        "test_an_archive_does_not_get_a_name_that_promises_compression"
    ),
    Mutant("command_apply:_foreseen", "patch.verify()", "pass").noticed_by("test_a_dry_run_finds_a_damaged_block"),
    Mutant("decompressed:_other", "if not digest.matches(hasher):", "if False:").noticed_by(
        "test_a_large_attestation_that_is_damaged_is_refused"
    ),
    Mutant("selections:selections", "if entry.digest not in referrers:", "if True:").noticed_by(
        "test_signatures_are_left_out_with_a_warning"
    ),
    Mutant("_Walk.add", "if path(descriptor.digest) not in self._members.members:", "if False:").noticed_by(
        "test_an_archive_that_no_save_writes_with_decompressed_layers_is_refused[an index without all its images]"
    ),
    Mutant("_Walk._add_image", "if any(layer.is_absent for layer in image.layers):", "if False:").noticed_by(
        "test_an_archive_that_no_save_writes_with_decompressed_layers_is_refused[layers of a base are left out]"
    ),
    Mutant("selections:_references", "pins.pop(reference.name, None)", "None").noticed_by(
        "test_names_with_digests_become_those_of_a_save"
    ),
    Mutant("selections:selections", "[*preferred[number:], *preferred]", "()").noticed_by(
        "test_the_result_is_the_archive_that_a_save_writes[another preferred platform-docker]"
    ),
    Mutant("PatchReader.verify", "for sealed in self.sealed():", "for sealed in ():").noticed_by(
        "test_inspect_and_verify_know_a_patch"
    ),
    Mutant(
        "PatchReader.verify",
        "for sealed in self.sealed():",
        "for _ in self.blocks():\n            pass\n        for sealed in ():",
    ).noticed_by("test_no_instruction_is_read_before_the_result_is_made[verify]"),
    Mutant(
        "operations:_complete", "    with temporary() as file:", "    with opened(output, None) as file:"
    ).noticed_by("test_a_stream_gets_nothing_before_the_result_is_verified"),
)
