"""Mutants of the checks on the cache."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "make_directory",
        "path.mkdir(mode=DIRECTORY, exist_ok=True)\n    except",
        "path.mkdir(exist_ok=True)\n    except",
    ).noticed_by("test_all_below_the_root_is_for_its_user_alone"),
    Mutant("make_directory", "make_directory(path.parent)", "path.parent.mkdir(parents=True)").noticed_by(
        "test_directories_that_are_missing_above_the_root_are_private_too"
    ),
    Mutant("StoreLocks.reserve", "needs.touch(mode=FILE)", "pass").noticed_by("test_a_run_is_noted_in_a_private_file"),
    Mutant(
        "StoreLocks.needed",
        'storage_errors(run, "read"), suppress(FileNotFoundError)',
        'suppress(FileNotFoundError), storage_errors(run, "read")',
    ).noticed_by("test_a_run_that_ends_at_this_moment_needs_nothing"),
    Mutant("list_directory", "suppress(FileNotFoundError, NotADirectoryError), ", "").noticed_by(
        "test_a_directory_that_is_not_there_has_no_entries"
    ),
    Mutant("_entries", "FileNotFoundError, ", "").noticed_by(
        "test_what_another_process_removes_after_it_was_listed_is_no_failure"
    ),
    Mutant("_is_closed", "except FileNotFoundError", "except NotADirectoryError").noticed_by(
        "test_what_another_process_removes_after_it_was_listed_is_no_failure"
    ),
    Mutant("directory:_is_private", "status.st_mode & _WRITE", "status.st_mode & stat.S_IWOTH").noticed_by(
        "test_a_root_that_others_can_write_to_is_refused_with_the_command_that_mends_it"
    ),
    Mutant("directory:_is_private", "_is_ours(status) and ", "").noticed_by(
        "test_a_root_that_belongs_to_another_user_is_refused"
    ),
    Mutant("_close", "path.chmod(DIRECTORY)", "pass").noticed_by("test_an_open_directory_is_closed_before_it_is_used"),
    Mutant("_close", "not stat.S_ISDIR(status.st_mode) or not _is_ours(status)", "False").noticed_by(
        "test_what_is_no_own_directory_is_refused"
    ),
    Mutant(
        "StoreDirectory.secure", "_discard(self.root / _TRUSTED)", "(self.root / _TRUSTED).chmod(DIRECTORY)"
    ).noticed_by(
        "test_nothing_is_remembered_where_others_could_write",
        "test_a_diff_id_that_others_could_have_planted_lets_no_image_pass",
    ),
    Mutant("RememberedLayers.get", "not is_private_file(file)", "False").noticed_by(
        "test_a_note_that_another_user_can_write_is_none"
    ),
    Mutant("VerifiedFiles.hash", "not is_private_file(file)", "False").noticed_by(
        "test_a_blob_that_another_user_can_write_goes_away"
    ),
    Mutant("partial:_opened", "is_private_file(file)", "True").noticed_by(
        "test_a_part_that_another_user_can_write_is_begun_anew"
    ),
    Mutant("VerifiedFiles.refuse_changes", "Identity.of(file) == self._identities.get(digest)", "True").noticed_by(
        "test_a_blob_that_is_exchanged_after_its_check_is_in_no_archive"
    ),
    Mutant(
        "BlobStore.open", "yield file\n            self._verified.refuse_changes(digest, file, path)", "yield file"
    ).noticed_by("test_a_blob_that_is_changed_while_it_is_read_is_refused"),
    Mutant("VerifiedFiles.refuse_changes", "not self.hash(digest, file)", "True").noticed_by(
        "test_the_same_content_in_another_file_or_used_by_another_run_is_no_change"
    ),
    Mutant("workspace:_is_ours", "os.fstat(lock).st_nlink > 0 or", "True or").noticed_by(
        "test_those_that_come_while_it_goes_do_not_lose_their_files"
    ),
    Mutant("workspace:_remove", "entry.name == _LOCK or ", "").noticed_by(
        "test_those_that_come_while_it_goes_do_not_lose_their_files"
    ),
)
