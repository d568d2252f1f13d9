"""Mutants of the rules for pushes: verified bytes alone, in the right order, and nothing replaced or sent twice."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_BAD = "test_a_bad_answer_ends_the_push_by_its_cause"

MUTANTS: tuple[Mutant, ...] = (
    Mutant("session:_require_sound", "if verified.findings:", "if False:").noticed_by(
        "test_a_damaged_archive_is_refused_before_the_first_request"
    ),
    Mutant("Outgoing._read", " and not self._blob.digest.matches(self._hasher)", " and False").noticed_by(
        "test_a_file_that_changes_after_its_verification_is_noticed"
    ),
    Mutant("Push._states", "if taken and not self.force:", "if False:").noticed_by(
        "test_a_tag_with_other_content_is_listed_and_nothing_is_sent"
    ),
    Mutant("Uploads._found", '(is_404_final or method == "GET")', "True").noticed_by(
        "test_a_tag_that_only_get_finds_is_not_replaced[404]"
    ),
    Mutant("Uploads._rejected", "tries=3 if", "tries=1 if").noticed_by(
        "test_a_manifest_whose_parts_a_registry_does_not_find_is_sent_three_times"
    ),
    Mutant("Uploads._found", "response.status in _FINAL or ", "").noticed_by(
        "test_a_refusal_of_head_that_another_request_would_make_worse_is_final"
    ),
    Mutant("Push._send_manifests", "for is_tag in (False, True):", "for is_tag in (True, False):").noticed_by(
        "test_tags_come_after_what_has_none"
    ),
    Mutant("Push._send_manifests", "in sorted(levels)", "in sorted(levels, reverse=True)").noticed_by(
        "test_a_nested_index_comes_after_its_children"
    ),
    Mutant("Push.run", "self._send_blobs(self._missing(states))", "self._send_blobs(self.targets)").noticed_by(
        "test_a_second_push_sends_one_request_for_each_name"
    ),
    Mutant(
        "BlobSender._transfer", "self.uploads.begin(repository, blob, has)", "self.uploads.begin(repository, blob)"
    ).noticed_by("test_a_shared_blob_is_sent_once_and_mounted_where_the_registry_can"),
    Mutant("BlobSender._from_base", "raise self._absent(blob, repository)", "return ''").noticed_by(
        "test_layers_that_an_archive_leaves_out_are_those_of_the_registry"
    ),
    Mutant("plan:targets", "contents.changed and not allow_digest_change", "False").noticed_by(
        "test_decompressed_layers_need_permission_because_the_digest_is_another"
    ),
    Mutant(
        "contents:_may_have_changed", 'any(layer.compression == "plain" for layer in image.layers)', "False"
    ).noticed_by("test_decompressed_layers_need_permission_because_the_digest_is_another"),
    Mutant("plan:_images", "if other and other.node is not entry.node:", "if False:").noticed_by(
        "test_two_images_that_would_have_one_name_are_refused"
    ),
    Mutant(
        "Rewrite.applied", ' and not name.startswith(f"{self.old}/")', " and not name.startswith(self.old)"
    ).noticed_by("test_a_name_maps_predictably"),
    Mutant("Destination.parse", "reverse=True", "reverse=False").noticed_by("test_a_name_maps_predictably"),
    Mutant("uploads:_check_digest", "stated is not None and ", "False and ").noticed_by(
        f"{_BAD}[another digest of a blob]"
    ),
    Mutant("Uploads._address", "elif not home.may_send_to(there):", "elif False:").noticed_by(
        f"{_BAD}[an unsafe address]"
    ),
    Mutant("Uploads._address", "if home.host != there.host:", "if False:").noticed_by(
        "test_an_upload_is_never_sent_without_tls_to_another_host"
    ),
    Mutant("Uploads._address", 'if home.scheme == "https" and there.scheme == "http":', "if False:").noticed_by(
        "test_the_address_of_an_upload_keeps_tls"
    ),
    Mutant(
        "Api.get", "(exchange.header, self._headers) if is_own", "(exchange.header, self._headers) if True"
    ).noticed_by("test_the_address_of_an_upload_at_another_origin_receives_no_credentials"),
    Mutant("redirects:is_followed", "STATUSES if method in _READING else _KEEPING", "STATUSES").noticed_by(
        f"{_BAD}[a redirect that loses the body]"
    ),
    Mutant("UploadNote.address", "if is_secret(os.fstat(file.fileno())):", "if True:").noticed_by(
        "test_the_address_of_an_upload_is_a_secret_of_this_user"
    ),
    Mutant("UploadNote.keep", "if self._folder is not None:", "if False:").noticed_by(
        "test_docker_registry_continues_an_upload_that_was_killed_between_two_chunks"
    ),
    Mutant(
        "BlobUpload._ask",
        "self._current = self._uploads.status(self._repository, self._blob, self._current, limit=limit)",
        "self._current = None",
    ).noticed_by("test_an_interrupted_upload_is_continued_in_the_same_run"),
    Mutant("BlobUpload.run", "isinstance(error, (LostUploadError, VerificationError))", "False").noticed_by(
        "test_an_upload_with_wrong_content_is_begun_anew"
    ),
    Mutant("Exchange.goes_on", "not is_usual and ", "").noticed_by("test_a_push_sends_the_requests_of_the_table[1]"),
    Mutant("Authenticator.anonymous", " or self.pushes", "").noticed_by(
        "test_a_push_that_is_denied_does_not_continue_without_credentials"
    ),
    Mutant("fallback:_entries", 'members.text("mediaType") != mediatypes.OCI_INDEX or ', "False and ").noticed_by(
        "test_a_tag_that_is_not_a_list_of_referrers_is_left_untouched"
    ),
    Mutant("fallback:add", "*listed, *new", "*new").noticed_by(
        "test_a_registry_without_the_referrers_api_gets_their_lists_once"
    ),
    Mutant("Push._missing", "(referrers and target.node.subject)", "False").noticed_by(
        "test_a_list_of_referrers_that_a_killed_push_has_not_written_is_written"
    ),
    Mutant("uploads:_locked", "if not lock.acquire():", "if False and lock.acquire():").noticed_by(
        "test_an_upload_in_progress_is_not_continued_by_another_process"
    ),
    Mutant("adapter:_sending", "connection.sock.settimeout(within.timeout)", "pass").noticed_by(
        "test_a_registry_that_reads_slowly_has_the_time_for_a_response"
    ),
    Mutant("Uploads.append", "not upload.offset < received <= expected", "False").noticed_by(
        "test_a_registry_may_take_a_part_of_a_chunk_but_neither_none_nor_more"
    ),
    Mutant("Uploads.begin", "except (AuthenticationError, RegistryError, TransportError)", "except ()").noticed_by(
        "test_a_blob_is_sent_again_where_the_registry_refuses_to_mount"
    ),
    Mutant("Authenticator.answer", "if self.pushes and repository in self._proven:", "if False:").noticed_by(
        "test_a_blob_is_sent_again_where_the_token_server_refuses_the_access_for_a_mount"
    ),
    Mutant("Uploads._refused", "is_part and ", "False and ").noticed_by(
        "test_a_registry_that_refuses_chunks_receives_the_blob_in_one_request[0-400]"
    ),
    Mutant("BlobUpload._learn", "last.offset <= ", "0 <= ").noticed_by(
        "test_a_registry_that_has_taken_chunks_is_sent_more_of_them_after_it_has_lost_an_upload"
    ),
    Mutant("BlobUpload._learn", " and not self._is_continued", "").noticed_by(
        "test_a_registry_that_loses_an_interrupted_upload_is_sent_chunks_again"
    ),
    Mutant("BlobUpload.continued", "except ImgfetchError as error:", "except MemoryError as error:").noticed_by(
        "test_an_address_of_an_earlier_run_that_leads_nowhere_costs_no_push"
    ),
    Mutant("Outgoing.body", "0 < length", "0 <= length").noticed_by(
        "test_an_upload_that_the_registry_has_whole_is_closed_without_a_range"
    ),
    Mutant("client:_patience", "body.patience if body else 0", "0").noticed_by(
        "test_a_registry_has_more_time_to_store_a_larger_blob"
    ),
    Mutant("plan:targets", "if entry.names or not entry.about", "if not entry.about").noticed_by(
        "test_what_is_about_an_image_and_has_a_name_is_pushed_under_that_too"
    ),
)
