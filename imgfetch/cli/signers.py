"""The keys and the identity that must have signed, from the options of a command line."""

from __future__ import annotations

import argparse

from imgfetch.cli.options import usage
from imgfetch.signatures.load import CertificateIdentity, load_policy
from imgfetch.signatures.policy import Policy


def policy(arguments: argparse.Namespace) -> Policy:
    """Return the keys and the identity that must have signed each image."""
    identity, issuer = arguments.certificate_identity, arguments.certificate_oidc_issuer
    identity_regexp, issuer_regexp = arguments.certificate_identity_regexp, arguments.certificate_oidc_issuer_regexp
    root = arguments.trusted_root
    needed = {
        "--certificate-identity or --certificate-identity-regexp": (identity, identity_regexp),
        "--certificate-oidc-issuer or --certificate-oidc-issuer-regexp": (issuer, issuer_regexp),
        "--trusted-root": (root,),
    }
    given = {names: [value for value in values if value is not None] for names, values in needed.items()}
    if not any(given.values()):
        return load_policy(arguments.key)
    for names, values in given.items():
        if len(values) != 1 or not str(values[0]):
            usage(arguments, f"a signature by a certificate needs {names}{', not both' if len(values) > 1 else ''}")
    wanted = CertificateIdentity(root, identity or "", issuer or "", identity_regexp or "", issuer_regexp or "")
    return load_policy(arguments.key, wanted)
