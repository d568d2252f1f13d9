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


_ASK = (*ACCESS, Group("messages", VERBOSE, STRICT))
"""The options of every command that only asks a registry."""
SAVE = (
    Group(
        "images",
        *REFERENCES,
        PLATFORM,
        switch("--all-platforms", help="save every platform, and everything else in the index"),
        switch("--keep-index", help="also keep the index, but only the chosen platforms' images"),
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
            str,
            f"format of the archive (default: {defaults.FORMAT})",
            default=defaults.FORMAT,
            choices=FORMATS,
        ),
        once(
            "--layers",
            str,
            f"store layers as in the registry, or decompressed (default: {defaults.LAYERS[0]})",
            default=defaults.LAYERS[0],
            choices=defaults.LAYERS,
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
        switch("--if-changed", help="leave FILE unchanged if it already contains exactly these images"),
        switch("--keep-going", help="save the other images if some cannot be found"),
        switch("--dry-run", help="show what would be downloaded and written, and exit"),
        JSON,
    ),
    Group(
        "download and cache",
        Option(
            "-j --jobs N $IMGFETCH_JOBS",
            parse.whole(1, 64),
            f"number of layers to download at a time (default: {defaults.JOBS})",
            default=defaults.JOBS,
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
    *ACCESS,
    Group("progress and messages", QUIET, SHOWN, VERBOSE, STRICT),
)
DIGEST = (
    Group(
        "images",
        *REFERENCES,
        ONE_PLATFORM._replace(
            help="print the digest of this platform's manifest (default: the multi-platform index if there is one)"
        ),
        switch("--keep-tag", help="print NAME:TAG@DIGEST, so that save keeps the tag"),
        JSON._replace(help="print a JSON array"),
    ),
    *_ASK,
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
    Group("progress", QUIET._replace(help="show no progress"), SHOWN),
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
        Option("--keep SIZE", parse.size, "stop when the cache has shrunk to SIZE (default: 0)", default=0),
        Option(
            "--older-than TIME",
            parse.span,
            "remove only blobs that have not been used for TIME, such as 90min, 12h or 30d",
        ),
        switch("-f --force", help="do not ask before all blobs are removed"),
    ),
)
COMPLETION = (Group("shell", Option("shell", str, "the shell to write the script for", choices=SHELLS)),)
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
