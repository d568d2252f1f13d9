"""Mutants of the checks on the cache."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "a directory that is made is for this user alone",
        "make_directory",
        "path.mkdir(mode=DIRECTORY, exist_ok=True)\n    except",
        "path.mkdir(exist_ok=True)\n    except",
        ("test_all_below_the_root_is_for_its_user_alone",),
    ),
    Mutant(
        "a directory that is missing above the root is for this user alone",
        "make_directory",
        "make_directory(path.parent)",
        "path.parent.mkdir(parents=True)",
        ("test_directories_that_are_missing_above_the_root_are_private_too",),
    ),
    Mutant(
        "what a run needs is noted in a private file",
        "StoreLocks.reserve",
        "needs.touch(mode=FILE)",
        "pass",
        ("test_a_run_is_noted_in_a_private_file",),
    ),
    Mutant(
        "a run that ends while its needs are read needs nothing",
        "StoreLocks.needed",
        'storage_errors(run, "read"), suppress(FileNotFoundError)',
        'suppress(FileNotFoundError), storage_errors(run, "read")',
        ("test_a_run_that_ends_at_this_moment_needs_nothing",),
    ),
    Mutant(
        "a directory that is gone when it is listed has no entries",
        "list_directory",
        "suppress(FileNotFoundError, NotADirectoryError), ",
        "",
        ("test_a_directory_that_is_not_there_has_no_entries",),
    ),
    Mutant(
        "a file of the cache may go away after it was listed",
        "_entries",
        "FileNotFoundError, ",
        "",
        ("test_what_another_process_removes_after_it_was_listed_is_no_failure",),
    ),
    Mutant(
        "a directory of the cache may go away after it was listed",
        "_is_closed",
        "except FileNotFoundError",
        "except NotADirectoryError",
        ("test_what_another_process_removes_after_it_was_listed_is_no_failure",),
    ),
    Mutant(
        "members of a group are other users",
        "directory:_is_private",
        "status.st_mode & _WRITE",
        "status.st_mode & stat.S_IWOTH",
        ("test_a_root_that_others_can_write_to_is_refused_with_the_command_that_mends_it",),
    ),
    Mutant(
        "a root that belongs to another user is refused",
        "directory:_is_private",
        "_is_ours(status) and ",
        "",
        ("test_a_root_that_belongs_to_another_user_is_refused",),
    ),
    Mutant(
        "an open directory is closed before it is used",
        "_close",
        "path.chmod(DIRECTORY)",
        "pass",
        ("test_an_open_directory_is_closed_before_it_is_used",),
    ),
    Mutant(
        "a directory that another user planted is refused",
        "_close",
        "not stat.S_ISDIR(status.st_mode) or not _is_ours(status)",
        "False",
        ("test_what_is_no_own_directory_is_refused",),
    ),
    Mutant(
        "nothing is remembered where others could write",
        "StoreDirectory.secure",
        "_discard(self.root / _TRUSTED)",
        "(self.root / _TRUSTED).chmod(DIRECTORY)",
        (
            "test_nothing_is_remembered_where_others_could_write",
            "test_a_diff_id_that_others_could_have_planted_lets_no_image_pass",
        ),
    ),
    Mutant(
        "a note that another user can write is not trusted",
        "RememberedLayers.get",
        "not is_private_file(file)",
        "False",
        ("test_a_note_that_another_user_can_write_is_none",),
    ),
    Mutant(
        "a blob that another user can write is not trusted",
        "VerifiedFiles.hash",
        "not is_private_file(file)",
        "False",
        ("test_a_blob_that_another_user_can_write_goes_away",),
    ),
    Mutant(
        "a part that another user can write is not continued",
        "partial:_opened",
        "is_private_file(file)",
        "True",
        ("test_a_part_that_another_user_can_write_is_begun_anew",),
    ),
    Mutant(
        "a blob that was exchanged after its check is not read",
        "VerifiedFiles.refuse_changes",
        "Identity.of(file) == self._identities.get(digest)",
        "True",
        ("test_a_blob_that_is_exchanged_after_its_check_is_in_no_archive",),
    ),
    Mutant(
        "a blob that is changed while it is read is refused",
        "BlobStore.open",
        "yield file\n            self._verified.refuse_changes(digest, file, path)",
        "yield file",
        ("test_a_blob_that_is_changed_while_it_is_read_is_refused",),
    ),
    Mutant(
        "another file with the same content is no change",
        "VerifiedFiles.refuse_changes",
        "not self.hash(digest, file)",
        "True",
        ("test_the_same_content_in_another_file_or_used_by_another_run_is_no_change",),
    ),
)
