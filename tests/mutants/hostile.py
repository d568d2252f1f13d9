"""Mutants of the checks on archives that the table of hostile archives exercises."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_TEST = "test_an_archive_that_may_be_another_image_is_not_approved[{}]"


def _approving(function: str, old: str, new: str, title: str) -> Mutant:
    """Return a mutant that approves an archive of the table."""
    return Mutant(function, old, new).noticed_by(_TEST.format(title))


MUTANTS: tuple[Mutant, ...] = (
    _approving("entry_names:odd_names", "elif full and", "elif False and", "two names in an entry: R:other, R"),
    _approving(
        "entry_names:odd_names",
        "elif other and",
        "elif False and",
        "the planted image's name, with a space behind, in index.json, as reference name",
    ),
    _approving(
        "entry_names:ambiguous_tags",
        "if alone.get(tag, entry.digest)",
        "if False and alone",
        "names of the two: G, 1, , 1",
    ),
    _approving("recognise:_unaccounted", "name in directories and name not in described", "True", "a directory more"),
    _approving(
        "recognise:_disagreements", "if image.content in contents:", "if True:", "an image more in manifest.json"
    ),
    _approving(
        "read_image_layout:_Reader.read",
        "self.faults += strictjson.unknown_keys(members, _ENTRY_KEYS)",
        "pass",
        "an entry with other data",
    ),
    _approving(
        "read_image_layout:_Reader._top",
        "self.faults += strictjson.unknown_keys(members, known)",
        "pass",
        "index.json with a subject",
    ),
    _approving(
        "read_image_layout:_Reader.read",
        'if members.text("mediaType") not in mediatypes.INDEXES | mediatypes.MANIFESTS:',
        "if False:",
        "an entry with its type in upper case",
    ),
    _approving(
        "read_image_layout:_Reader.read",
        'index.count("schemaVersion") != 2 or',
        "",
        "index.json of another schema",
    ),
    _approving(
        "read_image_layout:_Reader.read",
        'index.text("mediaType") not in ("", mediatypes.OCI_INDEX)',
        "False",
        "index.json of docker's type",
    ),
    _approving(
        "read_image_layout:_Reader._blob", "if len(raw) != descriptor.size:", "if False:", "an entry with a wrong size"
    ),
    _approving(
        "read_docker:_Reader.read",
        "self.faults += strictjson.unknown_keys(members, _KEYS)",
        "pass",
        "an item with an unknown member",
    ),
    _approving("strictjson:Object.texts_of", "if odd :=", "if False and", "an item with a number for a name"),
    _approving("verify:_fault", "if member.contents is None:", "if False:", "docker's layer that is an empty object"),
    _approving("TarReader._block", 'self.warnings.append("other data follows the end of the tar")', "pass", "two tars"),
    _approving(
        "TarReader._block",
        'self.warnings.append("the two zero blocks at the end of the tar are missing")',
        "pass",
        "an archive without an end",
    ),
)
