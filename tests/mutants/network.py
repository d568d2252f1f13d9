"""Mutants of the checks on requests, retries and resumed downloads."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "A blob is not given up before a request without Range has failed.",
        "_Start.failed",
        "has_other=is_refused",
        "has_other=False",
        ("test_a_part_that_cannot_be_resumed_is_downloaded_from_its_first_byte",),
    ),
    Mutant(
        "The last attempt at a download that is not resumed requests the whole blob.",
        "_Start.failed",
        "True, left == 0",
        "left == 0, left == 0",
        ("test_a_part_that_cannot_be_resumed_is_downloaded_from_its_first_byte",),
    ),
    Mutant(
        "A server that resumes downloads with a few bytes at a time refuses to resume them.",
        "_Start.failed",
        "1 if self._was_whole else PROGRESS",
        "1",
        ("test_a_part_that_cannot_be_resumed_is_downloaded_from_its_first_byte",),
    ),
    Mutant(
        "A mirror that refuses to resume a download is asked for the whole blob.",
        "_Start.failed",
        "self._attempts is None and not is_refused",
        "self._attempts is None",
        ("test_a_mirror_that_does_not_resume_is_asked_for_the_whole_blob",),
    ),
    Mutant(
        "A server that ignores Range has been asked for the whole blob.",
        "_Start.answered",
        "min(self.offset, start)",
        "self.offset",
        ("test_a_server_without_ranges_is_asked_no_more_often_than_others",),
    ),
    Mutant(
        "Bytes that had come before are no progress.",
        "PartialBlob._absorb",
        "max(self.furthest, self.size)",
        "self.furthest + len(chunk)",
        ("test_bytes_that_had_come_before_are_no_progress",),
    ),
    Mutant(
        "After a mismatch every byte is progress.",
        "PartialBlob.discard",
        "self.furthest = 0",
        "pass",
        ("test_after_a_mismatch_everything_is_progress_again",),
    ),
    Mutant(
        "A partial download is kept until the new one is longer.",
        "PartialBlob.restart",
        "self._file.seek(0)",
        "self._file.truncate(self._file.seek(0))",
        ("test_a_download_from_the_first_byte_that_breaks_off_keeps_the_rest_of_the_part",),
    ),
    Mutant(
        "A partial download of which nothing was overwritten is kept for another run.",
        "PartialBlob.close",
        "self._path.stat().st_size == 0",
        "self.size == 0",
        ("test_a_part_that_was_not_overtaken_stays_for_another_run",),
    ),
    Mutant(
        "A blob has no bytes of an earlier attempt behind it.",
        "PartialBlob.rename_to",
        "self._trim()",
        "pass",
        ("test_nothing_of_a_longer_part_stays_behind_the_blob",),
    ),
    Mutant(
        "A coded body has no bytes of an earlier attempt behind it.",
        "PartialBlob._decode",
        "self._trim()",
        "pass",
        ("test_nothing_of_a_longer_part_stays_behind_the_blob",),
    ),
    Mutant(
        "Time is no progress.",
        "Retrier.failed",
        "kind is ImgfetchError and progressed",
        "kind is ImgfetchError and (progressed or time.monotonic() - self._last >= 60)",
        ("test_the_time_that_an_attempt_took_is_no_progress",),
    ),
    Mutant(
        "An attempt that took long is reported.",
        "Retrier._report",
        "max(wait, time.monotonic() - self._last)",
        "wait",
        ("test_an_attempt_that_took_long_is_reported",),
    ),
    Mutant(
        "After a stop nothing else is tried.",
        "Retrier.failed",
        "has_other and not self._patience.is_stopped",
        "has_other",
        ("test_after_a_stop_nothing_else_is_tried",),
    ),
)
