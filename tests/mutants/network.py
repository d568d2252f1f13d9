"""Mutants of the checks on requests, retries and resumed downloads."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant("ContextAdapter.send", "request.method not in _REPEATABLE or ", "").noticed_by(
        "test_a_form_is_not_repeated"
    ),
    Mutant("_Use.is_unanswered", "self.is_kept and ", "").noticed_by(
        "test_a_new_connection_that_is_closed_without_an_answer_is_an_error"
    ),
    Mutant("_Use.is_unanswered", " and not within.has_received", "").noticed_by(
        "test_a_request_that_got_part_of_an_answer_is_not_repeated"
    ),
    Mutant("_Use.is_unanswered", " and not is_ended", "").noticed_by(
        "test_a_request_that_another_thread_ends_is_not_repeated"
    ),
    Mutant("ContextAdapter.send", "except requests.ConnectionError:", "except requests.RequestException:").noticed_by(
        "test_silence_on_a_kept_connection_is_a_timeout"
    ),
    Mutant("_Use.began", "not self.may_be_kept", "False").noticed_by(
        "test_whoever_wants_a_new_connection_gets_none_that_was_kept"
    ),
    Mutant("TlsConfig.context", "elif not files and own == HostTls():", "elif not files:").noticed_by(
        "test_certificates_for_one_host_are_used_there"
    ),
    Mutant("TlsConfig.context", "            context = self._new()", "            context = self.common()").noticed_by(
        "test_whatever_is_added_for_one_host_stays_out_of_the_shared_context[certs.d]"
    ),
    Mutant("authorities:add_system", "any(_hashed(listed(Path(paths.capath))))", "True").noticed_by(
        "test_an_empty_directory_does_not_count_as_the_systems_store"
    ),
    Mutant("lists:parse", "len(lines) > MAX_LINES or ", "").noticed_by("test_there_is_an_end_to_a_list"),
    Mutant("fetch:receive", "except StorageError:", "except AssertionError:").noticed_by(
        "test_a_full_disk_is_no_reason_to_ask_elsewhere"
    ),
    Mutant("parse_location", "if rest:", "if not rest:").noticed_by(
        "test_a_name_starts_with_a_registry_and_perhaps_a_path"
    ),
    Mutant("Route.failed", "self._races.is_stopped or ", "").noticed_by(
        "test_a_read_that_is_ended_is_no_mirrors_fault"
    ),
    Mutant("Api.get", "accept != ANYTHING", "False").noticed_by(
        "test_refused_types_are_answered_once_with_accepting_anything"
    ),
    Mutant("Api.get", "in _UNACCEPTED", "== HTTPStatus.NOT_ACCEPTABLE").noticed_by(
        "test_refused_types_are_answered_once_with_accepting_anything"
    ),
    Mutant("Registry._stated_digest", "digest == reference.digest if is_pinned else", "").noticed_by(
        "test_a_digest_is_asked_for_by_head_and_by_get_only_where_that_does_not_suffice[h06-wrong]"
    ),
    Mutant("Registry._stated_digest", "digest.algorithm == _ALGORITHM", "True").noticed_by(
        "test_a_digest_is_asked_for_by_head_and_by_get_only_where_that_does_not_suffice[h02e-sha512]"
    ),
    Mutant("Registry._stated_digest", "head.status != HTTPStatus.OK or ", "").noticed_by(
        "test_a_digest_is_asked_for_by_head_and_by_get_only_where_that_does_not_suffice[h02g-404]"
    ),
    Mutant("Registry._stated_digest", " or is_schema1", "").noticed_by(
        "test_a_digest_is_asked_for_by_head_and_by_get_only_where_that_does_not_suffice[h03-schema1]"
    ),
    Mutant("Registry._stated_digest", "except ImgfetchError", "except VerificationError").noticed_by(
        "test_a_digest_is_asked_for_by_head_and_by_get_only_where_that_does_not_suffice[f25f-head]"
    ),
    Mutant(
        "Registry._stated_digest", "if self._api.authenticator.lacks_token(reference.repository):", "if False:"
    ).noticed_by("test_a_digest_that_cannot_be_had_by_head_fails_as_a_save_does"),
    Mutant("Registry._stated_digest", "head.keep()", "pass").noticed_by(
        "test_digests_of_a_real_registry_cost_one_request_each_on_eight_connections_at_most"
    ),
    Mutant("ImgfetchError.of_image", 'origin and str(self).startswith(f"{origin}: ")', "False").noticed_by(
        "test_an_error_names_its_image_and_the_place_of_that_once"
    ),
    Mutant("ImgfetchError.of_image", "if name in str(self)", "if False").noticed_by(
        "test_an_error_names_its_image_and_the_place_of_that_once"
    ),
    Mutant("Response.skip", "within(_SKIP)", "within(30.0)").noticed_by(
        "test_a_body_of_a_redirect_that_does_not_come_is_not_awaited"
    ),
    Mutant("Response.skip", "size <= MAX_SKIPPED_BODY", "False").noticed_by(
        "test_a_connection_is_used_again_after_a_redirect"
    ),
    Mutant("Downloads.__enter__", "if self.jobs > 1", "if True").noticed_by(
        "test_small_layers_are_brought_eight_at_a_time_but_not_with_one_job"
    ),
    Mutant("Resolver.digest", "if self.tolerance.is_strict", "if False").noticed_by(
        "test_strict_verifies_the_digest_that_is_stated"
    ),
    Mutant("Mirrored._first", "reference.digest is None", "False").noticed_by(
        "test_a_mirror_for_digests_is_not_asked_for_the_digest_of_a_tag"
    ),
    Mutant("Candidate.resolve", "self._checked(found, reference)", "found").noticed_by(
        "test_a_mirrors_document_in_the_place_of_a_digest_is_checked"
    ),
    Mutant("Api.body", ", tries=2", "").noticed_by("test_an_empty_manifest_is_asked_for_once_more"),
    Mutant("Start.next", "= self._is_whole_always", "= False").noticed_by(
        "test_a_request_for_the_whole_blob_gets_all_attempts"
    ),
    Mutant("Start.failed", "has_other=is_too_few", "has_other=False").noticed_by(
        "test_a_part_that_cannot_be_resumed_is_downloaded_from_its_first_byte"
    ),
    Mutant("Start.failed", "True, left", "left == NONE_LEFT, left").noticed_by(
        "test_a_part_that_cannot_be_resumed_is_downloaded_from_its_first_byte"
    ),
    Mutant("Start.failed", "1 if self._was_whole else PROGRESS", "1").noticed_by(
        "test_a_part_that_cannot_be_resumed_is_downloaded_from_its_first_byte"
    ),
    Mutant("Start.failed", "has_other=is_too_few", "has_other=is_too_few and self._attempts._limit > 1").noticed_by(
        "test_a_mirror_that_does_not_resume_is_asked_for_the_whole_blob"
    ),
    Mutant("Start._progress", "(PROGRESS if before else 1)", "PROGRESS").noticed_by(
        "test_after_a_refusal_a_download_has_the_attempts_of_one_with_an_empty_cache"
    ),
    Mutant("Start._progress", "before, reached = self._whole,", "before, reached = self._furthest,").noticed_by(
        "test_bytes_of_an_earlier_run_are_no_measure_for_the_progress_of_a_whole_download"
    ),
    Mutant("Start._progress", "max(before, reached)", "reached").noticed_by(
        "test_a_server_that_cuts_sometimes_early_and_sometimes_late_is_left_too"
    ),
    Mutant("Start.answered", "min(self._offset, start)", "self._offset").noticed_by(
        "test_a_server_without_ranges_is_asked_no_more_often_than_others"
    ),
    Mutant("PartialBlob.discard", "self.furthest = 0", "pass").noticed_by(
        "test_after_a_mismatch_everything_is_progress_again"
    ),
    Mutant("PartialBlob.restart", "self._file.seek(0)", "self._file.truncate(self._file.seek(0))").noticed_by(
        "test_a_download_from_the_first_byte_that_breaks_off_keeps_the_rest_of_the_part"
    ),
    Mutant("PartialBlob.close", "self._folder.status(self._name).st_size == 0", "self.size == 0").noticed_by(
        "test_a_part_that_was_not_overtaken_stays_for_another_run"
    ),
    Mutant("PartialBlob.move_to", "self._trim()", "pass").noticed_by(
        "test_nothing_of_a_longer_part_stays_behind_the_blob"
    ),
    Mutant("PartialBlob._decode", "self._trim()", "pass").noticed_by(
        "test_nothing_of_a_longer_part_stays_behind_the_blob"
    ),
    Mutant(
        "Retrier.failed",
        "kind is ImgfetchError and progressed",
        "kind is ImgfetchError and (progressed or time.monotonic() - self._last >= 60)",
    ).noticed_by("test_the_time_that_an_attempt_took_is_no_progress"),
    Mutant("Retrier._report", "max(wait, time.monotonic() - self._last)", "wait").noticed_by(
        "test_an_attempt_that_took_long_is_reported"
    ),
    Mutant("Retrier.failed", "has_other and not self._retries.is_stopped", "has_other").noticed_by(
        "test_after_a_stop_nothing_else_is_tried"
    ),
    Mutant("Retrier._final", ", tries=1)", ")").noticed_by("test_what_was_given_up_is_not_tried_by_somebody_else"),
    Mutant("ImgfetchError.replace", "copy.with_traceback(self.__traceback__)", "copy").noticed_by(
        "test_an_error_that_is_given_up_keeps_its_cause_and_its_traceback"
    ),
    Mutant("Deadline.read_into", "min(self._left, self._in_all)", "self.timeout").noticed_by(
        "test_bytes_that_trickle_end_at_the_deadline_like_silence"
    ),
    Mutant("Deadline.read_into", "min(self._left, self._in_all)", "self._left").noticed_by(
        "test_all_of_it_has_a_limit_too"
    ),
    Mutant("Deadline.read_into", "error.errno is not None", "False").noticed_by(
        "test_a_connection_that_the_system_gives_up_is_not_waited_for"
    ),
    Mutant("deadline:share", "connection.recv = recv", "pass").noticed_by(
        "test_a_handshake_within_the_tls_of_a_proxy_is_given_up_too"
    ),
    Mutant("Deadline.count", "self._content >= MIN_PROGRESS", "self._content").noticed_by(
        "test_too_little_content_gives_no_more_time_and_is_described"
    ),
    Mutant("Deadline.lower", "self._left = min(self._left, timeout)", "pass").noticed_by(
        "test_a_lower_limit_counts_at_once"
    ),
    Mutant("Deadline._wait", "notify, self._waiting = self._waiting, None", "notify = self._waiting").noticed_by(
        "test_silence_is_reported_once_and_long_before_it_ends"
    ),
    Mutant("Response._read", "self._deadline.count(len(chunk))", "pass").noticed_by(
        "test_a_blob_that_comes_steadily_has_no_time_limit"
    ),
    Mutant("Response.document", "self._deadline.limit(timeout)", "pass").noticed_by(
        "test_a_document_that_comes_steadily_has_a_time_limit_too"
    ),
    Mutant("HttpClient._send", ", within.applied(partial(self._announce, url))", "").noticed_by(
        "test_a_body_that_trickles_is_given_up"
    ),
    Mutant("HttpClient.get", "within.limit(within.timeout + _patience(body))", "pass").noticed_by(
        "test_redirects_have_the_time_of_one_response_together"
    ),
    Mutant("HttpClient.get", "within.limit(math.inf)", "pass").noticed_by(
        "test_a_blob_that_comes_steadily_has_no_time_limit"
    ),
    Mutant("Retrier.failed", "self._idle + took if is_idle", "0.0 if is_idle").noticed_by(
        "test_attempts_that_bring_nothing_have_a_time_together"
    ),
    Mutant("Retrier.failed", "self._idle + took if is_idle", "self._idle + took if True").noticed_by(
        "test_time_that_brings_bytes_does_not_count"
    ),
    Mutant("Start.failed", "is_idle=gained <= 0", "is_idle=True").noticed_by(
        "test_a_slow_line_that_brings_bytes_has_all_attempts"
    ),
    Mutant("HttpClient._announce", "if is_new:", "if True:").noticed_by(
        "test_a_silent_server_is_named_once_for_all_attempts"
    ),
    Mutant("_Lines.readline", "self.is_in_head and", "False and").noticed_by(
        "test_a_connection_that_ends_inside_the_head_is_broken_and_no_answer"
    ),
    Mutant("_Response._read_status", "not 100 <= status < 200", "status != 100").noticed_by(
        "test_the_answer_is_the_one_after_the_interim_ones"
    ),
    Mutant("_Response._read_status", "MAX_INTERIM + 1", "10**9").noticed_by(
        "test_more_interim_answers_than_the_bound_are_an_error"
    ),
    Mutant("_Response._read_status", " or status == HTTPStatus.SWITCHING_PROTOCOLS", "").noticed_by(
        "test_a_switch_of_protocols_that_nobody_asked_for_is_no_interim_answer"
    ),
    Mutant("Proxies.choose", "variable not in _FOR_ALL", "True").noticed_by(
        "test_a_proxy_for_all_that_cannot_be_used_is_one_warning"
    ),
    Mutant("Proxies.choose", "variable not in _FOR_ALL", "False").noticed_by(
        "test_without_pysocks_a_socks_proxy_is_an_error_that_says_how_to_get_it"
    ),
    Mutant("proxies:from_environment", 'no_proxy.split(",")', "no_proxy.split()").noticed_by(
        "test_entries_are_set_apart_by_commas_alone"
    ),
    Mutant("proxies:_ascii", "if not name.isascii():", "if False:").noticed_by(
        "test_an_entry_means_a_host_and_all_below_it"
    ),
    Mutant("proxies:_matches", "_RANGE.fullmatch(entry)", '"/" in entry').noticed_by(
        "test_an_entry_means_an_address_or_a_range"
    ),
    Mutant("ContextAdapter.proxy_manager_for", "_bound(manager)", "pass").noticed_by(
        "test_a_head_through_a_proxy_has_a_time_limit_too"
    ),
    Mutant("RealmPolicy.find", "if replaced := self._replaced_broken(text.strip(), registry):", "if False:").noticed_by(
        "test_an_override_helps_where_the_announced_url_cannot_be_used"
    ),
    Mutant("RealmPolicy._replaced", "_DOWN if is_down", '"" if is_down').noticed_by(
        "test_an_override_for_a_url_that_cannot_be_used_takes_no_login_down_to_http"
    ),
    Mutant("endpoints:split_api", "not all(map(_SEGMENT.fullmatch, parts))", "False").noticed_by(
        "test_what_is_no_mirrors_url_is_refused"
    ),
    Mutant("endpoints:split_api", "parts[0] == _API", "False").noticed_by("test_a_url_leads_to_a_place"),
    Mutant("Api._falls_back", "http://{self._root}", "http://{self._name}").noticed_by(
        "test_an_api_below_a_path_keeps_it_when_it_speaks_http_only"
    ),
    Mutant("links:Page.following", 'raise self._lost("its Link header is malformed")', "return ''").noticed_by(
        "test_a_next_page_that_cannot_be_requested_is_an_error"
    ),
    Mutant("links:Page.following", "> MAX_HEADER", "> 10**9").noticed_by(
        "test_a_next_page_that_cannot_be_requested_is_an_error"
    ),
    Mutant("links:Page._path", 'f"{self.base}/"', "self.base").noticed_by(
        "test_a_next_page_that_cannot_be_requested_is_an_error"
    ),
    Mutant("links:Page._path", "raise self._lost(f", "return str(f").noticed_by(
        "test_a_next_page_that_cannot_be_requested_is_an_error"
    ),
    Mutant("links:_split", "_PIECE.findall(header)", "re.split('([,;])', header)").noticed_by(
        "test_the_next_page_is_where_the_link_says"
    ),
    Mutant("tags:listed", "tags > MAX_TAGS or ", "").noticed_by("test_a_list_without_an_end_is_an_error"),
    Mutant("tags:listed", " or characters > MAX_CHARACTERS", "").noticed_by("test_a_list_without_an_end_is_an_error"),
    Mutant("tags:listed", "path in seen or ", "").noticed_by("test_a_page_that_leads_to_an_earlier_one_is_an_error"),
    Mutant("challenges:parse", "line[:left]", "line[:MAX_HEADER]").noticed_by(
        "test_the_limit_is_that_of_all_lines_together"
    ),
    Mutant("InsecureRegistries.includes", "name == DOCKER_HUB or", "").noticed_by(
        "test_a_registry_is_insecure_by_its_name_or_its_address"
    ),
    Mutant("RegistryConfig.from_environment", "Mirrors(insecure=docker.insecure, ", "Mirrors(").noticed_by(
        "test_the_configuration_has_all_that_the_file_says"
    ),
    Mutant("daemon_json:_insecure", "if not _NAME.fullmatch(name):", "if False:").noticed_by(
        "test_an_entry_that_is_no_registry_is_left_out_with_a_warning"
    ),
    Mutant("daemon_json:find_daemon_json", "(path for path in own if os.path.exists(path))", "iter(own)").noticed_by(
        "test_the_users_file_comes_before_the_systems"
    ),
    Mutant("Quota.check", "count < wanted[registry]", "count < sum(wanted.values())").noticed_by(
        "test_images_at_another_registry_do_not_count_against_a_limit"
    ),
    Mutant("Quota.check", "count < wanted[registry]", "count <= wanted[registry]").noticed_by(
        "test_a_pull_limit_that_suffices_is_not_mentioned"
    ),
    Mutant("Quota.check", "self._told.add(registry)", "pass").noticed_by(
        "test_a_list_that_the_pull_limit_cuts_short_is_announced_once"
    ),
    Mutant("Response.chunks", "self.pause()", "pass").noticed_by(
        "test_a_limited_body_comes_in_small_pieces_and_takes_its_time"
    ),
    Mutant("Response.abort", "self._share.end()", "pass").noticed_by(
        "test_a_response_that_is_ended_does_not_wait_for_the_limit"
    ),
    Mutant("Response._read", "self._share.received(len(chunk))", "pass").noticed_by(
        "test_a_document_is_not_delayed_by_the_limit_but_counts"
    ),
    Mutant("Mirrored._first", "self._documents.await_others()", "pass").noticed_by(
        "test_a_document_waits_for_the_rate_limit_before_its_race_begins"
    ),
    Mutant("Mirrored.abort", "self._documents.end()", "pass").noticed_by(
        "test_a_wait_for_the_rate_limit_ends_with_the_run"
    ),
    Mutant("RateLimit.__init__", ">= MIN_RATE", "> 0").noticed_by("test_a_rate_too_low_to_finish_is_refused"),
    Mutant("RateLimit.spend", "self._clock() - CREDIT", "-math.inf").noticed_by(
        "test_no_second_has_more_than_a_quarter_of_a_second_above_the_limit"
    ),
    Mutant("Team.chunks", "self._stream.pause()", "pass").noticed_by(
        "test_a_rate_limit_is_no_reason_for_several_connections"
    ),
    Mutant("Stream.chunks", "self.pause()", "pass").noticed_by(
        "test_the_pauses_of_a_rate_limit_are_not_the_servers_time"
    ),
    Mutant("Sessions.registries", "rate_limit=rate_limit,", "rate_limit=None,").noticed_by(
        "test_a_save_takes_at_least_the_time_that_its_limit_implies"
    ),
)
