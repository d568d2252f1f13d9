"""The options that several commands have, with their variables, their defaults and their help."""

from __future__ import annotations

import argparse
from pathlib import Path

from imgfetch import defaults
from imgfetch.cli import parse
from imgfetch.cli.options import Collect, Group, NoPassword, Option, each, once, switch

PLATFORM = Option(
    "--platform OS/ARCH[/VARIANT][,...] $DOCKER_DEFAULT_PLATFORM",
    parse.platforms,
    "save the image for these platforms; repeatable "
    "(default: $DOCKER_DEFAULT_PLATFORM, else linux on this machine's architecture)",
    default=[],
    action=Collect,
)
ONE_PLATFORM = PLATFORM._replace(spec="--platform OS/ARCH[/VARIANT]")
CACHE_DIR = once(
    "--cache-dir DIR $IMGFETCH_CACHE_DIR", str, "directory for verified blobs (default: the user's cache directory)"
)
JSON = switch("--json", help="print the result as JSON, for scripts")
STRICT = switch("--strict", help="treat warnings about nonconforming images or registries as errors")
QUIET = switch("-q --quiet", help="show only warnings and errors")
SHOWN = Option(
    f"--progress {'|'.join(defaults.PROGRESS)} $IMGFETCH_PROGRESS",
    parse.one_of(defaults.PROGRESS),
    "how to show progress on stderr (default: auto, which is bar on a terminal and plain elsewhere)",
    default="auto",
)
VERBOSE = Option("-v --verbose", int, "log requests to stderr; -vv logs more", action="count", default=0)
REFERENCES = (
    Option("references REF", parse.image, "an image: [REGISTRY/]REPOSITORY[:TAG][@DIGEST]", nargs="*"),
    each(
        "-i --images FILE",
        str,
        "also read images from FILE, one per line, with --platform and --name of its own; # begins a comment; "
        "- is stdin; repeatable",
    ),
)
SIGNATURES = Group(
    "signatures",
    each("--key FILE", Path, "require a signature by this public key, such as cosign.pub; repeatable"),
    once("--certificate-identity ID", str, "require a signature by a certificate for this email address or URI"),
    once("--certificate-identity-regexp RE", str, "the same, for an identity in which RE is found"),
    once("--certificate-oidc-issuer URL", str, "the issuer that checked the identity"),
    once("--certificate-oidc-issuer-regexp RE", str, "the same, for an issuer in which RE is found"),
    once("--trusted-root FILE", Path, "the trusted authorities and logs of certificates, in sigstore's JSON"),
)
ACCESS = (
    Group(
        "credentials",
        once("-u --username USER", str, "log in as USER; asks for the password at a terminal"),
        switch("--password-stdin", help="read the password or token from stdin"),
        Option("--password", str, argparse.SUPPRESS, action=NoPassword),
        once("--authfile FILE", Path, "read credentials from FILE instead of docker's and podman's files"),
        switch("--anonymous", help="use no credentials"),
        each(
            "--trust-realm HOST $IMGFETCH_TRUST_REALM",
            str,
            "also send credentials to token server HOST; repeatable",
            parse_variable=str.split,
        ),
        each(
            "--realm-override HOST[:PORT]=URL $IMGFETCH_REALM_OVERRIDE",
            parse.override,
            "when a registry names a token server on HOST, use URL instead; repeatable",
            parse_variable=parse.overrides,
        ),
    ),
    Group(
        "access to the registry",
        each(
            "--mirror [REGISTRY=]URL $IMGFETCH_MIRROR",
            str,
            "try this mirror of REGISTRY (or Docker Hub) first; repeatable",
            parse_variable=str.split,
        ),
        switch("--no-mirror", help="use no mirrors, not even configured ones"),
        each(
            "--ca-file FILE $IMGFETCH_CA_FILE",
            Path,
            "trust this CA in addition to the system's; repeatable",
            parse_variable=lambda text: [Path(text)],
        ),
        once(
            "--certs-dir DIR $IMGFETCH_CERTS_DIR",
            Path,
            "look for a host's certificates first in DIR (laid out like docker's certs.d)",
        ),
        each(
            "--insecure HOST $IMGFETCH_INSECURE",
            str,
            "do not verify the certificate of HOST[:PORT]; repeatable",
            parse_variable=str.split,
        ),
        switch(
            "--plain-http $IMGFETCH_PLAIN_HTTP",
            help="use http instead of https for registries",
            parse_variable=parse.flag,
        ),
        Option(
            "--retries N $IMGFETCH_RETRIES",
            parse.whole(0, 100),
            f"number of retries after the first attempt (default: {defaults.RETRIES})",
            default=defaults.RETRIES,
        ),
        Option(
            "--max-wait SECONDS $IMGFETCH_MAX_WAIT",
            parse.seconds,
            f"longest wait the registry may request (default: {defaults.MAX_WAIT:.0f})",
            default=defaults.MAX_WAIT,
        ),
        Option(
            "--timeout SECONDS $IMGFETCH_TIMEOUT",
            parse.seconds,
            f"drop a connection after SECONDS without data (default: {defaults.READ_TIMEOUT:.0f})",
            default=defaults.READ_TIMEOUT,
        ),
    ),
)
