"""Mutants of the checks on credentials and the servers that receive them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_NO_KIN = "test_the_token_server_of_somebody_else_is_no_kin"

MUTANTS: tuple[Mutant, ...] = (
    Mutant("TokenClient._ask_once", "if (url, login) in self._rejected:", "if False:").noticed_by(
        "test_a_wrong_password_is_sent_once_for_all_images"
    ),
    Mutant("TokenClient._ask_once", "self._rejected[url, login] = error.__cause__", "pass").noticed_by(
        "test_a_wrong_password_is_sent_once_for_all_images"
    ),
    Mutant("TokenClient._ask_once", "if (url, login) not in self._accepted:", "if True:").noticed_by(
        "test_a_password_that_was_right_once_is_sent_for_every_image"
    ),
    Mutant("Authenticator._rejected_header", "self._rejected.add(used)", "pass").noticed_by(
        "test_a_wrong_password_is_sent_once_for_all_images"
    ),
    Mutant("Authenticator._rejected_header", " and used not in self._accepted", "").noticed_by(
        "test_a_password_that_was_right_once_is_sent_for_every_image"
    ),
    Mutant("Authenticator.authorization", "None if header in self._rejected else header", "header").noticed_by(
        "test_a_wrong_password_is_sent_once_for_all_images"
    ),
    Mutant("parse_location", 'if "@" in text:', "if False:").noticed_by(
        "test_a_login_in_the_name_of_a_registry_is_refused_and_not_repeated"
    ),
    Mutant("credentials:_content", "and not must_exist", "").noticed_by("test_a_named_file_that_is_missing_is_told"),
    Mutant("files:locked_directory", "fcntl.flock(descriptor, fcntl.LOCK_EX)", "pass").noticed_by(
        "test_no_entry_is_lost_when_several_processes_log_in"
    ),
    Mutant("jsontext:put", "in reversed(own)", "in own[-1:]").noticed_by(
        "test_a_login_changes_no_character_but_its_entry[an entry twice]"
    ),
    Mutant("jsontext:without", "if is_removed(several[index].name):", "if index == 0:").noticed_by(
        "test_a_logout_removes_every_entry_and_nothing_else"
    ),
    Mutant("Keyring._change", "os.fchown(file.fileno(), owner.st_uid, owner.st_gid)", "pass").noticed_by(
        "test_the_file_keeps_its_owner"
    ),
    Mutant("Keyring._change", "mode=_PRIVATE, durable", "mode=0o644, durable").noticed_by(
        "test_a_new_file_is_for_its_user_only", "test_the_file_keeps_its_owner"
    ),
    Mutant("Helpers.store", "if _NO_TEXT.search(login.password):", "if False:").noticed_by(
        "test_a_helper_receives_the_password_and_the_file_an_empty_entry"
    ),
    Mutant("registries_yaml:_configs", "if key == _ALL:", "if False:").noticed_by(
        "test_a_part_that_cannot_be_used_is_left_out_with_a_warning"
    ),
    Mutant(
        "registries_yaml:_address", 'Origin("https", *Endpoint(registry, "").address).host_and_port', "registry"
    ).noticed_by("test_a_host_that_is_not_verified_is_so_at_its_port_alone"),
    Mutant("registries_yaml:_content", '{Endpoint(registry, "").address: found', "{(registry, 443): found").noticed_by(
        "test_certificates_are_for_their_host_and_port"
    ),
    Mutant("registries_yaml:_mirrors", "left < 0", "False").noticed_by(
        "test_aliases_do_not_multiply_endpoints_and_rewrites"
    ),
    Mutant("registries_yaml:_loaded", "yaml.BaseLoader", "yaml.UnsafeLoader").noticed_by("test_tags_construct_nothing"),
    Mutant("registries_yaml:_loaded", "path, MAX_YAML", "path").noticed_by(
        "test_a_file_that_k3s_refuses_counts_as_absent_with_one_warning"
    ),
    Mutant("registries_yaml:_loaded", "not valid YAML{", "not valid YAML: {error}{").noticed_by(
        "test_a_file_that_k3s_refuses_counts_as_absent_with_one_warning"
    ),
    Mutant("registries_yaml:_table", "if _MERGE in value:", "if False:").noticed_by(
        "test_a_file_that_k3s_refuses_counts_as_absent_with_one_warning"
    ),
    Mutant(
        "RegistryConfig.from_environment",
        "{k3s.file: k3s.logins} if authfile is None else {}",
        "{k3s.file: k3s.logins}",
    ).noticed_by("test_credentials_of_docker_and_podman_come_first_and_a_named_file_stands_alone"),
    Mutant("Rewrite.apply", "match.end() > end or match.start() == 0", "True").noticed_by(
        "test_a_rule_replaces_what_go_replaces"
    ),
    Mutant(
        "TlsConfig.context", "self.hosts.get((host.lower(), port), HostTls())", "[*self.hosts.values()][0]"
    ).noticed_by("test_certificates_for_one_host_are_used_nowhere_else"),
    Mutant("TlsConfig.context", "if client_certificate:", "if True:").noticed_by(
        "test_certificates_for_one_host_are_used_there"
    ),
    Mutant("HttpClient.get", "dict(more) if origin == home else {}", "dict(more)").noticed_by(
        "test_headers_go_to_their_own_host_alone"
    ),
    Mutant("Api.get", "self._transport.get,", "self._transport.get, more=self._headers,").noticed_by(
        "test_headers_go_to_their_own_host_alone"
    ),
    Mutant("Api.__init__", "KNOWN.note(*self._headers.values())", "pass").noticed_by(
        "test_headers_go_to_their_own_host_alone"
    ),
    Mutant("hosts_toml:_host", "insecure=skips", "insecure=True").noticed_by(
        "test_each_place_is_trusted_by_its_own_settings_alone"
    ),
    Mutant("hosts_toml:_host", "_RESOLVE not in capabilities", "False").noticed_by(
        "test_a_tag_is_resolved_only_where_that_is_allowed"
    ),
    Mutant("hosts_toml:_headers", " and _VALUE.fullmatch(text)", "").noticed_by(
        "test_a_file_that_containerd_refuses_counts_as_absent_with_one_warning"
    ),
    Mutant("hosts_toml:_headers", " or name.lower() in _OUR_HEADERS", "").noticed_by(
        "test_a_file_that_containerd_refuses_counts_as_absent_with_one_warning"
    ),
    Mutant("HostDirectories.endpoints", "if not found:", "if False:").noticed_by(
        "test_where_no_host_may_be_used_to_pull_nobody_is_asked"
    ),
    Mutant("credential_helpers:_ordered", "tuple(names[:place])", "()").noticed_by(
        "test_podmans_helpers_are_asked_before_or_after_the_files"
    ),
    Mutant("RegistryConfig.from_environment", "if authfile is None else GlobalHelpers()", "").noticed_by(
        "test_podmans_helpers_count_unless_the_user_names_a_file"
    ),
    Mutant("credentials:_normalised", "host.lower()\n", "host.lower().partition(':')[0]\n").noticed_by(
        "test_a_key_is_for_no_other_host[a key without a port]", "test_each_port_of_a_host_has_a_login_of_its_own"
    ),
    Mutant("is_kin", "not _SHARED.fullmatch(parent) and ", "").noticed_by(f"{_NO_KIN}[another customer of Azure]"),
    Mutant("is_kin", "if registry.is_address or realm.is_address:", "if False:").noticed_by(
        f"{_NO_KIN}[end of an address]"
    ),
    Mutant("is_kin", '(origin.host.removesuffix(".") for', "(origin.host for").noticed_by(
        f"{_NO_KIN}[another name of a dynamic DNS, with dots behind]"
    ),
    Mutant("is_kin", "re.fullmatch(first, own) and ", "").noticed_by(f"{_NO_KIN}[another host of Red Hat's partners]"),
    Mutant("is_kin", "re.fullmatch(second, other)", "True").noticed_by(f"{_NO_KIN}[another host of Scaleway]"),
    Mutant("kinship:_is_owned", " and not (suffix and _is_within(suffix, domain))", "").noticed_by(
        f"{_NO_KIN}[another user of GitHub]", f"{_NO_KIN}[a customer below the registry's own host]"
    ),
    Mutant("kinship:_suffixes", "PublicSuffixList()", "PublicSuffixList(only_icann=True)").noticed_by(
        f"{_NO_KIN}[another app of Heroku]"
    ),
    Mutant("kinship:_suffixes", "PublicSuffixList()", "PublicSuffixList(accept_encoded_idn=False)").noticed_by(
        f"{_NO_KIN}[a suffix in other letters]"
    ),
    Mutant("Authenticator._expected", "login != self._login(repository)", "False").noticed_by(
        "test_credentials_for_another_path_wait_for_a_challenge"
    ),
    Mutant("Authenticator._turn", "if not self._proven:", "if False:").noticed_by(
        "test_wrong_credentials_are_sent_once_by_several_threads"
    ),
    Mutant(
        "Authenticator.prove", 'grant.announced in (_scopes(repository, "pull"), self._own_scopes(repository))', "True"
    ).noticed_by("test_a_registry_with_scopes_of_its_own_is_asked_for_them"),
    Mutant("Exchange.goes_on", "response.origin != Origin.of(self.authenticator.base)", "False").noticed_by(
        "test_a_storage_that_lacks_a_blob_is_no_registry_that_hides_it",
        "test_a_challenge_of_the_storage_host_is_answered_without_a_login_and_once",
    ),
    Mutant("Exchange._leaves_credentials_out", "self._rounds = 0", "pass").noticed_by(
        "test_an_image_that_is_denied_without_credentials_too_is_reported_with_them[401]"
    ),
    Mutant("Exchange.goes_on", "response.status in _ENDED and", "False and").noticed_by(
        "test_an_error_for_a_token_that_was_accepted_before_is_answered_with_one_fresh_token"
    ),
    Mutant("Authenticator.renew", " or used not in self._accepted", "").noticed_by(
        "test_an_error_for_the_token_after_an_accepted_one_is_final"
    ),
    Mutant("Authenticator.renew", "self._renewed_in_vain.add(repository)", "pass").noticed_by(
        "test_a_fresh_token_that_does_not_help_is_not_fetched_again"
    ),
    Mutant("Authenticator.renew", "header if header != used else None", "header").noticed_by(
        "test_a_fresh_token_that_does_not_help_is_not_fetched_again"
    ),
    Mutant("Authenticator.prove", "token.authorization == used", "grant == self._grants[repository]").noticed_by(
        "test_the_token_server_of_an_accepted_token_is_remembered_and_not_that_of_the_last_challenge"
    ),
    Mutant("Authenticator._renew", "self._proven.get(repository)", "self._grants.get(repository)").noticed_by(
        "test_a_token_that_was_never_accepted_is_not_replaced_where_its_challenge_leads_nowhere"
    ),
    Mutant("Authenticator._renew", "latest is not proven and latest.realm == proven.realm", "True").noticed_by(
        "test_a_token_that_has_ended_is_replaced_where_it_came_from_if_its_challenge_leads_nowhere[no challenge]"
    ),
    Mutant("Authenticator.volunteer", "repository in self._settled or ", "").noticed_by(
        "test_a_registry_that_asks_for_no_credentials_is_asked_once_and_receives_none[no challenge]"
    ),
    Mutant("Authenticator.volunteer", "if choice.is_usable(offered):", "if True:").noticed_by(
        "test_a_registry_that_asks_for_no_credentials_is_asked_once_and_receives_none[another scheme]"
    ),
    Mutant("Authenticator._ping", "response.origin != Origin.of(self.base)", "False").noticed_by(
        "test_a_registry_that_asks_for_no_credentials_is_asked_once_and_receives_none[a root elsewhere]"
    ),
    Mutant("Authenticator.anonymous", " or token.login.is_explicit", "").noticed_by(
        "test_credentials_of_the_command_line_are_never_left_out"
    ),
    Mutant("Authenticator._login", "repository in self._anonymous", "self._anonymous").noticed_by(
        "test_credentials_that_are_left_out_for_one_repository_are_used_for_another"
    ),
    Mutant("TokenClient._ask_scopes", "grant.announced in ((), grant.scopes)", "not grant.announced").noticed_by(
        "test_a_rejected_password_is_not_sent_again_where_the_scope_is_the_same[the image's own]"
    ),
    Mutant("Authenticator._scopes", "is_refused and ", "").noticed_by(
        "test_threads_that_are_challenged_together_share_one_token[another scope]"
    ),
    Mutant("Elsewhere.answer", "repository, header, what)", "repository, None, what)").noticed_by(
        "test_a_token_of_another_registry_that_ended_early_is_replaced_once"
    ),
    Mutant("Elsewhere.answer", "identify=False", "identify=True").noticed_by(
        "test_s08_a_redirects_target_that_wants_a_token_sees_no_client_certificate_nor_does_its_token_server"
    ),
    Mutant("TokenClient._ask", "self._identify and ", "").noticed_by(
        "test_s08_a_redirects_target_that_wants_a_token_sees_no_client_certificate_nor_does_its_token_server"
    ),
    Mutant("TokenClient._ask", "(url == grant.realm.own or not grant.realm.refused)", "True").noticed_by(
        "test_s08_only_a_token_server_of_the_registry_sees_the_client_certificate_for_its_host"
        "[of somebody else-without credentials]"
    ),
    Mutant("Api.__init__", "RegistryConfig(), identify=False", "self._access, identify=False").noticed_by(
        "test_a_registry_behind_a_redirecting_domain_receives_no_credentials[of the command line]"
    ),
    Mutant("elsewhere:_match", "_PATH.fullmatch(", "re.fullmatch('/v2/(.+)/(manifests)/.+', ").noticed_by(
        "test_a_repository_in_a_redirect_that_is_no_name_is_not_repeated"
    ),
    Mutant("Api._falls_back", "self._report_http(Origin.of(base))", "pass").noticed_by(
        "test_a_host_without_verification_is_asked_by_http_with_a_warning_that_nothing_is_encrypted[asked for-no TLS]"
    ),
)
