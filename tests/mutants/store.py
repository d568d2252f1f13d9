"""Mutants of the checks on the cache and on the directory beside the output."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS = (
    # ---- the directory ----
    Mutant(
        "make_directory",
        "path.mkdir(mode=DIRECTORY, exist_ok=True)\n    except",
        "path.mkdir(exist_ok=True)\n    except",
    ).noticed_by("test_directories_that_are_missing_above_the_root_are_private_too"),
    Mutant("make_directory", "make_directory(path.parent)", "path.parent.mkdir(parents=True)").noticed_by(
        "test_directories_that_are_missing_above_the_root_are_private_too"
    ),
    Mutant("folder:is_private", "status.st_mode & _WRITE", "status.st_mode & stat.S_IWOTH").noticed_by(
        "test_a_root_that_others_can_write_to_is_refused_with_the_command_that_mends_it"
    ),
    Mutant("folder:is_private", "is_ours(status) and ", "").noticed_by(
        "test_a_root_that_belongs_to_another_user_is_refused"
    ),
    Mutant("directory:_secure", "os.fchmod(folder.descriptor, DIRECTORY)", "pass").noticed_by(
        "test_an_open_directory_is_closed_before_it_is_used"
    ),
    Mutant("directory:_secure", "top.move(LAYERS, top, away)", "return").noticed_by(
        "test_nothing_is_remembered_where_others_could_write",
        "test_a_diff_id_that_others_could_have_planted_lets_no_image_pass",
    ),
    Mutant("directory:_own", "folder is None or not is_ours(folder.status())", "folder is None").noticed_by(
        "test_what_is_no_own_directory_is_refused"
    ),
    Mutant("directory:_require_cache", "if strange:", "if False:").noticed_by(
        "test_a_directory_with_other_data_is_no_cache"
    ),
    Mutant("directory:_require_cache", "strange |= names & set(KINDS)", "pass").noticed_by(
        "test_only_a_cache_is_pruned_or_listed"
    ),
    Mutant("directory:_is_own", "is_private(status) and status.st_nlink == 1", "True").noticed_by(
        "test_a_tag_that_another_user_may_have_planted_is_none"
    ),
    Mutant("workspace:_locked", "(NotADirectoryError, PermissionError)", "NotADirectoryError").noticed_by(
        "test_another_user_s_workspace_of_the_same_name_is_no_obstacle"
    ),
    Mutant("directory:_require_cache", "file.read(len(_CONTENT)) != _CONTENT", "False").noticed_by(
        "test_a_directory_with_other_data_is_no_cache"
    ),
    Mutant(
        "folder:keeps_modes", "is_secret(status)", "is_ours(status) and not folder.status().st_mode & stat.S_ISGID"
    ).noticed_by("test_an_open_directory_that_hands_its_group_on_is_refused_too"),
    Mutant("folder:is_secret", "status.st_uid == os.geteuid() and ", "").noticed_by(
        "test_a_cache_and_an_output_are_used_where_modes_are_ignored"
    ),
    Mutant("RememberedLayers.get", "not self._directory.is_private", "False").noticed_by(
        "test_nothing_is_remembered_where_modes_are_ignored"
    ),
    Mutant("RememberedLayers.add", "not self._directory.is_private", "False").noticed_by(
        "test_nothing_is_remembered_where_modes_are_ignored"
    ),
    # ---- files ----
    Mutant("Folder.open", "flags | _FILE_FLAGS", "flags | os.O_NONBLOCK").noticed_by(
        "test_what_is_no_file_is_replaced"
    ),
    Mutant("Folder.open", "not stat.S_ISREG(os.fstat(descriptor).st_mode)", "False").noticed_by(
        "test_what_is_no_file_is_replaced"
    ),
    Mutant("Folder.child", "_OPEN | os.O_NOFOLLOW", "_OPEN").noticed_by("test_what_is_no_own_directory_is_refused"),
    Mutant("folder:_opened", "and not is_ours(status)", "and False").noticed_by(
        "test_a_link_of_another_user_on_the_way_is_not_followed"
    ),
    Mutant("RememberedLayers.get", "not is_secret(os.fstat(file.fileno()))", "False").noticed_by(
        "test_a_note_that_another_user_can_write_is_none"
    ),
    Mutant("VerifiedFiles.hash", "not must_be_private or is_private(status)", "True").noticed_by(
        "test_a_blob_that_another_user_can_write_is_replaced"
    ),
    Mutant("partial:_opened", "(is_private(status) or not must_be_private)", "True").noticed_by(
        "test_a_part_that_another_user_can_write_is_begun_anew"
    ),
    Mutant("partial:_opened", "status.st_nlink <= 1 and ", "").noticed_by(
        "test_a_part_that_is_no_file_of_its_own_is_begun_anew"
    ),
    Mutant("HashedFile.finish", "not self._digest.matches(self._hasher)", "False").noticed_by(
        "test_a_blob_that_is_exchanged_after_its_check_is_in_no_archive",
        "test_a_blob_that_is_changed_while_it_is_read_is_refused",
    ),
    Mutant(
        "HashedFile.readinto", "self._hasher.update(buffer[:count])", "self._hasher.update(self._file.read(0))"
    ).noticed_by("test_a_blob_is_hashed_while_it_is_copied"),
    Mutant("Place._remove_wrong", "self._verified.is_wrong(digest, status)", "True").noticed_by(
        "test_a_right_blob_of_another_run_is_not_removed_with_the_wrong_one"
    ),
    Mutant("Place.verify", "os.fstat(file.fileno()).st_nlink == 1", "True").noticed_by(
        "test_a_file_that_is_elsewhere_too_keeps_its_time"
    ),
    Mutant("FileLock._sign", "os.fstat(self._file).st_nlink == 1", "True").noticed_by(
        "test_a_lock_that_is_another_file_keeps_its_content"
    ),
    # ---- other processes ----
    Mutant("_needs", ", suppress(FileNotFoundError)", "").noticed_by(
        "test_a_run_that_ends_at_this_moment_needs_nothing"
    ),
    Mutant("_needs", "raise StorageError(", "return set()\n            raise StorageError(").noticed_by(
        "test_needs_that_cannot_be_read_keep_everything"
    ),
    Mutant("eviction:_found", "(FileNotFoundError, VerificationError)", "FileNotFoundError").noticed_by(
        "test_what_is_none_of_ours_is_left_alone"
    ),
    Mutant("Folder.child", "os.mkdir(name, DIRECTORY,", "os.mkdir(name,").noticed_by(
        "test_all_below_the_root_is_for_its_user_alone"
    ),
    Mutant("Wait.look", "now - self._changed > _STUCK", "False").noticed_by(
        "test_a_process_without_progress_is_not_waited_for"
    ),
    Mutant("Wait.look", "lock.is_own", "False").noticed_by(
        "test_another_thread_of_this_process_is_waited_for_in_silence"
    ),
    Mutant("Wait.look", "progress != self._progress", "False").noticed_by(
        "test_a_process_that_makes_progress_is_waited_for"
    ),
    Mutant("BlobStore._leave", "error.path.is_relative_to(place.root)", "True").noticed_by(
        "test_a_failure_of_something_else_is_not_the_caches"
    ),
    Mutant("BlobStore._leave", "isinstance(error, UntrustedCacheError) or ", "").noticed_by(
        "test_a_cache_that_must_not_be_trusted_is_an_error"
    ),
    Mutant("BlobStore._keep", "digest.matches(hasher) and ", "").noticed_by(
        "test_documents_outlive_a_cache_that_goes_away"
    ),
    # ---- the directory beside the output ----
    Mutant("Folder.new", "made.names() or ", "").noticed_by("test_a_new_directory_that_is_not_empty_is_another_one"),
    Mutant("StoreLocks.prepare", " and held.is_current", "").noticed_by(
        "test_a_run_whose_new_lock_was_taken_for_a_dead_one_s_takes_another"
    ),
    Mutant("workspace:beside", "Folder.trusted(output.parent, entries=False)", "Folder.at(output.parent)").noticed_by(
        "test_a_link_of_another_user_to_the_output_is_not_followed"
    ),
    Mutant("workspace:_locked", "if lock.is_current:", "if True:").noticed_by(
        "test_those_that_come_while_it_goes_do_not_lose_their_files"
    ),
    Mutant("workspace:_remove", "not set(folder.names()) <= {_LOCK}", "False").noticed_by(
        "test_what_could_not_be_removed_is_removed_by_the_next_run"
    ),
    Mutant("workspace:_remove", "name != _LOCK and ", "").noticed_by(
        "test_those_that_come_while_it_goes_do_not_lose_their_files"
    ),
    Mutant("workspace:_is_for_us", "(names and not names >= {_LOCK}) or ", "").noticed_by(
        "test_another_directory_that_was_given_its_name_is_not_used"
    ),
    Mutant("workspace:_is_for_us", "not keeps_modes(folder)", "False").noticed_by(
        "test_partial_downloads_are_kept_only_for_a_run_that_resumes_them_where_modes_are_ignored"
    ),
    Mutant("workspace:_locked", "except OSError:", "except FileExistsError:").noticed_by(
        "test_an_output_needs_no_locks_and_nothing_is_left_beside_it"
    ),
    Mutant("workspace:_remove", "if is_locked:", "if False:").noticed_by(
        "test_nothing_is_left_beside_an_output_whose_file_system_cannot_remove_open_files"
    ),
    Mutant("Wait.look", "now - self._begin > _SILENT", "False").noticed_by(
        "test_a_process_without_progress_is_not_waited_for"
    ),
    Mutant("FileLock.acquire", "os.O_RDWR", "os.O_RDONLY").noticed_by("test_locks_as_nfs_has_them_are_used"),
    Mutant("atomic_write", "src_dir_fd=parts, dst_dir_fd=target", "src_dir_fd=parts").noticed_by(
        "test_the_unfinished_file_may_stand_elsewhere"
    ),
)
