"""Newer engines run from a tree of their own, and leave the machine and the tree as they are."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import modern as newer
from tests.engines import output
from tests.modern import PACKAGES, Tree


def test_a_program_sees_the_given_directory_and_no_other_of_the_machine(modern: Tree, tmp_path: Path) -> None:
    (tmp_path / "archive").write_text("content")
    assert output(*modern.program("cat"), tmp_path / "archive") == "content"
    assert not output(*modern.program("ls"), Path(__file__).parent, check=False)


def test_a_program_changes_neither_the_tree_nor_the_mounts_of_the_machine(modern: Tree) -> None:
    output(*modern.program("sh"), "-c", "echo changed > /etc/debian_version; touch /new")
    assert output(*modern.program("cat"), "/etc/debian_version") != "changed\n"
    assert not (modern.path / "new").exists()
    assert str(modern.path) not in Path("/proc/self/mountinfo").read_text()


def test_a_programs_process_is_the_one_that_was_started(modern: Tree) -> None:
    with subprocess.Popen([*modern.program("sh"), "-c", "echo $$"], stdout=subprocess.PIPE) as started:
        assert started.communicate()[0] == b"%d\n" % started.pid


def test_another_list_of_packages_has_another_tree(modern: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newer, "PACKAGES", (*PACKAGES, "hello"))
    monkeypatch.setattr(newer, "_build", Path.mkdir)
    monkeypatch.setenv("XDG_CACHE_HOME", str(modern.directory))
    assert newer.tree(modern.directory).path.name != modern.path.name


def test_a_build_that_fails_leaves_no_tree_and_the_next_one_begins_anew(
    modern: Tree, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    builder = tmp_path / "builder"
    monkeypatch.setattr(newer, "SCRIPT", builder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    builder.write_text('#!/bin/sh\nmkdir "$2" && touch "$2/half" && echo no network >&2 && exit 1\n')
    builder.chmod(0o755)
    with pytest.raises((pytest.fail.Exception, pytest.skip.Exception), match="no network"):
        newer.tree(modern.directory)
    assert not (newer.cache() / modern.path.name).exists()
    builder.write_text('#!/bin/sh\nmkdir "$2"\n')
    assert list(newer.tree(modern.directory).path.iterdir()) == []
