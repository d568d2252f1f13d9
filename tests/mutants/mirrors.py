"""Mutants of the rules for mirrors: when each place is asked, left, skipped and tried again."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant("Route._waits", "self._limits.first_byte", "self._limits.upstream").noticed_by(
        "test_a_silent_mirror_is_raced_by_the_next_one"
    ),
    Mutant("Route._waits", "self._limits.upstream - seconds", "0 * seconds").noticed_by(
        "test_the_registry_itself_is_not_asked_before_that"
    ),
    Mutant("Route._waits", "if is_idle and self._mirrors:", "if not race.running and self._mirrors:").noticed_by(
        "test_a_mirror_that_was_ill_for_long_is_tried_beside_the_next_one"
    ),
    Mutant("Route._winner", "is_racing=bool(race.running)", "is_racing=False").noticed_by(
        "test_a_mirror_may_answer_while_the_registry_itself_asks_for_a_pause"
    ),
    Mutant("Route._waits", "self._upstream_from - time.monotonic()", "0.0").noticed_by(
        "test_the_registry_itself_is_asked_again_after_a_pause"
    ),
    Mutant("Route.__init__", "each.server in self._trials]", "True]").noticed_by(
        "test_a_silent_mirror_is_not_asked_again"
    ),
    Mutant("Route._judge", "runner.seconds >= self._limits.first_byte", "True").noticed_by(
        "test_a_place_that_lost_before_its_time_was_up_is_well"
    ),
    Mutant("Route.failed", "is_silent and not self._is_last_resort", "False").noticed_by(
        "test_a_mirror_that_was_silent_gets_no_other_request"
    ),
    Mutant("Route._has_another", "entrant in self._answered", "False").noticed_by(
        "test_a_mirror_that_was_interrupted_is_retried_if_the_registry_itself_cannot_be_reached"
    ),
    Mutant("Route._start_over", "self._is_last_resort or ", "").noticed_by(
        "test_a_mirror_that_was_interrupted_is_retried_if_the_registry_itself_cannot_be_reached"
    ),
    Mutant("Route._start_over", " or not is_outage(self._error)", "").noticed_by(
        "test_mirrors_that_were_skipped_are_no_resort_for_what_the_registry_itself_refuses"
    ),
    Mutant("Route._start_over", "self._skipped, []", "[], []").noticed_by(
        "test_mirrors_that_were_skipped_are_the_last_resort"
    ),
    Mutant("Route._faster_than", "in self._mirrors if", "in (*self._mirrors, self._upstream) if").noticed_by(
        "test_a_slow_mirror_is_kept_if_it_is_the_only_one"
    ),
    Mutant("Route.is_left", "server in self._left or ", "").noticed_by(
        "test_a_mirror_is_left_once_for_one_that_is_faster"
    ),
    Mutant("Route.is_left", "entrant is self._upstream or ", "").noticed_by("test_the_registry_itself_is_never_left"),
    Mutant("Route._report", "is_silent and self._races.is_serial", "False").noticed_by(
        "test_one_request_at_a_time_gives_a_silent_mirror_up"
    ),
    Mutant("Route._report", "logging.WARNING if is_new else logging.INFO", "logging.WARNING").noticed_by(
        "test_a_mirror_that_fails_is_warned_of_once"
    ),
    Mutant("Race.start", "self._is_serial or ", "").noticed_by(
        "test_one_request_at_a_time_asks_each_place_when_the_one_before_has_failed"
    ),
    Mutant("Races.begin", "runner.end()", "pass").noticed_by(
        "test_a_request_that_was_not_taken_is_ended_with_its_race"
    ),
    Mutant("Runner.run", "if not self._interrupt.is_set:", "if True:").noticed_by(
        "test_the_answer_of_a_place_that_lost_is_closed"
    ),
    Mutant("Races.stop", "race.stop()", "pass").noticed_by("test_the_end_of_a_run_ends_the_wait_for_an_answer"),
    Mutant("_Response.__init__", "mine := interrupt.current()", "mine := None").noticed_by(
        "test_a_request_is_ended_while_it_waits[/head]"
    ),
    Mutant("Response.__init__", "self._interrupt = interrupt.current()", "self._interrupt = None").noticed_by(
        "test_a_connection_that_serves_another_request_is_not_ended"
    ),
    Mutant("HttpClient._send", " or (mine and mine.is_set)", "").noticed_by(
        "test_after_that_its_thread_sends_no_request"
    ),
    Mutant(
        "cut", "socket.socket.shutdown(connection, socket.SHUT_RDWR)", "connection.shutdown(socket.SHUT_RDWR)"
    ).noticed_by("test_all_that_is_read_after_the_end_is_content[abort-https]"),
    Mutant("_cutting", "interrupt.cut(sock)", "sock.shutdown(_)").noticed_by(
        "test_all_that_is_read_after_the_end_is_content[abort-https]"
    ),
    Mutant("HttpClient.abort", "each.set()", "pass").noticed_by(
        "test_abort_ends_requests_whose_response_has_not_begun"
    ),
    Mutant("HttpClient.get", "within.lower(self.pause)", "pass").noticed_by(
        "test_pauses_within_a_body_have_a_limit_of_their_own"
    ),
    Mutant("Server.may_try", "self._skipped_until = now + self._pause", "pass").noticed_by(
        "test_an_ill_mirror_is_tried_by_one_request_after_a_while"
    ),
    Mutant("Server.may_try", "self._pause *= 2", "pass").noticed_by(
        "test_the_while_is_twice_as_long_after_each_trial_that_fails"
    ),
    Mutant("Server.may_try", "now < self._skipped_until", "True").noticed_by(
        "test_an_ill_mirror_is_tried_by_one_request_after_a_while"
    ),
    Mutant("Server.failed", " or self._wrong >= self._limits.wrong", "").noticed_by(
        "test_a_mirror_that_sends_wrong_bytes_for_several_blobs_is_ill"
    ),
    Mutant("Server.failed", " and not isinstance(error, ResumeError)", "").noticed_by(
        "test_a_mirror_is_well_if_the_wrong_bytes_may_be_those_of_another_one"
    ),
    Mutant("Server._tick", "if self._waiting:", "if True:").noticed_by(
        "test_the_time_between_two_reads_is_not_the_mirrors"
    ),
    Mutant(
        "Server.faster_one",
        "mine >= (self._limits.busy if self._downloads + joins > 1 else self._limits.slow)",
        "False",
    ).noticed_by("test_a_mirror_is_left_for_one_that_is_or_may_be_much_faster"),
    Mutant("Server.faster_one", "other.is_ill or ", "").noticed_by("test_an_ill_mirror_is_never_the_faster_one"),
    Mutant("Server.faster_one", " or other.is_doubtful", "").noticed_by(
        "test_a_mirror_that_sent_wrong_bytes_is_never_the_faster_one_until_a_blob_is_right"
    ),
    Mutant("Server.sent", " and not is_whole", " and False").noticed_by(
        "test_a_mirror_that_sent_wrong_bytes_is_never_the_faster_one_until_a_blob_is_right[rest]"
    ),
    Mutant("Server.faster_one", "fastest.expect()", "pass").noticed_by(
        "test_two_downloads_do_not_begin_at_one_idle_mirror_at_once"
    ),
    Mutant("Server.share", "self._downloads + joins + expected", "1").noticed_by(
        "test_of_several_downloads_one_is_better_off_at_a_mirror_that_is_idle"
    ),
    Mutant("Server.may_explore", "if is_free:", "if False:").noticed_by(
        "test_one_download_finds_out_how_fast_a_mirror_is"
    ),
)
