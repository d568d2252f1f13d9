"""What may be said on the command line and in the environment."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit

from imgfetch import errors, ustar
from imgfetch.defaults import (
    CACHE_SIZE,
    FORMAT,
    JOBS,
    LAYERS,
    LONGEST_WAIT,
    MAX_LAYER,
    MAX_WAIT,
    MTIME,
    READ_TIMEOUT,
    RETRIES,
)
from imgfetch.display import DISPLAYS
from imgfetch.origin import Origin
from imgfetch.platforms import Platform
from imgfetch.printable import quoted
from imgfetch.reference import Reference
from imgfetch.targets import is_file

MAX_JOBS = 64
FORMATS = (FORMAT, "docker-classic", "oci")
"""The names in `imgfetch.formats.FORMATS`, which is not imported here, for help should not wait for it."""
MAX_RETRIES = 100


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="imgfetch",
        allow_abbrev=False,
        description="Take a container image from a registry to a file, without a container engine.",
    )
    top.add_argument("--version", action="store_true", help="show the version; with -v, those of the libraries too")
    top.add_argument("-v", "--verbose", dest="above", action="store_true", help=argparse.SUPPRESS)
    commands = top.add_subparsers(metavar="COMMAND")
    top.set_defaults(command="", usage_error=top.error)
    _add_save(
        commands.add_parser(
            "save", allow_abbrev=False, help="pull images, verify them, write an archive", epilog=_EPILOG
        )
    )
    _add_digest(
        commands.add_parser(
            "digest", allow_abbrev=False, help="print REGISTRY/REPOSITORY@DIGEST of images, to pin them", epilog=_EPILOG
        )
    )
    _add_tags(commands.add_parser("tags", allow_abbrev=False, help="print the tags of a repository", epilog=_EPILOG))
    _add_verify(commands.add_parser("verify", allow_abbrev=False, help="check an archive, without a network"))
    _add_cache(commands.add_parser("cache", allow_abbrev=False, help="the blobs that are kept for the next save"))
    return top


def _add_cache(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, what in (
        ("dir", "print where it is"),
        ("list", "print what it holds: digest, size, time since its last use; the least recently used first"),
        ("prune", "remove what no running save needs, the least recently used first"),
    ):
        command = commands.add_parser(name, allow_abbrev=False, help=what, description=what)
        command.add_argument("--cache-dir", metavar="DIR", help="the cache (default: the user's cache directory)")
        command.set_defaults(command=f"cache {name}", usage_error=command.error)
        command.set_defaults(progress="none", quiet=False, verbose=0)
        if name == "list":
            command.add_argument("--json", action="store_true", help="as JSON: digest, size, age in seconds, part")
        if name == "prune":
            command.add_argument(
                "--keep", metavar="SIZE", type=_size, default=0, help="until it is no larger than SIZE"
            )
            command.add_argument(
                "--older-than", metavar="TIME", type=_span, help="what was not used for 90min, 12h, 30d"
            )


_EPILOG = (
    "environment: DOCKER_DEFAULT_PLATFORM, SOURCE_DATE_EPOCH; docker's and podman's DOCKER_CONFIG, "
    "DOCKER_AUTH_CONFIG, REGISTRY_AUTH_FILE; SSL_CERT_FILE, SSL_CERT_DIR, REQUESTS_CA_BUNDLE; HTTP_PROXY, HTTPS_PROXY, "
    "ALL_PROXY, NO_PROXY; and IMGFETCH_CACHE_DIR, CACHE_SIZE, MAX_LAYER_SIZE, "
    "RETRIES, MAX_WAIT, TIMEOUT, JOBS, PROGRESS, CA_FILE, CERTS_DIR, INSECURE, PLAIN_HTTP, MIRROR, "
    "TRUST_REALM, REALM_OVERRIDE, several values with spaces between. "
    "exit status: 0 done; 1 not an image, unsupported; 2 usage; 3 not found; 4 access; 5 network; "
    "6 verification; 7 disk; 130, 143 interrupted, terminated"
)


def _add_save(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    _add_references(parser)
    add(
        "-o",
        "--output",
        metavar="FILE",
        default="-",
        help="the archive; '-', the default, is stdout; FILE.tar.gz, .tgz and .tar.zst are compressed",
    )
    add(
        "--platform",
        metavar="OS/ARCH[/VARIANT][,…]",
        type=_platforms,
        help="the machines that the image is for (default: $DOCKER_DEFAULT_PLATFORM, else linux on this architecture)",
    )
    add("--all-platforms", action="store_true", help="all platforms of an index, and what else it lists")
    add("--format", choices=FORMATS, default=FORMAT, help="the kind of archive (default: %(default)s)")
    add("--layers", choices=LAYERS, default=LAYERS[0], help="as the registry has them, or decompressed")
    add("--name", metavar="NAME[:TAG]", type=_name, help="what the image is called in the archive")
    add(
        "--base",
        metavar="FILE|REF",
        action="append",
        default=[],
        type=_base,
        help="leave out the layers of this archive or image, which the host has; repeatable",
    )
    add("--if-changed", action="store_true", help="leave FILE alone if it holds exactly this; one request")
    add("--dry-run", action="store_true", help="say what would be fetched and written, and do neither")
    add("--json", action="store_true", help="with --dry-run, as JSON")
    add("-j", "--jobs", metavar="N", type=_jobs, help=f"layers fetched at a time (default: {JOBS})")
    add("--cache-dir", metavar="DIR", help="where verified blobs are kept (default: the user's cache directory)")
    add("--no-cache", action="store_true", help="keep no blobs, but of a save to a file that fails")
    add(
        "--cache-size",
        metavar="SIZE",
        type=_size,
        help="what the cache may grow to, such as 500MB or 10GiB (default: 10GiB)",
    )
    add(
        "--max-layer-size",
        metavar="SIZE",
        type=_size,
        help="refuse a layer that is larger when it is decompressed (default: 100GiB)",
    )
    add("--strict", action="store_true", help="fail where something odd is otherwise tolerated with a warning")
    add("-q", "--quiet", action="store_true", help="no progress and no summary; warnings and errors are shown")
    add(
        "--progress",
        metavar="|".join(_PROGRESS),
        type=_progress,
        help="on stderr (default: auto, which is bar on a terminal and plain elsewhere)",
    )
    add("-v", "--verbose", action="count", default=0, help="log requests; twice for more")
    _add_access(parser)
    parser.set_defaults(command="save", usage_error=parser.error, source_date_epoch=None)


def _add_references(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "references",
        metavar="REF",
        nargs="*",
        type=_reference,
        help="an image: [REGISTRY/]REPOSITORY[:TAG][@DIGEST]",
    )
    add(
        "-i",
        "--images",
        metavar="FILE",
        action="append",
        default=[],
        help="further images from a file, one a line, # begins a comment; '-' is stdin",
    )


def _add_digest(parser: argparse.ArgumentParser) -> None:
    _add_references(parser)
    add = parser.add_argument
    add(
        "--platform",
        metavar="OS/ARCH[/VARIANT]",
        type=_platforms,
        default=[],
        help="the digest of this platform's manifest (default: of what the name points at, for all platforms)",
    )
    add("--keep-tag", action="store_true", help="print NAME:TAG@DIGEST, so that a save of it keeps the tag")
    _add_quiet(parser, "digest")


def _add_tags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("references", metavar="REPOSITORY", nargs=1, type=_reference, help="such as quay.io/x/y")
    add("--sort", action="store_true", help="in natural order, 1.9 before 1.10 (default: the registry's)")
    add("--json", action="store_true", help="as a JSON array")
    _add_quiet(parser, "tags")


def _add_verify(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", type=Path, help="an archive, ours or another tool's; may be compressed as a whole")
    add(
        "wanted",
        metavar="NAME@DIGEST",
        nargs="*",
        type=_reference,
        help="what it should hold: NAME[:TAG]@DIGEST, as imgfetch digest prints it",
    )
    add("--json", action="store_true", help="as JSON")
    add("-q", "--quiet", action="store_true", help="no progress")
    add("--progress", metavar="|".join(_PROGRESS), type=_progress, help="on stderr (default: auto)")
    parser.set_defaults(command="verify", usage_error=parser.error, verbose=0)


def _add_quiet(parser: argparse.ArgumentParser, command: str) -> None:
    """Add what a command has that asks a registry and shows no progress."""
    parser.add_argument("--strict", action="store_true", help="fail where something odd is otherwise tolerated")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="log requests; twice for more")
    _add_access(parser)
    parser.set_defaults(command=command, usage_error=parser.error, progress="none", quiet=False)


def _add_access(parser: argparse.ArgumentParser) -> None:
    """Add what every command has that speaks to a registry."""
    add = parser.add_argument_group("access to the registry").add_argument
    add("-u", "--username", metavar="USER", help="log in as USER; with --password-stdin")
    add("--password-stdin", action="store_true", help="read the password, or token, from stdin")
    add("--password", action=_NoPassword, help=argparse.SUPPRESS)
    add("--retries", metavar="N", type=_retries, help=f"further attempts where one failed (default: {RETRIES})")
    add(
        "--max-wait",
        metavar="SECONDS",
        type=_seconds,
        help=f"wait so long at most when the registry asks for it (default: {MAX_WAIT:.0f})",
    )
    add(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        help=f"give a connection up on which nothing comes for so long (default: {READ_TIMEOUT:.0f})",
    )
    add("--authfile", metavar="FILE", type=Path, help="logins, instead of docker's and podman's files")
    add("--anonymous", action="store_true", help="use no login")
    add(
        "--ca-file", metavar="FILE", type=Path, action="append", help="believe this CA besides the system's; repeatable"
    )
    add("--certs-dir", metavar="DIR", type=Path, help="look here first for a host's certificates (certs.d)")
    add("--insecure", metavar="HOST", action="append", help="check no certificate of HOST[:PORT]; repeatable")
    add("--plain-http", action="store_true", default=None, help="ask registries by http")
    add(
        "--mirror",
        metavar="[REGISTRY=]URL",
        action="append",
        help="ask here first, for docker.io or REGISTRY; repeatable",
    )
    add("--no-mirror", action="store_true", help="ask no mirror, configured or not")
    add("--trust-realm", metavar="HOST", action="append", help="this token server may be told a login; repeatable")
    add(
        "--realm-override",
        metavar="HOST[:PORT]=URL",
        action="append",
        type=_override,
        help="ask here instead of the token server that a registry announces at HOST; repeatable",
    )


class _NoPassword(argparse.Action):
    """Refuses a password where every user of the machine could read it (S14)."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        parser.error("a password on the command line can be read by others; use --password-stdin")


def fill_in(arguments: argparse.Namespace, environment: Mapping[str, str]) -> None:
    """Take from the environment, and then from the defaults, what the command line does not say."""
    if not getattr(arguments, "references", True) and not arguments.images:
        usage(arguments, "a reference is missing")
    for name, (variable, parse, default) in _VARIABLES.items():
        if getattr(arguments, name, "") is not None:  # it is given, or not asked for by this command
            continue
        value = environment.get(variable)
        try:
            setattr(arguments, name, parse(value) if value else default())
        except argparse.ArgumentTypeError as error:
            usage(arguments, f"${variable}: {error}")


def usage(arguments: argparse.Namespace, message: str) -> NoReturn:
    """End the program, for it was called in a way that means nothing."""
    error: Callable[[str], NoReturn] = arguments.usage_error
    error(message)


def _reference(text: str) -> Reference:
    try:
        return Reference.parse(text)
    except errors.InvalidReferenceError as error:
        raise argparse.ArgumentTypeError(_with_hint(error)) from None


def _platform(text: str) -> Platform:
    try:
        return Platform.parse(text)
    except errors.InvalidPlatformError as error:
        raise argparse.ArgumentTypeError(_with_hint(error)) from None


def _base(text: str) -> str | Reference:
    return text if is_file(text) else _reference(text)


def _platforms(text: str) -> list[Platform]:
    return [_platform(part) for part in text.split(",")]


def _name(text: str) -> Reference:
    reference = _reference(text)
    if reference.digest:
        raise argparse.ArgumentTypeError(f"{quoted(text)} has a digest, which is no name in an archive")
    return reference


def _jobs(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= MAX_JOBS):  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number from 1 to {MAX_JOBS}")
    return int(text)


def _retries(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text[:4]) <= MAX_RETRIES and len(text) < 9):  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number from 0 to {MAX_RETRIES}")
    return int(text)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text)
    if match is None or not 0 < float(text) <= LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number of seconds up to {LONGEST_WAIT:.0f}")
    return float(text)


def _size(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,15})(?:\.([0-9]{1,3}))? ?([kKMGT]i?)?B?", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no size, such as 500MB or 10GiB")
    whole, part, unit = match[1], match[2] or "", (match[3] or "").upper()
    power = "KMGT".index(unit[0]) + 1 if unit else 0
    base = 1024 if unit.endswith("I") else 1000
    return int(int(f"{whole}{part}") * base**power // 10 ** len(part))


def _span(text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,6})(s|min|h|d)", text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no time, such as 90min, 12h or 30d")
    return int(match[1]) * {"s": 1, "min": 60, "h": 3600, "d": 86400}[match[2]]


def _override(text: str) -> tuple[str, str]:
    announced, equals, url = text.partition("=")
    try:
        if announced and equals and Origin.of(url) and not urlsplit(url).path.strip("/"):
            return announced.lower(), url
    except errors.TransportError:
        pass
    # What stands behind the sign may hold a password by mistake (S13).
    raise argparse.ArgumentTypeError(f"{quoted(announced)}=… is not HOST[:PORT]=http[s]://HOST[:PORT]")


def _overrides(text: str) -> list[tuple[str, str]]:
    return [_override(part) for part in text.split()]


def _progress(text: str) -> str:
    if text not in _PROGRESS:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is none of {', '.join(_PROGRESS)}")
    return text


def _flag(text: str) -> bool:
    if text not in ("0", "1"):
        raise argparse.ArgumentTypeError(f"{quoted(text)} is neither 0 nor 1")
    return text == "1"


def _epoch(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= ustar.MAX_OCTAL):  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no number of seconds since 1970 that fits in a tar")
    return int(text)


_PROGRESS = ("auto", "bar", *DISPLAYS)

_VARIABLES: Mapping[str, tuple[str, Callable[[str], object], Callable[[], object]]] = {
    "platform": ("DOCKER_DEFAULT_PLATFORM", _platforms, list),
    "jobs": ("IMGFETCH_JOBS", _jobs, lambda: JOBS),
    "cache_dir": ("IMGFETCH_CACHE_DIR", str, lambda: None),
    "cache_size": ("IMGFETCH_CACHE_SIZE", _size, lambda: CACHE_SIZE),
    "max_layer_size": ("IMGFETCH_MAX_LAYER_SIZE", _size, lambda: MAX_LAYER),
    "retries": ("IMGFETCH_RETRIES", _retries, lambda: RETRIES),
    "max_wait": ("IMGFETCH_MAX_WAIT", _seconds, lambda: MAX_WAIT),
    "timeout": ("IMGFETCH_TIMEOUT", _seconds, lambda: READ_TIMEOUT),
    "progress": ("IMGFETCH_PROGRESS", _progress, lambda: "auto"),
    "ca_file": ("IMGFETCH_CA_FILE", lambda text: [Path(text)], list),
    "certs_dir": ("IMGFETCH_CERTS_DIR", Path, lambda: None),
    "insecure": ("IMGFETCH_INSECURE", str.split, list),
    "plain_http": ("IMGFETCH_PLAIN_HTTP", _flag, lambda: False),
    "mirror": ("IMGFETCH_MIRROR", str.split, list),
    "trust_realm": ("IMGFETCH_TRUST_REALM", str.split, list),
    "realm_override": ("IMGFETCH_REALM_OVERRIDE", _overrides, list),
    "source_date_epoch": ("SOURCE_DATE_EPOCH", _epoch, lambda: MTIME),
}
"""What the environment says of an argument: the variable, its reading, and what holds without it."""


def _with_hint(error: errors.ImgfetchError) -> str:
    return f"{error} ({error.hint})" if error.hint else str(error)
