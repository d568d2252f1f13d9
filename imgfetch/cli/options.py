"""What may be said on the command line and in the environment."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NoReturn

from imgfetch.cli import arguments as values
from imgfetch.cli.repeats import Collect, Once
from imgfetch.defaults import (
    CACHE_SIZE,
    FORMAT,
    JOBS,
    LAYERS,
    MAX_LAYER,
    MAX_WAIT,
    MTIME,
    PROGRESS,
    READ_TIMEOUT,
    RETRIES,
)

SHELLS = ("bash", "zsh", "fish")
FORMATS = (FORMAT, "docker-classic", "oci")
"""The names in `imgfetch.archive.formats.FORMATS`, which is not imported here, for help should not wait for it."""


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
    _add_inspect(
        commands.add_parser("inspect", allow_abbrev=False, help="show what an image or an archive is", epilog=_EPILOG)
    )
    _add_verify(commands.add_parser("verify", allow_abbrev=False, help="check an archive, without a network"))
    _add_cache(commands.add_parser("cache", allow_abbrev=False, help="the blobs that are kept for the next save"))
    _add_completion(
        commands.add_parser("completion", allow_abbrev=False, help="print what a shell needs to complete commands")
    )
    return top


def _add_completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help='for ~/.bashrc: eval "$(imgfetch completion bash)"')
    parser.set_defaults(command="completion", usage_error=parser.error, progress="none", quiet=False, verbose=0)


def _add_cache(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, what in (
        ("dir", "print where it is"),
        ("list", "print what it holds: digest, size, time since its last use; the least recently used first"),
        ("prune", "remove what no running save needs, the least recently used first"),
    ):
        command = commands.add_parser(name, allow_abbrev=False, help=what, description=what)
        command.add_argument(
            "--cache-dir", metavar="DIR", action=Once, help="the cache (default: the user's cache directory)"
        )
        command.set_defaults(command=f"cache {name}", usage_error=command.error)
        command.set_defaults(progress="none", quiet=False, verbose=0)
        if name == "list":
            command.add_argument("--json", action="store_true", help="as JSON: digest, size, age in seconds, part")
        if name == "prune":
            command.add_argument(
                "--keep", metavar="SIZE", type=values.size, default=0, help="until it is no larger than SIZE"
            )
            command.add_argument(
                "--older-than", metavar="TIME", type=values.span, help="what was not used for 90min, 12h, 30d"
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
        action=Once,
        default="-",
        help="the archive; '-', the default, is stdout; FILE.tar.gz, .tgz and .tar.zst are compressed",
    )
    add(
        "--platform",
        metavar="OS/ARCH[/VARIANT][,…]",
        action=Collect,
        type=values.platforms,
        help="the machines that the image is for; repeatable "
        "(default: $DOCKER_DEFAULT_PLATFORM, else linux on this architecture)",
    )
    add("--all-platforms", action="store_true", help="all platforms of an index, and what else it lists")
    add("--format", choices=FORMATS, action=Once, default=FORMAT, help="the kind of archive (default: %(default)s)")
    add("--layers", choices=LAYERS, action=Once, default=LAYERS[0], help="as the registry has them, or decompressed")
    add("--name", metavar="NAME[:TAG]", action=Once, type=values.name, help="what the image is called in the archive")
    add(
        "--base",
        metavar="FILE|REF",
        action="append",
        default=[],
        type=values.base,
        help="leave out the layers of this archive or image, which the host has; repeatable",
    )
    add("--if-changed", action="store_true", help="leave FILE alone if it holds exactly this; one request")
    add("--dry-run", action="store_true", help="say what would be fetched and written, and do neither")
    add("--json", action="store_true", help="with --dry-run, as JSON")
    add("-j", "--jobs", metavar="N", type=values.jobs, help=f"layers fetched at a time (default: {JOBS})")
    add(
        "--cache-dir",
        metavar="DIR",
        action=Once,
        help="where verified blobs are kept (default: the user's cache directory)",
    )
    add("--no-cache", action="store_true", help="keep no blobs, but of a save to a file that fails")
    add(
        "--cache-size",
        metavar="SIZE",
        type=values.size,
        help="what the cache may grow to, such as 500MB or 10GiB (default: 10GiB)",
    )
    add(
        "--max-layer-size",
        metavar="SIZE",
        type=values.size,
        help="refuse a layer that is larger when it is decompressed (default: 100GiB)",
    )
    add("--strict", action="store_true", help="fail where something odd is otherwise tolerated with a warning")
    add("-q", "--quiet", action="store_true", help="no progress and no summary; warnings and errors are shown")
    add(
        "--progress",
        metavar="|".join(PROGRESS),
        type=values.progress,
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
        type=values.reference,
        help="an image: [REGISTRY/]REPOSITORY[:TAG][@DIGEST]",
    )
    add(
        "-i",
        "--images",
        metavar="FILE",
        action="append",
        default=[],
        help="further images from a file, one a line, # begins a comment; '-' is stdin; repeatable",
    )


def _add_digest(parser: argparse.ArgumentParser) -> None:
    _add_references(parser)
    _add_platform(
        parser, "the digest of this platform's manifest (default: of what the name points at, for all platforms)"
    )
    parser.add_argument(
        "--keep-tag", action="store_true", help="print NAME:TAG@DIGEST, so that a save of it keeps the tag"
    )
    _add_quiet(parser, "digest")


def _add_tags(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("references", metavar="REPOSITORY", nargs=1, type=values.reference, help="such as quay.io/x/y")
    add("--sort", action="store_true", help="in natural order, 1.9 before 1.10 (default: the registry's)")
    add("--json", action="store_true", help="as a JSON array")
    _add_quiet(parser, "tags")


def _add_inspect(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("target", metavar="REF|FILE", type=values.base, help="an image, or an archive, ours or another tool's")
    _add_platform(parser, "the image for this platform (default: linux on this architecture; in a file, all)")
    add("--json", action="store_true", help="as JSON")
    add("--raw", action="store_true", help="only the bytes of the manifest, or of the index that the name points at")
    _add_quiet(parser, "inspect")


def _add_verify(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("file", metavar="FILE", type=Path, help="an archive, ours or another tool's; may be compressed as a whole")
    add(
        "wanted",
        metavar="NAME@DIGEST",
        nargs="*",
        type=values.reference,
        help="what it should hold: NAME[:TAG]@DIGEST, as imgfetch digest prints it",
    )
    add("--json", action="store_true", help="as JSON")
    add("-q", "--quiet", action="store_true", help="no progress")
    add("--progress", metavar="|".join(PROGRESS), type=values.progress, help="on stderr (default: auto)")
    parser.set_defaults(command="verify", usage_error=parser.error, verbose=0)


def _add_platform(parser: argparse.ArgumentParser, what: str) -> None:
    """Add the platform for commands that take one, and have a default of their own."""
    parser.add_argument(
        "--platform", metavar="OS/ARCH[/VARIANT]", action=Collect, type=values.platforms, default=[], help=what
    )


def _add_quiet(parser: argparse.ArgumentParser, command: str) -> None:
    """Add what a command has that asks a registry and shows no progress."""
    parser.add_argument("--strict", action="store_true", help="fail where something odd is otherwise tolerated")
    parser.add_argument("-v", "--verbose", action="count", default=0, help="log requests; twice for more")
    _add_access(parser)
    parser.set_defaults(command=command, usage_error=parser.error, progress="none", quiet=False)


def _add_access(parser: argparse.ArgumentParser) -> None:
    """Add what every command has that speaks to a registry."""
    add = parser.add_argument_group("access to the registry").add_argument
    add("-u", "--username", metavar="USER", action=Once, help="log in as USER; with --password-stdin")
    add("--password-stdin", action="store_true", help="read the password, or token, from stdin")
    add("--password", action=_NoPassword, help=argparse.SUPPRESS)
    add("--retries", metavar="N", type=values.retries, help=f"further attempts where one failed (default: {RETRIES})")
    add(
        "--max-wait",
        metavar="SECONDS",
        type=values.seconds,
        help=f"wait so long at most when the registry asks for it (default: {MAX_WAIT:.0f})",
    )
    add(
        "--timeout",
        metavar="SECONDS",
        type=values.seconds,
        help=f"give a connection up on which nothing comes for so long (default: {READ_TIMEOUT:.0f})",
    )
    add("--authfile", metavar="FILE", action=Once, type=Path, help="logins, instead of docker's and podman's files")
    add("--anonymous", action="store_true", help="use no login")
    add(
        "--ca-file", metavar="FILE", type=Path, action="append", help="believe this CA besides the system's; repeatable"
    )
    add(
        "--certs-dir",
        metavar="DIR",
        action=Once,
        type=Path,
        help="look here first for a host's certificates (certs.d)",
    )
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
        type=values.override,
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
    for name in _VARIABLES:
        if getattr(arguments, name, "") is not None:  # it is given, or not asked for by this command
            continue
        setattr(arguments, name, from_environment(arguments, name, environment))


def from_environment(arguments: argparse.Namespace, name: str, environment: Mapping[str, str]) -> object:
    """Return what holds of an argument that the command line does not give."""
    variable, parse, default = _VARIABLES[name]
    value = environment.get(variable)
    try:
        return parse(value) if value else default()
    except argparse.ArgumentTypeError as error:
        usage(arguments, f"${variable}: {error}")


def usage(arguments: argparse.Namespace, message: str) -> NoReturn:
    """End the program, for it was called in a way that means nothing."""
    error: Callable[[str], NoReturn] = arguments.usage_error
    error(message)


_VARIABLES: Mapping[str, tuple[str, Callable[[str], object], Callable[[], object]]] = {
    "platform": ("DOCKER_DEFAULT_PLATFORM", values.platforms, list),
    "jobs": ("IMGFETCH_JOBS", values.jobs, lambda: JOBS),
    "cache_dir": ("IMGFETCH_CACHE_DIR", str, lambda: None),
    "cache_size": ("IMGFETCH_CACHE_SIZE", values.size, lambda: CACHE_SIZE),
    "max_layer_size": ("IMGFETCH_MAX_LAYER_SIZE", values.size, lambda: MAX_LAYER),
    "retries": ("IMGFETCH_RETRIES", values.retries, lambda: RETRIES),
    "max_wait": ("IMGFETCH_MAX_WAIT", values.seconds, lambda: MAX_WAIT),
    "timeout": ("IMGFETCH_TIMEOUT", values.seconds, lambda: READ_TIMEOUT),
    "progress": ("IMGFETCH_PROGRESS", values.progress, lambda: "auto"),
    "ca_file": ("IMGFETCH_CA_FILE", lambda text: [Path(text)], list),
    "certs_dir": ("IMGFETCH_CERTS_DIR", Path, lambda: None),
    "insecure": ("IMGFETCH_INSECURE", str.split, list),
    "plain_http": ("IMGFETCH_PLAIN_HTTP", values.flag, lambda: False),
    "mirror": ("IMGFETCH_MIRROR", str.split, list),
    "trust_realm": ("IMGFETCH_TRUST_REALM", str.split, list),
    "realm_override": ("IMGFETCH_REALM_OVERRIDE", values.overrides, list),
    "source_date_epoch": ("SOURCE_DATE_EPOCH", values.epoch, lambda: MTIME),
}
"""What the environment says of an argument: the variable, its reading, and what holds without it."""
