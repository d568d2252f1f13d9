"""The identity that a certificate must name, and the issuer that must have checked it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import Any

import re2  # type: ignore[import-untyped,unused-ignore]
from cryptography import x509
from cryptography.hazmat import asn1

from imgfetch.errors import UnsupportedError, VerificationError
from imgfetch.text import quoted

_ISSUER = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.1")
_ISSUER_V2 = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.8")
_USER_NAME = x509.ObjectIdentifier("1.3.6.1.4.1.57264.1.7")
"""Extensions of Fulcio's certificates, by its list of object identifiers."""


@dataclass(frozen=True)
class Wanted:
    """A text, or a pattern that is searched for by the library that Go's follows.

    The name is a stranger's choice, and this library's time grows with it, and not with the ways to match it.
    """

    text: str = ""
    pattern: Any = None

    @classmethod
    def parse(cls, text: str, pattern: str) -> Wanted:
        """Return one of the two.

        Raises:
            UnsupportedError: the pattern is malformed or has no meaning in Go, or both are empty.
        """
        if not text and not pattern:
            raise UnsupportedError("an empty identity or issuer would match any certificate")
        if text:
            return cls(text)
        options = re2.Options()
        options.log_errors = False
        try:
            return cls(pattern=re2.compile(pattern, options))
        except re2.error as error:
            reason = error.args[0].decode(errors="replace") if error.args else ""
            raise UnsupportedError(f"the pattern {quoted(pattern)} is malformed: {quoted(reason)}") from None

    def accepts(self, value: str) -> bool:
        """Return whether a certificate's value is the wanted one; one with control characters never is."""
        if not value or any(unicodedata.category(character) == "Cc" for character in value):
            return False
        return value == self.text if self.pattern is None else self.pattern.search(value) is not None

    def __str__(self) -> str:
        """Return it as messages show it."""
        return quoted(self.text) if self.pattern is None else f"matching {quoted(self.pattern.pattern)}"


@dataclass(frozen=True)
class Identity:
    """The subject and the issuer that a certificate must have; suits sigstore as a policy."""

    subject: Wanted
    issuer: Wanted

    def verify(self, cert: x509.Certificate) -> None:
        """Require that a certificate has them.

        Raises:
            VerificationError: it has others.
        """
        if not self.subject.accepts(subject := _subject(cert)):
            raise VerificationError("its identity is wrong", wanted=str(self.subject), got=quoted(subject))
        if not self.issuer.accepts(issuer := _issuer(cert)):
            raise VerificationError("its issuer is wrong", wanted=str(self.issuer), got=quoted(issuer))


def _subject(cert: x509.Certificate) -> str:
    """Return the only subject alternative name: an address, a URI, or a name of another kind by Fulcio."""
    names = list(cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    if len(names) != 1:
        raise VerificationError("its certificate must name one identity", wanted="1", got=str(len(names)))
    name = names[0]
    if isinstance(name, x509.RFC822Name | x509.UniformResourceIdentifier):
        return name.value
    if isinstance(name, x509.OtherName) and name.type_id == _USER_NAME:
        return asn1.decode_der(str, name.value)
    raise VerificationError("its certificate names neither an email address nor a URI")


def _issuer(cert: x509.Certificate) -> str:
    """Return the issuer of the token; the older extension is plain text, and must not contradict the newer one."""
    old, new = _extension(cert, _ISSUER), _extension(cert, _ISSUER_V2)
    issuers = {asn1.decode_der(str, new)} if new is not None else set()
    issuers |= {old.decode()} if old is not None else set()
    if len(issuers) != 1:
        raise VerificationError("its certificate must name one issuer", wanted="1", got=str(len(issuers)))
    return issuers.pop()


def _extension(cert: x509.Certificate, oid: x509.ObjectIdentifier) -> bytes | None:
    for extension in cert.extensions:
        if extension.oid == oid and isinstance(extension.value, x509.UnrecognizedExtension):
            return extension.value.value
    return None
