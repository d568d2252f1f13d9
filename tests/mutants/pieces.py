"""Mutants of the rules for blobs in pieces: what is accepted, how many connections there are, and when they end."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_ODD = "test_a_piece_is_refused_if_anything_about_its_response_is_odd"
_LATER = "test_a_later_piece_that_is_odd_has_the_rest_requested_over_one_connection"

MUTANTS: tuple[Mutant, ...] = (
    Mutant("Arrivals.__call__", "self._report(count - known,", "self._report(count,").noticed_by(
        "test_bytes_that_waited_are_not_reported_again"
    ),
    Mutant("Arrivals.keep", "- self._next - count", "- count").noticed_by(
        "test_bytes_that_are_dropped_are_taken_back_but_for_those_that_are_kept"
    ),
    Mutant("Fetchers._put", "self._mixture.arrivals.early(len(chunk))", "pass").noticed_by(
        "test_bytes_are_reported_when_they_arrive_and_not_when_their_turn_comes"
    ),
    Mutant(
        "Tally.advanced", "min(self._here[item.name], self._done[item.name])", "self._here[item.name] * (count >= 0)"
    ).noticed_by("test_bytes_that_are_taken_back_leave_those_of_an_earlier_attempt"),
    Mutant("check_piece", "response.status != HTTPStatus.PARTIAL_CONTENT", "response.status >= 300").noticed_by(_ODD),
    Mutant("check_piece", "not response.continues(offset, descriptor.size, length)", "False").noticed_by(_ODD),
    Mutant("check_piece", "elif response.codings:", "elif False:").noticed_by(_ODD),
    Mutant("check_piece", "got is not None and got != length", "False").noticed_by(_ODD),
    Mutant("Response.continues", 'startswith("multipart/")', 'startswith("text/")').noticed_by(_ODD),
    Mutant("Response.continues", "last == end - 1", "last <= size - 1").noticed_by(_ODD),
    Mutant("Registry._open_piece", "if not self._sends_range:", "if False:").noticed_by(
        "test_no_piece_is_requested_from_a_registry_that_sent_another_range"
    ),
    Mutant("Registry._open_blob", " and length is None", "").noticed_by(
        "test_no_piece_comes_from_the_urls_of_a_foreign_layer"
    ),
    Mutant("Fetchers._put", "if is_whole and len(chunk) > piece.missing:", "if False:").noticed_by(f"{_LATER}[long]"),
    Mutant("Fetchers._check_complete", "if piece.missing > 0:", "if False:").noticed_by(f"{_LATER}[short]"),
    Mutant("Fetchers._fail", "place.lines.limit_to_one(error)", "pass").noticed_by(f"{_LATER}[refused]"),
    Mutant("Fetchers._fail", "if isinstance(error, StorageError):", "if False:").noticed_by(
        "test_a_disk_that_fills_up_costs_the_pieces_and_not_the_save"
    ),
    Mutant("Fetchers._put", "if self._is_over:", "if False:").noticed_by(
        "test_a_thread_that_outlives_the_end_writes_nothing"
    ),
    Mutant("Fetchers.end", "self._pieces.end()", "pass").noticed_by(
        "test_the_end_of_the_receiver_ends_all_threads_and_what_they_write"
    ),
    Mutant("Fetchers._may_grow", "self._is_several and self._lines.is_proven", "self._is_several").noticed_by(
        "test_the_first_piece_is_small_and_alone"
    ),
    Mutant("Fetchers._claim", "length if place.lines.is_proven else limits.least", "length").noticed_by(
        "test_the_first_piece_is_small_and_alone"
    ),
    Mutant("Fetchers._claim", "and piece.place.lines.was_silent()", "and False").noticed_by(
        "test_pieces_that_do_not_arrive_twice_end_the_pieces"
    ),
    Mutant("Fetchers._claim", "min(2 * self._pieces.connections * length, self._window.size)", "10**12").noticed_by(
        "test_bytes_that_arrived_early_wait_on_the_disk_within_limits"
    ),
    Mutant("Fetchers._check_coming", "> self._lines.limits.lost", "> 1e12").noticed_by(
        "test_pieces_that_do_not_arrive_end_the_pieces"
    ),
    Mutant("Fetchers._end_first", "self._is_several and not self._lines.is_proven", "False").noticed_by(
        "test_a_first_piece_that_does_not_arrive_costs_no_time"
    ),
    Mutant("Connections.take", "self._open < most", "self._open <= most").noticed_by(
        "test_there_are_never_more_connections_than_allowed"
    ),
    Mutant("Connections.take", " and not self.is_single", "").noticed_by(
        "test_one_connection_is_for_the_rest_of_the_run_and_said_once"
    ),
    Mutant("Connections.begin", "self.is_single or ", "").noticed_by(
        "test_one_connection_is_for_the_rest_of_the_run_and_said_once"
    ),
    Mutant("Connections.begin", " or (self._is_on_trial and not self.is_faster)", "").noticed_by(
        "test_one_blob_at_a_time_shows_whether_several_connections_are_faster"
    ),
    Mutant("Connections.judge", "now < self.limits.gain * before", "False").noticed_by(
        "test_several_connections_that_are_not_faster_are_given_up_without_losing_a_byte"
    ),
    Mutant("Crew.free", " - self._jobs", "").noticed_by("test_connections_of_other_jobs_are_left_to_them"),
    Mutant(
        "Pieces.claim", "share = max(rest // self.connections, length // 4, self._limits.least)", "share = length"
    ).noticed_by("test_pieces_are_smaller_near_the_end_of_the_blob_but_not_too_small"),
    Mutant("Pieces.claim", "self._late(now, rate) or ", "").noticed_by(
        "test_the_rest_of_a_slow_piece_is_taken_by_a_much_faster_connection"
    ),
    Mutant("Pieces._late", "* _FASTER", "").noticed_by(
        "test_a_piece_is_left_to_its_connection_where_that_takes_about_as_long[no faster connection]"
    ),
    Mutant("Pieces.claim", "length // 4, self._limits.least", "length // 4").noticed_by(
        "test_a_blob_of_small_pieces_comes_to_its_end"
    ),
    Mutant("Team._consider", " and rest >= limits.worth * rate", "").noticed_by("test_a_fast_connection_stays_alone"),
    Mutant("_receive_pieces", "mixture.limit_to_one(error)", "pass").noticed_by(
        "test_wrong_bytes_of_a_piece_cost_one_more_download_over_one_connection"
    ),
    Mutant("_receive_pieces", "raise MixedError(str(error)) from error", "raise").noticed_by(
        "test_wrong_bytes_of_a_piece_cost_one_more_download_over_one_connection"
    ),
    Mutant("Team._consider", "self._size >= limits.large and ", "").noticed_by(
        "test_a_place_that_is_helped_keeps_to_one_connection"
    ),
    Mutant("_Asker.has_pieces", "not answer.codings and ", "").noticed_by("test_a_coded_blob_comes_in_one_piece"),
    Mutant("Route._ask_again", "self._mirrors.insert(0, entrant)", "self._mirrors.append(entrant)").noticed_by(
        "test_a_place_is_asked_again_over_one_connection"
    ),
    Mutant("Place.prove", "self._send_small()", "pass").noticed_by(
        "test_a_mirror_whose_small_blob_is_wrong_brings_no_piece"
    ),
    Mutant("Place.is_usable", "server.is_verified or ", "True or ").noticed_by(
        "test_no_mirror_helps_a_place_of_which_no_blob_was_right"
    ),
    Mutant("Place.is_usable", " or server.is_doubtful", "").noticed_by(
        "test_a_mirror_that_is_not_well_or_helps_already_is_not_asked[is_doubtful]"
    ),
    Mutant("Place.is_usable", "server.is_ill or ", "").noticed_by(
        "test_a_mirror_that_is_not_well_or_helps_already_is_not_asked[is_ill]"
    ),
    Mutant("Place.may_help", "self.server.is_idle and ", "").noticed_by(
        "test_a_mirror_that_has_a_download_brings_no_piece"
    ),
    Mutant("Place.compare", "if sent != part.read(start, count):", "if False:").noticed_by(
        "test_a_mirror_that_sends_other_bytes_than_the_first_brings_no_piece"
    ),
    Mutant("Helpers._join", "who.lines.limit_to_one(error)", "pass").noticed_by(
        "test_a_mirror_whose_small_blob_is_wrong_brings_no_piece"
    ),
    Mutant("Helpers._join", "place.server.is_doubtful = True", "pass").noticed_by(
        "test_a_mirror_that_contradicts_the_first_is_not_preferred_meanwhile"
    ),
    Mutant("Helpers.judge", "place.server.is_doubtful = is_right", "pass").noticed_by(
        "test_a_mirror_is_not_blamed_for_bytes_that_differ_if_those_of_the_first_are_wrong"
    ),
    Mutant("Mixture.take_back", "lines in self.senders and ", "False and ").noticed_by(
        "test_a_mirror_helps_with_one_blob_until_that_is_verified"
    ),
    Mutant("Mixture.take_back", " and not self._is_verified", "").noticed_by(
        "test_a_mirror_that_finishes_after_its_blob_may_help_with_another_one"
    ),
    Mutant("Mixture.__exit__", "lines.take_back()", "pass").noticed_by(
        "test_a_mirror_helps_with_one_blob_until_that_is_verified"
    ),
    Mutant("Team._rest", "self._mixture.is_mixed = True", "pass").noticed_by(
        "test_wrong_bytes_of_a_piece_cost_no_attempt_if_the_pieces_ended_before_they_were_found"
    ),
    Mutant("_receive_pieces", "not mixture.is_mixed or ", "").noticed_by(
        "test_wrong_bytes_of_one_response_are_its_place_s_failure"
    ),
    Mutant("Helpers.call", "not place.lines.lend()", "False").noticed_by(
        "test_a_mirror_helps_with_one_blob_until_that_is_verified"
    ),
    Mutant("Connections.lend", "self.is_single or self.is_lent", "False").noticed_by(
        "test_a_place_helps_with_one_blob_at_a_time", "test_a_place_that_keeps_to_one_connection_does_not_help"
    ),
    Mutant("Fetchers._is_wanted", "place is self._own or place.server.is_idle", "True").noticed_by(
        "test_a_mirror_that_gets_a_download_brings_no_more_pieces"
    ),
    Mutant("Fetchers._return", "piece.is_returned = True", "pass").noticed_by(
        "test_the_other_places_bring_the_rest_of_a_piece_of_a_mirror_that_is_odd[refused]"
    ),
    Mutant("Fetchers._check_coming", "not self._working or ", "").noticed_by(
        "test_the_rest_is_requested_again_if_no_place_has_time_for_it"
    ),
    Mutant("Team._wants_help", "self._rate < limits.enough", "True").noticed_by(
        "test_a_download_that_is_fast_or_nearly_over_keeps_to_its_mirror"
    ),
    Mutant("Team._wants_help", " and self._crew.connections > 1", "").noticed_by(
        "test_with_one_connection_no_mirror_helps"
    ),
    Mutant("Team._is_whole", " and self._mixture.senders <= {self._lines}", "").noticed_by(
        "test_bytes_of_several_places_prove_nothing_about_the_first"
    ),
    Mutant("Team._may_leave", "not (self._mixture.senders - {self._lines}) and ", "").noticed_by(
        "test_a_place_that_other_mirrors_help_is_not_left_for_one_of_them"
    ),
    Mutant("Route.helpers", "if entrant is self._upstream:", "if False:").noticed_by(
        "test_no_mirror_is_asked_for_parts_of_what_the_registry_itself_sends"
    ),
    Mutant("Route.helpers", " and each not in self._undecided", "").noticed_by(
        "test_a_mirror_that_failed_is_not_asked_for_parts"
    ),
    Mutant("Server.sent", "self.is_verified or is_whole", "True").noticed_by(
        "test_a_mirror_is_verified_by_a_whole_blob_and_not_by_the_rest_of_one"
    ),
    Mutant("Pieces.claim", "self._returned(now) or ", "").noticed_by(
        "test_the_rest_of_a_piece_that_was_given_back_comes_first"
    ),
    Mutant("_Asker.check", "if len(content) != small.size or ", "if False and ").noticed_by(
        "test_a_fault_ends_as_the_matrix_says[p-second-small]"
    ),
)
