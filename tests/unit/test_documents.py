"""Every link leads somewhere, and the words are plain English.

The language is checked by counting, which is crude on purpose: a number that grows is worth a look.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAPERS = [path for name in ("*.md", "docs/*.md", "fixtures/*.md") for path in sorted(ROOT.glob(name))]
MODULES = sorted((ROOT / "imgfetch").rglob("*.py"))

FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)

MAX_WHAT = 15
WHAT = re.compile(r"\bwhat\b", re.IGNORECASE)
"""Stands for a clause that begins with "what".

Nearly every such word begins one, and a rule for the exceptions ("in what order") would be harder to follow than the
limit, which leaves room for them.
"""

PHRASES = {
    r"(?<!there )\bis no (?!longer\b|more\b)": "is not a valid, cannot, no … found",
    r"\b(?:is|are) not to be\b": "cannot be, must not be",
    r"\b(?:is|are) not there\b": "is missing, does not exist",
    r"\basks none\b": "does not use any",
    r"\bbeliev\w+": "trust, verify",
    r"\bvouch\w*": "trust, verify",
    r"\bwhoever\b": "the user, the caller",
    r"\bfor who\b": "for users who",
    r"\b(?:go|goes|going) on\b": "resume, continue",
    r"\b(?:break|breaks|broke|broken) off\b": "interrupted",
    r"\bfar side\b": "target host",
    r"\bother host\b": "target host, offline host",
    r"\bpass(?:ed|es)? over\b": "skip",
    r"\b(?:done|does|do) without\b": "continue without",
    r"\b(?:stands?|stood) (?:in|there|beside|under|at|behind)\b": "is, are",
    r"\btold a login\b": "receives credentials",
    r"\b(?:a|the|no|its|our|whose) logins?\b": "credentials",
    r"\bwaited for\b": "imgfetch waits",
    r"\bundo(?:es|ne)?\b": "decompress, decode",
    r"\bwhat (?:is|was|came|comes|stands) (?:here|there)\b": "cached, the existing file",
    r"\bthe same bytes\b": "reproducible, byte-for-byte identical",
    r"\bwithout a word\b": "silently",
    r"\bso (?:long|often|much) at most\b": "at most …",
    r", for (?:it|they|we|he|nobody|somebody|who|whoever) ": "because",
    r"\btells? whether\b": "return whether, report",
    r"\bsays? so\b": "report it",
}
"""Phrases that read as translated, by pattern, with what to say in their place."""

CITATION = re.compile(r"\b[SFPLM][0-9]{2}\b|\(2\.0\b|\btable 2\.0\b|\bprotocol notes\b")
"""A rule's number in notes that are not in this repository; docs/registries.md has the reasons."""

DOCSTRING = re.compile(r"(?:What|Whether|Which|Where|Who|How)\b", re.IGNORECASE)
"""The start of a docstring that is not an imperative or a noun phrase."""


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def prose(text: str) -> str:
    """Return a document's blocks, each on one line, without code."""
    text = re.sub(r"`[^`]*`", "`", FENCED.sub("", text))
    blocks = re.split(r"\n\s*\n|\n(?=[-|#:>])", text)
    return "\n".join(" ".join(block.split()) for block in blocks)


def spoken(path: Path) -> str:
    """Return the texts in a module: docstrings, messages and help."""
    found = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
    return "\n".join(" ".join(text.split()) for text in found if isinstance(text, str))


def docstrings(text: str) -> list[str]:
    """Return the docstrings in a module's source, of attributes too."""
    bodies = (getattr(node, "body", None) for node in ast.walk(ast.parse(text)))
    statements = (statement for body in bodies if isinstance(body, list) for statement in body)
    values = (statement.value for statement in statements if isinstance(statement, ast.Expr))
    return [value.value for value in values if isinstance(value, ast.Constant) and isinstance(value.value, str)]


def phrases(text: str) -> list[str]:
    return [match[0] for pattern in PHRASES for match in re.finditer(pattern, text, re.IGNORECASE)]


def slugs(text: str) -> set[str]:
    """Return the anchors of a document's headings by GitHub's rule, and those that it sets itself."""
    text = FENCED.sub("", text)
    found: dict[str, int] = {}
    anchors = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    for heading in re.findall(r"^#{1,6} +(.+?)(?: +#+)? *$", text, re.MULTILINE):
        shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        count = found[slug] = found.get(slug, -1) + 1
        anchors.add(f"{slug}-{count}" if count else slug)
    return anchors


def links(text: str) -> Iterator[str]:
    """Find the targets of a document's links that are relative: Markdown's and HTML's."""
    text = re.sub(r"`[^`\n]*`", "", FENCED.sub("", text))
    found = re.findall(r"\]\(\s*<?([^)\s>]+)|^ *\[[^\]]+\]:\s*(\S+)|(?:src|href)=\"([^\"]+)\"", text, re.MULTILINE)
    yield from (
        target for groups in found for target in groups if target and not re.match(r"[a-z][a-z0-9+.-]*:", target)
    )


def mentions(text: str) -> list[str]:
    """Find the documents that a text names by their path, perhaps with an anchor, link or not."""
    return re.findall(r"(?<![\w/])docs/[\w./-]*\w\.md(?:#[\w-]+)?", text)


def unknown_modules(text: str) -> list[str]:
    """Return the names such as `http/tls.TlsConfig` in a text that are no module, or not defined in one."""
    folders = "|".join(path.name for path in (ROOT / "imgfetch").iterdir() if (path / "__init__.py").exists())
    names = re.findall(rf"`((?:(?:{folders})/|errors\b|files\b|inputs\b|progress\b)[\w/]*)((?:\.\w+)*)`", text)
    unknown = []
    for module, dotted in names:
        path = ROOT / "imgfetch" / f"{module}.py"
        inner = dotted.split(".")[1:]
        source = path.read_text() if path.exists() else ""
        if not source or not all(
            re.search(rf"^ *(?:class |def |){each}\b[(:\[ ]", source, re.MULTILINE) for each in inner
        ):
            unknown.append(module + dotted)
    return unknown


def is_broken(target: str, start: Path) -> bool:
    file, _, anchor = target.partition("#")
    path = (start.parent / file).resolve() if file else start
    return not path.exists() or (bool(anchor) and path.suffix == ".md" and anchor not in slugs(path.read_text()))


@pytest.mark.parametrize("path", PAPERS, ids=name)
def test_every_relative_link_of_a_document_leads_to_a_file_and_a_heading(path: Path) -> None:
    assert [target for target in links(path.read_text()) if is_broken(target, path)] == []


@pytest.mark.parametrize("path", [*PAPERS, *MODULES], ids=name)
def test_every_document_that_a_text_or_a_module_names_exists_with_its_heading(path: Path) -> None:
    assert [target for target in mentions(path.read_text()) if is_broken(target, ROOT / "README.md")] == []


def test_every_module_that_the_design_names_exists() -> None:
    assert unknown_modules((ROOT / "docs/design.md").read_text()) == []


def test_a_name_of_a_module_that_does_not_exist_is_found() -> None:
    text = (
        "`http/tls.TlsConfig`, `files.storage_errors`, `http/gone`, `http/tls.Gone`, `errors.ImgfetchError.gone`, `a/b`"
    )
    assert unknown_modules(text) == ["http/gone", "http/tls.Gone", "errors.ImgfetchError.gone"]


def test_clauses_that_begin_with_what_are_rare_in_the_documents() -> None:
    counts = {name(path): len(WHAT.findall(prose(path.read_text()))) for path in PAPERS}
    assert sum(counts.values()) <= MAX_WHAT, counts


def test_phrases_that_read_as_translated_occur_in_no_document_message_or_docstring() -> None:
    found = {name(path): phrases(prose(path.read_text())) for path in PAPERS}
    found["imgfetch"] = [phrase for path in MODULES for phrase in phrases(spoken(path))]
    assert {key: sorted(list_) for key, list_ in found.items() if list_} == {}


def test_nothing_cites_notes_that_are_not_in_this_repository() -> None:
    found = {name(path): CITATION.findall(path.read_text()) for path in PAPERS}
    found["imgfetch"] = [citation for path in MODULES for citation in CITATION.findall(path.read_text())]
    assert {key: list_ for key, list_ in found.items() if list_} == {}


def test_no_docstring_begins_with_what_whether_which_where_who_or_how() -> None:
    found = [
        f"{name(path)}: {text.splitlines()[0]}"
        for folder in ("imgfetch", "tests")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for text in filter(DOCSTRING.match, docstrings(path.read_text()))
    ]
    assert found == []


def test_docstrings_of_modules_functions_and_attributes_are_found() -> None:
    text = '"""Module."""\n\nX = 1\n"""Attribute."""\n\n\ndef f() -> str:\n    """Function."""\n    return "text"\n'
    assert docstrings(text) == ["Module.", "Attribute.", "Function."]
    assert [text for text in ("Who.", "Whose.", "whether", "Whole files.", "However.") if DOCSTRING.match(text)] == [
        "Who.",
        "whether",
    ]


@pytest.mark.parametrize(
    ("heading", "anchor"),
    [
        ("Range refused", "range-refused"),
        ("Retry-After", "retry-after"),
        ("Why not `docker save`, skopeo, crane?", "why-not-docker-save-skopeo-crane"),
        ("Redirects & [links](a.md)", "redirects--links"),
        ("cache_dir", "cache_dir"),
    ],
)
def test_a_heading_has_the_anchor_that_github_gives_it(heading: str, anchor: str) -> None:
    assert slugs(f"# {heading}\n") == {anchor}


def test_of_two_equal_headings_the_second_has_a_number_and_code_has_no_headings() -> None:
    assert slugs("## Use\n\n## Use\n\n```sh\n# comment\n```\n") == {"use", "use-1"}


def test_a_link_to_a_heading_or_a_file_that_does_not_exist_is_broken() -> None:
    start = ROOT / "README.md"
    assert not is_broken("docs/registries.md#range-refused", start)
    assert is_broken("docs/registries.md#no-such-heading", start)
    assert is_broken("docs/no-such-file.md", start)


def test_links_are_found_in_all_their_forms_and_not_in_code() -> None:
    text = 'a [b](c.md "t"), ![d](e.svg), <img src="f.png">, `[g](h)`, [i](https://j.example)\n\n[k]: l.md\n'
    assert sorted(links(text)) == ["c.md", "e.svg", "f.png", "l.md"]
    assert mentions("see (docs/registries.md#retries). Not xdocs/a.md") == ["docs/registries.md#retries"]


def test_a_clause_that_begins_with_what_is_counted_across_lines_and_not_in_code() -> None:
    text = "What it does, and\nwhat not.\n\n* **What else**\n\n`what` is somewhat so, whatever.\n\n```\nwhat\n```\n"
    assert len(WHAT.findall(prose(text))) == 3


def test_a_phrase_is_found_across_lines_and_in_a_message(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('"""Goes on\nlater."""\nerror = f"{1} is no " "number"\nthere = "there is no tag"\n')
    assert phrases(spoken(module)) == ["is no ", "Goes on"]
