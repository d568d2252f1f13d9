"""The commands, each option with its variable, its default and its help, and the parser that is made from them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, get_args

from imgfetch import defaults
from imgfetch.cli import parse
from imgfetch.cli.options import Collect, NoPassword, Option, each, once, switch, usage

SHELLS = ("bash", "zsh", "fish")
FORMATS = get_args(defaults.ArchiveFormat)
"""The names in `imgfetch.archive.formats.FORMATS`, which is not imported here, because help should not wait for it."""
_EPILOG = (
    "environment: DOCKER_DEFAULT_PLATFORM, SOURCE_DATE_EPOCH; docker's and podman's DOCKER_CONFIG, "
    "DOCKER_AUTH_CONFIG, REGISTRY_AUTH_FILE; SSL_CERT_FILE, SSL_CERT_DIR, REQUESTS_CA_BUNDLE; HTTP_PROXY, HTTPS_PROXY, "
    "ALL_PROXY, NO_PROXY; and IMGFETCH_CACHE_DIR, CACHE_SIZE, MAX_LAYER_SIZE, "
    "RETRIES, MAX_WAIT, TIMEOUT, JOBS, PROGRESS, CA_FILE, CERTS_DIR, INSECURE, PLAIN_HTTP, MIRROR, "
    "TRUST_REALM, REALM_OVERRIDE, several values with spaces between. "
    "exit status: 0 done; 1 not an image, unsupported; 2 usage; 3 not found; 4 access; 5 network; "
    "6 verification; 7 disk; 130, 143 interrupted, terminated"
)


class Command(NamedTuple):
    """A command.

    Attributes:
        help: its line in the list of commands.
        options: its own options.
        asks_registry: whether it has `ACCESS` besides.
    """

    help: str
    options: tuple[Option, ...]
    asks_registry: bool = False

    @property
    def all_options(self) -> tuple[Option, ...]:
        """Its own options, and those for access to a registry."""
        return self.options + ACCESS if self.asks_registry else self.options


VERBOSE = Option("-v --verbose", int, "log requests; twice for more", action="count", default=0)
STRICT = switch("--strict", help="fail where something odd is otherwise tolerated")
JSON = switch("--json", help="as JSON")
PLATFORM = Option(
    "--platform OS/ARCH[/VARIANT][,…] $DOCKER_DEFAULT_PLATFORM",
    parse.platforms,
    "the machines that the image is for; repeatable "
    "(default: $DOCKER_DEFAULT_PLATFORM, else linux on this architecture)",
    default=[],
    action=Collect,
)
ONE_PLATFORM = PLATFORM._replace(spec="--platform OS/ARCH[/VARIANT]")
CACHE_DIR = once(
    "--cache-dir DIR $IMGFETCH_CACHE_DIR", str, "where verified blobs are kept (default: the user's cache directory)"
)
THE_CACHE = CACHE_DIR._replace(help="the cache (default: the user's cache directory)")
QUIET = switch("-q --quiet", help="no progress and no summary; warnings and errors are shown")
SHOWN = Option(
    f"--progress {'|'.join(defaults.PROGRESS)} $IMGFETCH_PROGRESS",
    parse.progress,
    "on stderr (default: auto, which is bar on a terminal and plain elsewhere)",
    default="auto",
)
REFERENCES = (
    Option("references REF", parse.reference, "an image: [REGISTRY/]REPOSITORY[:TAG][@DIGEST]", nargs="*"),
    each(
        "-i --images FILE", str, "further images from a file, one a line, # begins a comment; '-' is stdin; repeatable"
    ),
)
ACCESS = (
    once("-u --username USER", str, "log in as USER; with --password-stdin"),
    switch("--password-stdin", help="read the password, or token, from stdin"),
    Option("--password", str, argparse.SUPPRESS, action=NoPassword),
    Option(
        "--retries N $IMGFETCH_RETRIES",
        parse.whole(0, 100),
        f"further attempts where one failed (default: {defaults.RETRIES})",
        default=defaults.RETRIES,
    ),
    Option(
        "--max-wait SECONDS $IMGFETCH_MAX_WAIT",
        parse.seconds,
        f"wait so long at most when the registry asks for it (default: {defaults.MAX_WAIT:.0f})",
        default=defaults.MAX_WAIT,
    ),
    Option(
        "--timeout SECONDS $IMGFETCH_TIMEOUT",
        parse.seconds,
        f"give a connection up on which nothing comes for so long (default: {defaults.READ_TIMEOUT:.0f})",
        default=defaults.READ_TIMEOUT,
    ),
    once("--authfile FILE", Path, "logins, instead of docker's and podman's files"),
    switch("--anonymous", help="use no login"),
    each(
        "--ca-file FILE $IMGFETCH_CA_FILE",
        Path,
        "believe this CA besides the system's; repeatable",
        parse_variable=lambda text: [Path(text)],
    ),
    once("--certs-dir DIR $IMGFETCH_CERTS_DIR", Path, "look here first for a host's certificates (certs.d)"),
    each(
        "--insecure HOST $IMGFETCH_INSECURE",
        str,
        "check no certificate of HOST[:PORT]; repeatable",
        parse_variable=str.split,
    ),
    switch("--plain-http $IMGFETCH_PLAIN_HTTP", help="ask registries by http", parse_variable=parse.flag),
    each(
        "--mirror [REGISTRY=]URL $IMGFETCH_MIRROR",
        str,
        "ask here first, for docker.io or REGISTRY; repeatable",
        parse_variable=str.split,
    ),
    switch("--no-mirror", help="ask no mirror, configured or not"),
    each(
        "--trust-realm HOST $IMGFETCH_TRUST_REALM",
        str,
        "this token server may be told a login; repeatable",
        parse_variable=str.split,
    ),
    each(
        "--realm-override HOST[:PORT]=URL $IMGFETCH_REALM_OVERRIDE",
        parse.override,
        "ask here instead of the token server that a registry announces at HOST; repeatable",
        parse_variable=parse.overrides,
    ),
)
SAVE = (
    *REFERENCES,
    once(
        "-o --output FILE",
        str,
        "the archive; '-', the default, is stdout; FILE.tar.gz, .tgz and .tar.zst are compressed",
        default="-",
    ),
    PLATFORM,
    switch("--all-platforms", help="all platforms of an index, and what else it lists"),
    once(
        "--format", str, f"the kind of archive (default: {defaults.FORMAT})", default=defaults.FORMAT, choices=FORMATS
    ),
    once(
        "--layers",
        str,
        "as the registry has them, or decompressed",
        default=defaults.LAYERS[0],
        choices=defaults.LAYERS,
    ),
    once("--name NAME[:TAG]", parse.name, "what the image is called in the archive"),
    each(
        "--base FILE|REF",
        parse.file_or_reference,
        "leave out the layers of this archive or image, which the host has; repeatable",
    ),
    switch("--if-changed", help="leave FILE alone if it holds exactly this; one request"),
    switch("--dry-run", help="say what would be fetched and written, and do neither"),
    JSON._replace(help="with --dry-run, as JSON"),
    Option(
        "-j --jobs N $IMGFETCH_JOBS",
        parse.whole(1, 64),
        f"layers fetched at a time (default: {defaults.JOBS})",
        default=defaults.JOBS,
    ),
    CACHE_DIR,
    switch("--no-cache", help="keep no blobs, but of a save to a file that fails"),
    Option(
        "--cache-size SIZE $IMGFETCH_CACHE_SIZE",
        parse.size,
        f"what the cache may grow to, such as 500MB or 10GiB (default: {defaults.CACHE_SIZE >> 30}GiB)",
        default=defaults.CACHE_SIZE,
    ),
    Option(
        "--max-layer-size SIZE $IMGFETCH_MAX_LAYER_SIZE",
        parse.size,
        f"refuse a layer that is larger when it is decompressed (default: {defaults.MAX_LAYER >> 30}GiB)",
        default=defaults.MAX_LAYER,
    ),
    STRICT._replace(help="fail where something odd is otherwise tolerated with a warning"),
    QUIET,
    SHOWN,
    VERBOSE,
    Option("$SOURCE_DATE_EPOCH", parse.whole(0, 8**11 - 1), "", default=defaults.MTIME),  # the latest in a tar header
)
DIGEST = (
    *REFERENCES,
    ONE_PLATFORM._replace(
        help="the digest of this platform's manifest (default: of what the name points at, for all platforms)"
    ),
    switch("--keep-tag", help="print NAME:TAG@DIGEST, so that a save of it keeps the tag"),
    STRICT,
    VERBOSE,
)
TAGS = (
    Option("references REPOSITORY", parse.reference, "such as quay.io/x/y", nargs=1),
    switch("--sort", help="in natural order, 1.9 before 1.10 (default: the registry's)"),
    JSON._replace(help="as a JSON array"),
    STRICT,
    VERBOSE,
)
INSPECT = (
    Option("target REF|FILE", parse.file_or_reference, "an image, or an archive, ours or another tool's"),
    ONE_PLATFORM._replace(help="the image for this platform (default: linux on this architecture; in a file, all)"),
    JSON,
    switch("--raw", help="only the bytes of the manifest, or of the index that the name points at"),
    STRICT,
    VERBOSE,
)
VERIFY = (
    Option("file FILE", Path, "an archive, ours or another tool's; may be compressed as a whole"),
    Option(
        "wanted NAME@DIGEST",
        parse.reference,
        "what it should hold: NAME[:TAG]@DIGEST, as imgfetch digest prints it",
        nargs="*",
    ),
    JSON,
    QUIET._replace(help="no progress"),
    SHOWN._replace(help="on stderr (default: auto)"),
)
CACHE_LIST = (THE_CACHE, JSON._replace(help="as JSON: digest, size, age in seconds, part"))
CACHE_PRUNE = (
    THE_CACHE,
    Option("--keep SIZE", parse.size, "until it is no larger than SIZE", default=0),
    Option("--older-than TIME", parse.span, "what was not used for 90min, 12h, 30d"),
)
COMPLETION = (Option("shell", str, 'for ~/.bashrc: eval "$(imgfetch completion bash)"', choices=SHELLS),)
COMMANDS: Mapping[str, Command] = {
    "save": Command("pull images, verify them, write an archive", SAVE, asks_registry=True),
    "digest": Command("print REGISTRY/REPOSITORY@DIGEST of images, to pin them", DIGEST, asks_registry=True),
    "tags": Command("print the tags of a repository", TAGS, asks_registry=True),
    "inspect": Command("show what an image or an archive is", INSPECT, asks_registry=True),
    "verify": Command("check an archive, without a network", VERIFY),
    "cache dir": Command("print where it is", (THE_CACHE,)),
    "cache list": Command(
        "print what it holds: digest, size, time since its last use; the least recently used first", CACHE_LIST
    ),
    "cache prune": Command("remove what no running save needs, the least recently used first", CACHE_PRUNE),
    "completion": Command("print what a shell needs to complete commands", COMPLETION),
}
"""By name; `imgfetch.cli.command_` with its first word is its module."""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    top = argparse.ArgumentParser(
        prog="imgfetch",
        allow_abbrev=False,
        description="Take a container image from a registry to a file, without a container engine.",
    )
    top.add_argument("--version", action="store_true", help="show the version; with -v, those of the libraries too")
    top.add_argument("-v", "--verbose", dest="above", action="store_true", help=argparse.SUPPRESS)
    top.set_defaults(command="", usage_error=top.error, progress="none", quiet=False, verbose=0)
    groups = {"": top.add_subparsers(metavar="COMMAND")}
    for name, command in COMMANDS.items():
        group, _, word = name.rpartition(" ")
        if group not in groups:
            family = groups[""].add_parser(group, allow_abbrev=False, help="the blobs that are kept for the next save")
            groups[group] = family.add_subparsers(metavar="COMMAND", required=True)
        sub = groups[group].add_parser(
            word,
            allow_abbrev=False,
            help=command.help,
            description=command.help if group else None,
            epilog=_EPILOG if command.asks_registry else None,
        )
        sub.set_defaults(command=name, usage_error=sub.error)
        for option in command.options:
            option.add_to(sub)
        if command.asks_registry:
            access = sub.add_argument_group("access to the registry")
            for option in ACCESS:
                option.add_to(access)
    return top


def fill_in(arguments: argparse.Namespace, environment: Mapping[str, str]) -> None:
    """Take from the environment, and then from the defaults, each option that the command line does not give."""
    if not getattr(arguments, "references", True) and not arguments.images:
        usage(arguments, "a reference is missing")
    for option in COMMANDS[arguments.command].all_options:
        if option.variable and getattr(arguments, option.name, None) is None:
            setattr(arguments, option.name, option.from_environment(arguments, environment))
