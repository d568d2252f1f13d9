"""Mutants of the checks on signatures."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_FORGED = "test_a_forged_signature_is_refused_with_its_reason"
_AMBIGUOUS = "test_a_certificate_that_is_ambiguous_or_anothers_is_refused"
_NUMBER = "test_the_number_of_signatures_has_a_limit"
_PAYLOAD = "test_a_malformed_payload_is_refused_though_it_is_signed"
_BUNDLE = "test_a_malformed_bundle_is_refused"
_KEY = "test_a_file_without_a_usable_key_is_refused"
_CHANGE = "test_a_change_that_is_accepted_has_no_meaning"
_ALL = "test_all_signers_must_have_signed"

MUTANTS = (
    Mutant(
        "policy:_faults", "not isinstance(verdict, str) and set(verdict) & set(digests)", "not isinstance(verdict, str)"
    ).noticed_by(f"{_FORGED}[for another image]", f"{_FORGED}[a bundle for another image]"),
    Mutant("policy:_faults", "not isinstance(verdict, str) and set(verdict) & set(digests)", "True").noticed_by(
        f"{_FORGED}[by another key]"
    ),
    Mutant("policy:_faults", "verdicts[number]", "verdicts[0]").noticed_by(_ALL),
    Mutant("policy:_Checker.__call__", "if candidate.digest not in self._judged:", "if True:").noticed_by(
        "test_each_signature_is_verified_once_for_all_images_of_an_index"
    ),
    Mutant("policy:_Checker.__call__", "if count > MAX_SIGNATURES:", "if False:").noticed_by(_NUMBER),
    Mutant("policy:_Checker.__call__", "enumerate(self._signers)", "enumerate(self._signers[:1])").noticed_by(_ALL),
    Mutant("policy:_verdict", "signer.verify(signature)", "pass").noticed_by(f"{_FORGED}[by another key]"),
    Mutant("claims:_simple", "!= _TYPE", "!= kind").noticed_by(f"{_FORGED}[of another kind of payload]"),
    Mutant("claims:_simple", 'frozenset({"critical", "optional"})', "frozenset()").noticed_by(
        "test_a_key_in_another_case_is_refused"
    ),
    Mutant("claims:_statement", "not in _STATEMENTS", "is None").noticed_by(
        "test_a_statement_of_an_unknown_version_is_refused"
    ),
    Mutant("claims:_statement", "!= _PREDICATE", "!= predicate").noticed_by(f"{_FORGED}[a bundle with an attestation]"),
    Mutant("signature:_layers", "if len(layers) > MAX_SIGNATURES:", "if False:").noticed_by(_NUMBER),
    Mutant("signature:_layers", "if not signatures:", "if False:").noticed_by(
        f"{_FORGED}[of an image instead of a signature]"
    ),
    Mutant("signature:_content", "if layer.size > MAX_SIGNATURE:", "if False:").noticed_by(
        f"{_FORGED}[with a huge payload]"
    ),
    Mutant("signature:_content", "!= layer.digest", "is None").noticed_by(
        "test_a_blob_with_another_digest_is_no_signature"
    ),
    Mutant("signature:_bundled", "!= STATEMENT", "is None").noticed_by(f"{_FORGED}[a bundle with a wrong type]"),
    Mutant("signature:_bundled", "if len(signatures) != 1:", "if not signatures:").noticed_by(_BUNDLE),
    Mutant("signature:decoded", "if base64.b64encode(content).decode() != text:", "if not content:").noticed_by(
        "test_a_signature_must_be_base64", f"{_FORGED}[with odd base64]"
    ),
    Mutant("signature:_bundled", "not in _BUNDLES", "is None").noticed_by(f"{_FORGED}[a bundle of an unknown version]"),
    Mutant("signature:_bundled", 'if name := signature.text("keyid"):', "if None:").noticed_by(
        f"{_FORGED}[a bundle with the name of a key]"
    ),
    Mutant("signature:_has_certificate", "if len(_SIGNERS & members.keys()) != 1:", "if False:").noticed_by(
        f"{_FORGED}[a bundle that names no signer]"
    ),
    Mutant("signature:_strict", "for fault in unknown_keys(members, known):", "for fault in ():").noticed_by(
        f"{_FORGED}[a bundle with an unknown member]", f"{_FORGED}[a bundle with an unknown member of the envelope]"
    ),
    Mutant("Key.verify", "if signature.has_certificate:", "if False:").noticed_by(
        f"{_FORGED}[a bundle by the key with a certificate of it]"
    ),
    Mutant("keyless:_require_spelling", "if not set(_texts(document)) <= ", "if None in ").noticed_by(
        f"{_FORGED}[a bundle with odd base64]"
    ),
    Mutant(
        "keyless:_require_spelling", 'decoded(line.rpartition(" ")[2], "a signature of the checkpoint")', "pass"
    ).noticed_by(f"{_FORGED}[a bundle with odd base64 in the checkpoint]"),
    Mutant("keyless:_log_entry", "if not _HEX.fullmatch(number):", "if False:").noticed_by(
        f"{_FORGED}[with an odd number of the log]"
    ),
    Mutant("Key.verify", "if not any(", "if any(").noticed_by(f"{_FORGED}[by another key]"),
    Mutant("keys:_is_valid", "return False", "return True").noticed_by(
        f"{_FORGED}[by another key]", "test_a_malformed_signature_is_invalid"
    ),
    Mutant("keys:_usable", "key.key_size >= _MIN_RSA", "key.key_size").noticed_by(f"{_KEY}[short]"),
    Mutant("keys:_usable", "type(key.curve) in _CURVES", "key.curve").noticed_by(f"{_KEY}[another curve]"),
    Mutant("Policy.__init__", "if not signers:", "if False:").noticed_by("test_a_policy_without_signers_is_refused"),
    Mutant("policy:_require", "if faults is None:", "if not faults:").noticed_by(
        "test_an_image_without_a_signature_is_refused"
    ),
    Mutant("identity:Wanted.parse", "if not text and not pattern:", "if False:").noticed_by(
        "test_an_empty_identity_is_refused_because_it_would_match_all"
    ),
    Mutant("identity:Wanted.accepts", 'unicodedata.category(character) == "Cc"', "False").noticed_by(
        "test_a_name_with_a_line_break_matches_no_pattern"
    ),
    Mutant("identity:Wanted.accepts", "value == self.text", "self.text in value").noticed_by(
        "test_a_text_must_be_equal"
    ),
    Mutant("identity:Wanted.accepts", "self.pattern.search(value)", "self.pattern.match(value)").noticed_by(
        "test_a_pattern_is_searched_for"
    ),
    Mutant(
        "Identity.verify", "self.subject.accepts(subject := _subject(cert))", "(subject := _subject(cert))"
    ).noticed_by(f"{_FORGED}[by another identity]"),
    Mutant("Identity.verify", "self.issuer.accepts(issuer := _issuer(cert))", "(issuer := _issuer(cert))").noticed_by(
        f"{_FORGED}[by another issuer]"
    ),
    Mutant("identity:_subject", "if len(names) != 1:", "if not names:").noticed_by(f"{_AMBIGUOUS}[two names]"),
    Mutant("identity:_subject", "name.type_id == _USER_NAME", "True").noticed_by(f"{_AMBIGUOUS}[another kind]"),
    Mutant("identity:_issuer", "if len(issuers) != 1:", "if not issuers:").noticed_by(
        f"{_AMBIGUOUS}[newer issuer]", f"{_AMBIGUOUS}[older issuer]"
    ),
    Mutant("_PromisedEntry._verify", "self._verify_set(keyring)", "pass").noticed_by(
        f"{_FORGED}[recorded by another log]", f"{_FORGED}[with a changed time in the log]"
    ),
    Mutant("keyless:_require_members", "if not hasattr(", "if None in (").noticed_by(
        "test_another_version_of_the_library_is_refused_and_not_the_signatures"
    ),
    Mutant("keyless:_log_entry", "if not annotation:", "if False:").noticed_by(f"{_FORGED}[without a log entry]"),
    Mutant("keyless:_require_curve", "if not isinstance(", "if isinstance(None, ").noticed_by(
        "test_a_certificate_with_an_rsa_key_is_refused"
    ),
    Mutant("Keyless._verify_bundle", "!= (STATEMENT, signature.payload)", "is None").noticed_by(
        "test_a_payload_that_the_library_reads_otherwise_is_refused"
    ),
    Mutant("Keyless.verify", "self._verify_bundle(signature, Bundle.from_json(signature.bundle))", "pass").noticed_by(
        f"{_FORGED}[a bundle after the certificate expired]", f"{_FORGED}[a bundle of another log]"
    ),
    Mutant("Keyless.verify", "except Exception", "except ValueError").noticed_by(_CHANGE),
    Mutant("Keyless.verify", "self._verify_simple(signature)", "pass").noticed_by(f"{_FORGED}[by another identity]"),
    Mutant("signed:_others", "digests[0] not in images and ", "not ").noticed_by(
        "test_whatever_has_a_name_must_be_signed_because_readers_may_run_it"
    ),
    Mutant("signed:unsigned", "(*of_images, *_others(scan, archive, names))", "of_images").noticed_by(
        "test_an_image_that_poses_as_an_attestation_must_be_signed"
    ),
    Mutant("command_verify:_verify_patch", "if context.policy(arguments):", "if False:").noticed_by(
        "test_a_patch_is_never_verified_as_signed"
    ),
    Mutant("verify:examine", "unsigned(policy, found, archive, images) if policy else ()", "()").noticed_by(
        "test_a_forged_signature_in_an_archive_is_a_finding", "test_verify_refuses_an_archive_without_signatures"
    ),
    Mutant("signed:unsigned", "archive.images if wanted is None else tuple(wanted)", "tuple(wanted or ())").noticed_by(
        "test_an_archive_without_signatures_has_advice"
    ),
    Mutant("make_plan:_signed", "if request.policy:", "if False:").noticed_by(
        "test_an_image_with_a_forged_signature_is_not_saved", "test_an_unsigned_image_is_not_saved_with_a_key"
    ),
    Mutant(
        "signers:_wanted", "(digest, *above(parents, digest))", "(digest, *(each.digest for each in selection.indexes))"
    ).noticed_by("test_a_signature_of_an_index_within_the_index_counts_for_its_images_only"),
    Mutant("require_signatures", "for name, digests in wanted:", "for name, digests in wanted[:1]:").noticed_by(
        "test_each_image_of_several_platforms_needs_a_signature"
    ),
    Mutant("signers:_wanted", "for each in selection.statements", "for each in ()").noticed_by(
        "test_an_image_that_poses_as_an_attestation_is_not_saved_without_a_signature"
    ),
    Mutant("Descriptor.may_be_run", "self.platform is None or ", "self.platform is not None and ").noticed_by(
        "test_an_image_that_poses_as_an_attestation_is_not_saved_without_a_signature",
        "test_an_image_that_poses_as_an_attestation_must_be_signed",
    ),
    Mutant("signers:_wanted", "*(image.indexes for image in selection.images)", "()").noticed_by(
        "test_the_signature_of_an_index_counts_for_the_image_that_is_chosen"
    ),
    Mutant("command_save:run", "arguments.policy = context.policy(arguments)", "arguments.policy = None").noticed_by(
        "test_an_unsigned_image_is_not_saved_with_a_key", "test_a_dry_run_verifies_signatures_too"
    ),
    Mutant("context:policy", "in (None, [])", "in (None, [], '')").noticed_by(
        "test_an_incomplete_identity_is_a_usage_error"
    ),
    Mutant("signers:policy", "if len(values) != 1 or not str(values[0]):", "if False:").noticed_by(
        "test_an_incomplete_identity_is_a_usage_error"
    ),
    Mutant(
        "signers:policy", "return load_policy(arguments.key, wanted)", "return load_policy(arguments.key)"
    ).noticed_by("test_verify_prints_who_has_signed"),
    Mutant("go_regexps:parse_rewrite", "if _UNLIKE.search(pattern):", "if False:").noticed_by(
        "test_a_pattern_that_go_reads_otherwise_is_refused"
    ),
)
