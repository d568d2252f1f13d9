"""The commands: their options in groups, and their help."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, get_args

from imgfetch import defaults
from imgfetch.cli import parse
from imgfetch.cli.options import Group, Option, each, once, switch, usage
from imgfetch.cli.shared_options import (
    ACCESS,
    CACHE_DIR,
    JSON,
    ONE_PLATFORM,
    PLATFORM,
    QUIET,
    REFERENCES,
    SHOWN,
    SIGNATURES,
    STRICT,
    VERBOSE,
)

SHELLS = ("bash", "zsh", "fish")
FORMATS = get_args(defaults.ArchiveFormat)
"""The names in `imgfetch.archive.formats.FORMATS`, which is not imported here so that help stays fast."""


class Command(NamedTuple):
    """A command.

    Attributes:
        help: its line in the list of commands.
        synopsis: its arguments, for the line of usage.
        groups: its options.
    """

    help: str
    synopsis: str
    groups: tuple[Group, ...]

    @property
    def all_options(self) -> tuple[Option, ...]:
        """The options of all groups."""
        return tuple(option for group in self.groups for option in group.options)


def _jobs(what: str) -> Option:
    return Option(
        "-j --jobs N $IMGFETCH_JOBS",
        parse.whole(1, 64),
        f"number of {what} at a time (default: {defaults.JOBS}); 1: one request at a time",
        default=defaults.JOBS,
    )


_ASK = (*ACCESS, Group("messages", VERBOSE, STRICT))
_FETCH = (*ACCESS, Group("progress and messages", QUIET, SHOWN, VERBOSE, STRICT))
"""The options of every command that only asks a registry."""
SAVE = (
    Group(
        "images",
        *REFERENCES,
        once(
            "--shard N/COUNT", parse.shard, "save only the Nth, Nth+COUNT, ... image, so that COUNT hosts share a list"
        ),
        PLATFORM,
        switch("--all-platforms", help="save every platform, and everything else in the index"),
        switch("--keep-index", help="also keep the index, but only the chosen platforms' images"),
        switch("--signatures", help="also save cosign's and notation's signatures and attestations"),
        switch("--referrers", help="also save everything that refers to the image, such as SBOMs and signatures"),
        once("--name NAME[:TAG]", parse.name, "name of the image in the archive (default: REF)"),
    ),
    Group(
        "archive",
        once(
            "-o --output FILE",
            str,
            "archive to write; compressed if named .tar.gz, .tgz or .tar.zst (default: -, stdout)",
            default="-",
        ),
        once("--output-dir DIR", parse.directory, "write one archive per image into DIR: DIR/alpine_3.20.tar, ..."),
        once(
            "--format",
            parse.one_of(FORMATS),
            f"format of the archive (default: {defaults.FORMAT})",
            default=defaults.FORMAT,
            choices=FORMATS,
        ),
        once(
            "--layers",
            parse.one_of(defaults.LAYERS),
            f"store layers as in the registry, or decompressed (default: {defaults.LAYERS[0]})",
            default=defaults.LAYERS[0],
            choices=defaults.LAYERS,
        ),
        once(
            "--zstd-window SIZE",
            parse.window,
            "for .tar.zst: refer up to SIZE back, from 1M to 2G, which becomes a power of two (default: 128M)",
        ),
        Option(
            "$SOURCE_DATE_EPOCH", parse.whole(0, 8**11 - 1), "", default=defaults.MTIME
        ),  # the latest in a tar header
    ),
    Group(
        "base and updates",
        each(
            "--base FILE|REF",
            parse.file_or_reference,
            "leave out layers in this archive or image; the target must have it; repeatable",
        ),
        once(
            "--patch-from FILE",
            parse.file,
            "write a patch for apply instead, from this archive, which the target has; needs imgfetch[patch]",
        ),
        switch("--if-changed", help="leave FILE unchanged if it already contains exactly these images"),
        switch("--keep-going", help="save the other images if some cannot be found"),
        switch("--dry-run", help="show what would be downloaded and written, and exit"),
        JSON,
    ),
    SIGNATURES,
    Group(
        "download and cache",
        _jobs("layers over 1 MiB to download"),
        Option(
            "--limit-rate RATE $IMGFETCH_LIMIT_RATE",
            parse.rate,
            "bytes a second of all connections together, such as 500k or 10M (default: no limit)",
        ),
        Option(
            "--connections N $IMGFETCH_CONNECTIONS",
            parse.whole(1, 64),
            "maximum number of connections to one registry or mirror for large layers "
            f"(default: {defaults.CONNECTIONS})",
            default=defaults.CONNECTIONS,
        ),
        CACHE_DIR,
        switch("--no-cache", help="do not use the cache"),
        Option(
            "--cache-size SIZE $IMGFETCH_CACHE_SIZE",
            parse.size,
            f"maximum size of the cache, such as 500MB (default: {defaults.CACHE_SIZE >> 30}GiB)",
            default=defaults.CACHE_SIZE,
        ),
        Option(
            "--max-layer-size SIZE $IMGFETCH_MAX_LAYER_SIZE",
            parse.size,
            f"refuse a layer that decompresses to more than SIZE (default: {defaults.MAX_LAYER >> 30}GiB)",
            default=defaults.MAX_LAYER,
        ),
    ),
    *_FETCH,
)
DIGEST = (
    Group(
        "images",
        *REFERENCES,
        ONE_PLATFORM._replace(
            help="print the digest of this platform's manifest (default: the multi-platform index if there is one)"
        ),
        switch("--keep-tag", help="print NAME:TAG@DIGEST, so that save keeps the tag"),
        once(
            "-o --output FILE",
            str,
            "write to FILE, which is replaced only when all digests are known (default: -, stdout)",
            default="-",
        ),
        JSON._replace(help="print a JSON array"),
    ),
    *_FETCH,
)
TAGS = (
    Group(
        "tags",
        Option("references REPOSITORY", parse.reference, "a repository, such as quay.io/prometheus/busybox", nargs=1),
        switch("--sort", help="sort in natural order, 1.9 before 1.10 (default: the registry's order)"),
        JSON._replace(help="print a JSON array"),
    ),
    *_ASK,
)
INSPECT = (
    Group(
        "image",
        Option("target REF|FILE", parse.file_or_reference, "an image in a registry, or an archive; - is stdin"),
        ONE_PLATFORM._replace(
            help="show the image for this platform "
            "(default: linux on this machine's architecture; for a file, all images)"
        ),
        JSON,
        switch("--raw", help="print only the manifest or index, byte for byte"),
    ),
    *_ASK,
)
VERIFY = (
    Group(
        "archive",
        Option(
            "file FILE",
            parse.file,
            "an archive from imgfetch or another tool, compressed or not; a directory with an OCI image layout; "
            "- is stdin",
        ),
        Option(
            "wanted NAME[:TAG][@DIGEST]",
            parse.wanted,
            "an image that FILE must contain; sha256:... is one under any name",
            nargs="*",
        ),
        each(
            "-i --images LIST",
            str,
            "FILE must also contain the images in LIST, one per line; # begins a comment; - is stdin; repeatable",
        ),
        PLATFORM._replace(
            spec="--platform OS/ARCH[/VARIANT][,...]", help="FILE must contain these images for these platforms"
        ),
        JSON,
    ),
    SIGNATURES,
    Group("progress", QUIET._replace(help="print nothing unless the verification fails"), SHOWN),
)
PUSH = (
    Group(
        "images",
        VERIFY[0].options[0],
        Option("destination REGISTRY[/PREFIX]", str, "the registry, and the beginning of the images' names there"),
        each(
            "--rewrite OLD=NEW",
            str,
            "replace the beginning OLD of a name, such as quay.io/x=team/x, before PREFIX is added; repeatable",
        ),
    ),
    Group(
        "upload",
        switch("-f --force", help="replace tags that exist with other content, and check images that seem complete"),
        switch(
            "--allow-digest-change",
            help="push archives with decompressed layers or without manifests, which have lost their digests",
        ),
        switch("--dry-run", help="show the new names and what would be sent, and exit"),
        JSON,
        _jobs("blobs over 1 MiB to send"),
        CACHE_DIR._replace(help="directory that remembers unfinished uploads (default: the user's cache directory)"),
        switch("--no-cache", help="do not use the cache"),
    ),
    *_FETCH,
)
PATCH = (
    Group(
        "archives",
        Option("old OLD", parse.file, "the archive that the target host has, from any tool; - is stdin"),
        Option("new NEW", parse.file, "the new archive, from imgfetch save; - is stdin"),
        once("-o --output FILE", str, "patch to write (default: -, stdout)", default="-"),
        switch("--dry-run", help="show which layers are in OLD, and sizes as far as they are known, and exit"),
        switch("--raw", help="write a patch for zstd -d --long=31 --patch-from=OLD, up to 2 GiB; OLD has plain layers"),
    ),
    Group("progress", QUIET, SHOWN),
)
APPLY = (
    Group(
        "patches",
        Option(
            "patches PATCH",
            parse.file,
            "a patch, or several that follow one another, the oldest first; - is stdin",
            nargs="+",
        ),
        each(
            "--from PATH",
            parse.file,
            "an archive with the old image, or a directory of archives; - is stdin; repeatable",
        ),
        each(
            "--expect NAME[:TAG][@DIGEST]",
            parse.wanted,
            "an image that the archive must contain; DIGEST may be the registry's; repeatable",
        ),
        once("-o --output FILE", str, "archive to write (default: -, stdout)", default="-"),
        switch("--dry-run", help="verify the old image, show the new one, and exit"),
    ),
    Group("progress", QUIET, SHOWN),
)
_REGISTRY = Option(
    "registry REGISTRY", parse.registry, "such as quay.io (default: docker.io)", default="docker.io", nargs="?"
)
LOGIN = (Group("registry", _REGISTRY), *_ASK)
LOGOUT = (
    Group(
        "registry",
        _REGISTRY,
        once("--authfile FILE", Path, "remove them from FILE instead of docker's file"),
    ),
)
CACHE_LIST = (Group("options", CACHE_DIR, JSON),)
CACHE_PRUNE = (
    Group(
        "options",
        CACHE_DIR,
        Option(
            "--keep SIZE",
            parse.size,
            "stop when the cache has shrunk to SIZE (default: $IMGFETCH_CACHE_SIZE, else "
            f"{defaults.CACHE_SIZE >> 30}GiB; with --older-than, 0)",
        ),
        Option("$IMGFETCH_CACHE_SIZE", parse.size, "", default=defaults.CACHE_SIZE),
        Option(
            "--older-than TIME",
            parse.span,
            "remove only blobs that have not been used for TIME, such as 90min, 12h or 30d",
        ),
        switch("--all", help="empty the cache"),
    ),
)
COMPLETION = (
    Group("shell", Option("shell SHELL", parse.one_of(SHELLS), "the shell to write the script for", choices=SHELLS)),
)
FAMILIES = ("", "cache")
TREE: Mapping[str, Command] = {
    "": Command(
        "Download container images from a registry into a file that docker load accepts.\n"
        "No Docker, no daemon, no root.",
        "COMMAND [OPTIONS]",
        (Group("options", switch("--version", help="show the version; with -v, also the versions of the libraries")),),
    ),
    "save": Command("download images, verify them, and write them to an archive", "[OPTIONS] REF... [-o FILE]", SAVE),
    "digest": Command("print image names with their digests, for pinning", "[OPTIONS] REF...", DIGEST),
    "tags": Command("print the tags of a repository", "[OPTIONS] REPOSITORY", TAGS),
    "inspect": Command("show an image or an archive: platforms, config, layers", "[OPTIONS] REF|FILE", INSPECT),
    "verify": Command("verify an archive offline", "[OPTIONS] FILE [NAME...]", VERIFY),
    "push": Command("push the images in an archive to a registry", "[OPTIONS] FILE REGISTRY[/PREFIX]", PUSH),
    "patch": Command("make a patch from two archives, much smaller than the new one", "[OPTIONS] OLD NEW", PATCH),
    "apply": Command("make the new archive from the old one and a patch", "[OPTIONS] PATCH... --from PATH", APPLY),
    "login": Command("check credentials at a registry, and store them as docker does", "[OPTIONS] [REGISTRY]", LOGIN),
    "logout": Command("remove stored credentials", "[OPTIONS] [REGISTRY]", LOGOUT),
    "cache": Command("show or prune the cache of verified blobs", "COMMAND [OPTIONS]", (Group("options"),)),
    "cache dir": Command("print the cache directory", "[OPTIONS]", (Group("options", CACHE_DIR),)),
    "cache list": Command(
        "print the digest, size and age of each blob, least recently used first", "[OPTIONS]", CACHE_LIST
    ),
    "cache prune": Command(
        "remove blobs that no running save needs, least recently used first", "[OPTIONS]", CACHE_PRUNE
    ),
    "makefile": Command("print rules for GNU make: pin, fetch, bundle", "", (Group("options"),)),
    "completion": Command("print a shell completion script", "|".join(SHELLS), COMPLETION),
}
"""The commands by name, with the words before other commands, which are `FAMILIES`."""
COMMANDS: Mapping[str, Command] = {name: command for name, command in TREE.items() if name not in FAMILIES}
"""The commands that do something; `imgfetch.cli.command_save` is the module of `save`, and so on by the first word."""


def fill_in(arguments: argparse.Namespace, environment: Mapping[str, str]) -> None:
    """Take each option that the command line does not give from the environment, or else from the defaults."""
    if not getattr(arguments, "references", True) and not arguments.images:
        usage(arguments, "no image given; name one, or a list with --images FILE")
    for option in COMMANDS[arguments.command].all_options:
        if option.variable and getattr(arguments, option.name, None) is None:
            setattr(arguments, option.name, option.from_environment(arguments, environment))
