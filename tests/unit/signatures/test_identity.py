"""Identities and issuers in certificates are compared as texts or searched for by patterns."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat import asn1
from cryptography.hazmat.primitives import hashes

from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.signatures.identity import Identity, Wanted
from tests.authority import IDENTITY, ISSUER, SIGNED, Authority, new_key

WORKFLOW = "https://github.com/project/app/.github/workflows/release.yml@refs/tags/v1"
KEY = new_key()
OLD, NEW, USER = (x509.ObjectIdentifier(f"1.3.6.1.4.1.57264.1.{number}") for number in (1, 8, 7))
MAIL = x509.RFC822Name(IDENTITY)


def certificate(
    *names: x509.GeneralName, old: str | None = None, new: str | None = ISSUER, has_names: bool = True
) -> x509.Certificate:
    name = x509.Name([])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(1).not_valid_before(SIGNED).not_valid_after(SIGNED)
    if has_names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names or [MAIL]), critical=True)
    if old is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(OLD, old.encode()), critical=False)
    if new is not None:
        builder = builder.add_extension(x509.UnrecognizedExtension(NEW, asn1.encode_der(new)), critical=False)
    return builder.sign(KEY, hashes.SHA256())


def wanted(identity: str = "", regexp: str = "") -> Identity:
    return Identity(Wanted.parse(identity, regexp), Wanted.parse(ISSUER, ""))


@pytest.mark.parametrize(
    ("pattern", "accepts"),
    [
        ("project", True),  # unanchored, as in Go
        ("^https://github.com/project/", True),
        ("^https://github.com/project$", False),
        (r"^https://github\.com/project/app/.*@refs/tags/v\d+$", True),
        ("PROJECT", False),
        ("(?i)PROJECT", True),
        ("(app|lib)+", True),
        ("[[:upper:]]", False),
        (r"\pL{3}", True),
        (r"(?P<tag>v\d)\z", True),
    ],
)
def test_a_pattern_is_searched_for(pattern: str, accepts: bool) -> None:  # noqa: FBT001
    leaf = Authority().leaf(WORKFLOW).certificate
    if accepts:
        wanted(regexp=pattern).verify(leaf)
    else:
        with pytest.raises(VerificationError, match="its identity is wrong: expected matching "):
            wanted(regexp=pattern).verify(leaf)


def test_a_text_must_be_equal() -> None:
    for other in (IDENTITY[1:], IDENTITY.upper(), f"{IDENTITY} "):
        with pytest.raises(VerificationError, match="identity is wrong"):
            wanted(other).verify(certificate())
    wanted(IDENTITY).verify(certificate())


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(.*)*(.*)*(.*)*(.*)*x$", "(?i)(A*)*b"])
def test_no_identity_keeps_a_pattern_busy(pattern: str) -> None:
    """Tries of all ways would take longer than the universe is old."""
    assert not Wanted.parse("", pattern).accepts("a" * 1000 + "!")


def test_a_pattern_that_go_lacks_is_refused_before_any_certificate_is_compared() -> None:
    for pattern in (r"b(a)\1", "b(?>a)", "ba*+", "ba{1001}", "(?=a)", r"\Z", "(", "["):
        with pytest.raises(UnsupportedError, match=r"the pattern .* is malformed: "):
            wanted(regexp=pattern)


def test_an_empty_identity_is_refused_because_it_would_match_all() -> None:
    with pytest.raises(UnsupportedError, match="would match any certificate"):
        wanted()


def test_a_name_with_a_line_break_matches_no_pattern() -> None:
    name = x509.OtherName(USER, asn1.encode_der(f"{IDENTITY}\n"))
    with pytest.raises(VerificationError, match="identity is wrong"):
        wanted(regexp="example").verify(certificate(name))


def test_a_name_of_fulcios_own_kind_is_read() -> None:
    wanted("someone!site").verify(certificate(x509.OtherName(USER, asn1.encode_der("someone!site"))))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: certificate(MAIL, x509.RFC822Name("attacker@x.example")), "must name one identity"),
        (lambda: certificate(x509.DNSName("project.example")), "neither an email address nor a URI"),
        (lambda: certificate(x509.OtherName(OLD, asn1.encode_der(IDENTITY))), "neither an email address nor a URI"),
        (lambda: certificate(new="https://evil.example"), "issuer is wrong"),
        (lambda: certificate(old=ISSUER, new="https://evil.example"), "must name one issuer"),
        (lambda: certificate(old="https://evil.example"), "must name one issuer"),
        (lambda: certificate(new=None), "must name one issuer"),
    ],
    ids=["two names", "a DNS name", "another kind", "issuer", "newer issuer", "older issuer", "no issuer"],
)
def test_a_certificate_that_is_ambiguous_or_anothers_is_refused(
    make: Callable[[], x509.Certificate], reason: str
) -> None:
    with pytest.raises(VerificationError, match=reason):
        wanted(IDENTITY).verify(make())


def test_the_older_extension_for_the_issuer_is_enough() -> None:
    wanted(IDENTITY).verify(certificate(old=ISSUER, new=None))
