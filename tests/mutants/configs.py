"""Mutants of the demands on an image's config."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_NAMED = "test_the_readers_that_refuse_an_odd_config_are_named"

MUTANTS: tuple[Mutant, ...] = (
    Mutant("make_plan:_warnings", "if has_manifests:", "if False:").noticed_by(
        "test_a_manifest_that_some_readers_refuse_is_warned_of_like_a_config"
    ),
    Mutant("make_plan:_warnings", "for index in selection.indexes:", "for index in ():").noticed_by(
        "test_a_manifest_that_some_readers_refuse_is_warned_of_like_a_config"
    ),
    Mutant(
        "read_image_layout:_Reader._parsed", "self.notes += manifest_demands.warnings(raw, what)", "pass"
    ).noticed_by("test_a_manifest_that_some_readers_refuse_is_warned_of_like_a_config"),
    Mutant("make_plan:_warnings", "not request.format.has_one_platform", "True").noticed_by(
        "test_an_archive_without_a_manifest_needs_no_warning_of_it"
    ),
    Mutant("manifest_demands:warnings", "_INDEX if is_index else _MANIFEST", "_MANIFEST").noticed_by(
        "test_the_readers_that_refuse_an_odd_index_are_named"
    ),
    Mutant("make_plan:_plan", "resolver.tolerance.warn(warning)", "pass").noticed_by(
        "test_a_config_that_some_readers_refuse_is_saved_with_one_warning"
    ),
    Mutant(
        "verify:_odd_configs",
        "yield from config_demands.warnings(",
        "return; yield from config_demands.warnings(",
    ).noticed_by("test_verify_notes_it"),
    Mutant("config_demands:misfits", "elif isinstance(value, list) and members:", "elif False:").noticed_by(_NAMED),
    Mutant(
        "config_demands:misfits",
        "members.get(strictjson.folded(key), ())",
        "members.get(key[:1].lower() + key[1:], ())",
    ).noticed_by("test_a_key_counts_in_any_case"),
    Mutant("config_demands:faults", 'diff_id.algorithm != "sha256"', "False").noticed_by(
        "test_diff_ids_by_another_algorithm_are_warned_of"
    ),
    Mutant("config_demands:faults", "if made > layers:", "if False:").noticed_by(_NAMED),
    Mutant("config_demands:faults", "layers > _MAX_CLASSIC_LAYERS", "layers > _MAX_CLASSIC_LAYERS + 1").noticed_by(
        "test_docker_stops_at_125_layers"
    ),
    Mutant(
        "config_demands:faults",
        'not isinstance(strictjson.fields(members.get("rootfs")).get("type"), str)',
        "False",
    ).noticed_by(_NAMED),
    Mutant("gojson:is_integer", "isinstance(value, int) and", "isinstance(value, (int, float)) and").noticed_by(_NAMED),
    Mutant("gojson:is_integer", "_MIN_INT64 <= value <= _MAX_INT64", "True").noticed_by(_NAMED),
    Mutant("gojson:is_time", "calendar.monthrange(year, month)[1]", "31").noticed_by(_NAMED),
    Mutant("gojson:is_time", 'int(match["hour"]) < _HOURS', 'int(match["hour"]) <= _HOURS').noticed_by(_NAMED),
    Mutant("gojson:has_no_escape", "MARK not in str(value)", "True").noticed_by(_NAMED),
    Mutant("config_demands:faults", "config.media_type in mediatypes.VAGUE_CONFIGS", "False").noticed_by(
        "test_a_config_of_a_vague_type_is_warned_of"
    ),
    Mutant("gojson:has_name_of_podman", "is not None", "is not None or True").noticed_by(_NAMED),
    Mutant("config_demands:misfits", "strictjson.every_member(value)", "value.items()").noticed_by(_NAMED),
    Mutant("strictjson:Object.__init__", "if fold(key) in proper:", "if False:").noticed_by(
        "test_a_config_with_a_key_twice_that_decides_what_is_loaded_is_refused"
    ),
    Mutant("platforms:Platform.__str__", "return sanitize(", "return str(").noticed_by(
        "test_a_platform_is_safe_to_show"
    ),
)
