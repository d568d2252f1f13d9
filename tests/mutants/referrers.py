"""Mutants of the search for signatures and other referrers, and of their recognition in archives."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS: tuple[Mutant, ...] = (
    Mutant("referrers:_Search._tagged", "found.is_image or ", "").noticed_by(
        "test_a_fault_is_an_error_and_never_no_signature[a tag of an image]"
    ),
    Mutant("referrers:_Search._tagged", " or found.subject not in (None, subject)", "").noticed_by(
        "test_a_fault_is_an_error_and_never_no_signature[a tag of something about another image]"
    ),
    Mutant("referrers:_Search._tagged", " or found.media_type not in mediatypes.MANIFESTS", "").noticed_by(
        "test_a_fault_is_an_error_and_never_no_signature[a tag of another type]"
    ),
    Mutant("referrers:_Search._tagged", "except NotFoundError as error:", "except Exception as error:").noticed_by(
        "test_a_fault_is_an_error_and_never_no_signature[a tag that fails]"
    ),
    Mutant("referrers:_Search._listed", "if found.subject != subject:", "if False:").noticed_by(
        "test_a_fault_is_an_error_and_never_no_signature[a list with something about another image]",
        "test_a_fault_is_an_error_and_never_no_signature[a list with something about nothing]",
    ),
    Mutant("referrers:_Search._listed", "if found.is_image:", "if False:").noticed_by(
        "test_an_image_or_index_as_a_referrer_is_left_out_with_a_warning"
    ),
    Mutant(
        "referrers:_Search._listed",
        "sorted(self._entries(subject), key=lambda entry: str(entry.digest))",
        "self._entries(subject)",
    ).noticed_by("test_an_archive_with_a_signature_is_reproducible_whatever_the_order_of_a_list"),
    Mutant("referrers:_Search.add", "if depth > MAX_DEPTH:", "if False:").noticed_by(
        "test_signatures_of_signatures_are_bounded"
    ),
    Mutant("referrers:_Search.add", "if digest in self.found:", "if False:").noticed_by(
        "test_signatures_that_sign_each_other_end"
    ),
    Mutant(
        "referrers:_Search.add",
        "chain(self._tagged(subject), self._listed(subject))",
        "(*self._tagged(subject), *self._listed(subject))",
    ).noticed_by("test_no_more_manifests_are_requested_than_are_allowed"),
    Mutant("referrers:_Search._count", "if got > most:", "if False:").noticed_by("test_signatures_are_bounded"),
    Mutant("referrers:_Search._count", "self._resolver.count(len(referrer.blobs), self._reference)", "pass").noticed_by(
        "test_the_parts_of_signatures_count_as_layers"
    ),
    Mutant("_Reader._count_parts", "if self._parts > _MAX_PARTS:", "if False:").noticed_by(
        "test_an_archive_is_read_in_bounded_memory_and_steps[100 signatures of 4,000 parts]"
    ),
    Mutant("referrers:_Search._count", "sum(blob.size for blob in referrer.blobs)", "0").noticed_by(
        "test_the_bytes_of_payloads_count"
    ),
    Mutant("referrers:_limit", "if count > MAX_LISTED:", "if False:").noticed_by(
        "test_a_fault_is_an_error_and_never_no_signature[a list that is too long]"
    ),
    Mutant("referrers:listed", "_limit(len(found), what)", "pass").noticed_by("test_pages_together_are_bounded"),
    Mutant("referrers:listed", "path in seen or ", "").noticed_by("test_a_list_that_leads_to_itself_ends"),
    Mutant("referrers:listed", " or len(seen) >= MAX_PAGES", "").noticed_by("test_a_list_without_end_ends"),
    Mutant("referrers:parse_list", 'if "manifests" not in members:', "if False:").noticed_by(
        "test_a_fault_is_an_error_and_never_no_signature[a list of something else]"
    ),
    Mutant("Registry.referrers", "path == first and ", "").noticed_by("test_a_second_page_that_is_missing_is_an_error"),
    Mutant("Registry.referrers", "response.status in _NO_SUCH_API", "response.status != 200").noticed_by(
        "test_a_fault_is_an_error_and_never_no_signature[a list that fails]"
    ),
    Mutant("Candidate.referrers", "self.endpoint.is_mirror and not listed", "False").noticed_by(
        "test_the_empty_list_of_a_mirror_hides_no_signature"
    ),
    Mutant("Question.require_upstream", "self._is_lacking and ", "").noticed_by(
        "test_a_mirror_that_fails_does_not_pass_for_one_without_signatures"
    ),
    Mutant("Question.known_failure", "if upstream.is_ill", "if False").noticed_by(
        "test_a_registry_that_cannot_be_reached_is_not_asked_for_each_tag"
    ),
    Mutant("_Search._missing", "if isinstance(error, OnlyMirrorsError):", "if False:").noticed_by(
        "test_the_answers_of_mirrors_count_with_a_warning_if_the_registry_cannot_be_reached"
    ),
    Mutant("SaveRequest.__post_init__", "self.has_referrers and self.is_plain", "False").noticed_by(
        "test_an_archive_with_other_digests_cannot_have_signatures"
    ),
    Mutant("rewritten", "() if new else selection.referrers", "selection.referrers").noticed_by(
        "test_layers_that_are_decompressed_anyway_leave_the_signatures_out"
    ),
    Mutant("with_referrers", "parents=(*selection.parents, *parents)", "parents=selection.parents").noticed_by(
        "test_the_index_of_a_chosen_image_is_kept_if_it_is_signed"
    ),
    Mutant("Places.referrer", "subject in (None, about[0])", "True").noticed_by(
        "test_a_subject_counts_more_than_a_tag"
    ),
    Mutant("_Reader.find_referrers", "None if found.is_image else ", "").noticed_by(
        "test_an_image_that_no_index_lists_is_no_referrer"
    ),
    Mutant("_Reader.find_referrers", "{path(referrer.subject), *parts}", "{path(digest)}").noticed_by(
        "test_an_incomplete_referrer_that_no_index_lists_is_none"
    ),
    Mutant("attached:notes", "if not each.is_attached:", "if False:").noticed_by(
        "test_a_signature_of_something_that_is_absent_is_a_note"
    ),
)
