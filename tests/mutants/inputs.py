"""Mutants of the checks on files with settings, lists of images and streams."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_SPECIAL = "test_only_regular_files_are_read_and_nothing_else_is_waited_for"
_LIMIT = "test_a_file_is_read_up_to_the_limit"
_CERTIFICATES = "test_no_certificate_is_waited_for_or_read_without_an_end"
_BROKEN = "test_a_broken_registries_conf_counts_as_absent_with_one_warning"
_BLOCKED = "test_what_a_file_blocks_is_blocked_though_podman_refuses_the_file"

MUTANTS = (
    Mutant("inputs:_require_regular", "if kind != stat.S_IFREG:", "if False:").noticed_by(f"{_SPECIAL}[pipe]"),
    Mutant("inputs:open_regular", "_require_regular(os.fstat(descriptor))", "pass").noticed_by(
        "test_a_special_file_that_takes_the_place_of_a_regular_one_is_not_read"
    ),
    Mutant("inputs:open_regular", "_require_regular(Path(path).stat())", "pass").noticed_by(
        "test_a_device_is_not_even_opened"
    ),
    Mutant("inputs:open_regular", "_FLAGS | flags", "os.O_RDONLY").noticed_by(
        "test_a_special_file_that_takes_the_place_of_a_regular_one_is_not_read[pipe]"
    ),
    Mutant("inputs:open_regular", "os.close(descriptor)", "pass").noticed_by(
        "test_a_special_file_that_takes_the_place_of_a_regular_one_is_not_read[device]"
    ),
    Mutant("inputs:_read", "len(content) <= limit", "len(content) < limit").noticed_by(_LIMIT),
    Mutant("inputs:_read", "len(content) <= limit", "True").noticed_by(_LIMIT),
    Mutant("inputs:_read", "wait_for(descriptor)", "return bytes(content)").noticed_by(
        "test_a_stream_that_is_not_ready_is_waited_for"
    ),
    Mutant("inputs:_read_stream", "if os.isatty(descriptor):", "if False:").noticed_by(
        "test_no_settings_are_read_from_a_terminal"
    ),
    Mutant("inputs:_read_stream", "if key not in _pipes:", "if True:").noticed_by(
        "test_a_stream_is_read_to_its_end_and_then_remembered",
        "test_an_authority_may_come_from_a_pipe_and_is_for_all_hosts",
    ),
    Mutant("inputs:_read_stream", "descriptor, status.st_dev, status.st_ino", "descriptor, 0, 0").noticed_by(
        "test_another_stream_with_the_same_number_is_another_stream"
    ),
    Mutant("inputs:_read_stream", "os.lseek(descriptor, position, os.SEEK_SET)", "pass").noticed_by(
        "test_an_open_regular_file_is_read_from_its_position_and_stays_there"
    ),
    Mutant("inputs:_is_null", "status.st_rdev == _NULL", "False").noticed_by(
        "test_dev_null_is_an_empty_file_by_any_name"
    ),
    Mutant("authorities:add_directories", "read_settings(path)", "pass").noticed_by(
        f"{_CERTIFICATES}[bundle directory-pipe]"
    ),
    Mutant("tls:_load_pair", "read_settings(path)", "pass").noticed_by(f"{_CERTIFICATES}[client.key-pipe]"),
    Mutant("tls:_load_pair", "(certificate, key):", "(key,):").noticed_by(f"{_CERTIFICATES}[client.cert-pipe]"),
    Mutant("authorities:add_file", '_NOT_ASCII.sub(b"?", read_settings(path))', "read_settings(path)").noticed_by(
        "test_a_file_with_authorities_may_have_comments_in_any_language"
    ),
    Mutant("settings:read_toml", "read_settings(path, MAX_TOML)", "read_settings(path)").noticed_by(
        "test_a_file_that_is_too_large_is_one_warning"
    ),
    Mutant("settings:_toml", "except ValueError:", "except KeyError:").noticed_by(
        "test_a_broken_registries_conf_counts_as_absent_with_one_warning[a long number]"
    ),
    Mutant("registries_conf:_rules", "list(_blocks(tables, path))", "[]").noticed_by(_BLOCKED),
    Mutant("_check_conflicts", '("insecure", "blocked")', '("insecure",)').noticed_by(f"{_BLOCKED}[with a slash]"),
    Mutant("_check_conflicts", '("insecure", "blocked")', '("blocked",)').noticed_by(f"{_BROKEN}[insecure and not]"),
    Mutant("_blocks", "if _location(entry) in blocked:", 'if entry.get("blocked") is True:').noticed_by(
        f"{_BLOCKED}[as the location of another name]"
    ),
    Mutant("registries_conf:_rules", "key=lambda rule: rule.blocked", "key=lambda rule: 0").noticed_by(
        "test_what_podman_reads_as_blocked_is_blocked_without_a_warning[one of two with the same prefix]"
    ),
    Mutant("registries_conf:_entry", "in_any_case=True", "in_any_case=False").noticed_by(
        "test_what_podman_reads_as_blocked_is_blocked_without_a_warning[keys in capitals]"
    ),
    Mutant("registries_conf:_rule", 'if entry.text("pull-from-mirror"):', "if False:").noticed_by(
        f"{_BROKEN}[pull-from-mirror outside a mirror]"
    ),
    Mutant("TlsConfig.level_of", "_is_named(host, port, self.insecure)", "True").noticed_by(
        "test_a_host_that_a_file_calls_insecure_is_no_warning"
    ),
    Mutant("lists:_read", "read_settings(path)", 'open(path, "rb").read()').noticed_by(
        "test_a_list_that_is_no_regular_file_is_refused"
    ),
    Mutant("lists:is_stdin", "own_descriptor(name) == 0", "False").noticed_by("test_stdin_is_read_once"),
    Mutant("context:password", "if len(line) > _MAX_PASSWORD:", "if False:").noticed_by(
        "test_a_password_without_an_end_is_a_usage_error"
    ),
)
