"""Mutants of the rules for redirects, and of the addresses that a server must not refer to."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_FOLLOWED = "test_a_redirect_to_a_forbidden_address_is_not_followed"
_REQUESTED = "test_a_url_at_a_forbidden_address_is_not_requested"
_OWN_ORIGIN = "test_authorization_goes_to_its_own_origin_only"

MUTANTS: tuple[Mutant, ...] = (
    # redirects
    Mutant("redirects:target", "if not location:", "if False:").noticed_by(
        "test_a_redirect_without_a_location_is_an_error"
    ),
    Mutant("redirects:target", "if target in chain:", "if False:").noticed_by("test_a_redirect_loop_ends_at_once"),
    Mutant("redirects:target", "target in chain", "target == chain[0]").noticed_by(
        "test_a_loop_that_does_not_lead_back_to_the_first_url_ends_too"
    ),
    Mutant("redirects:target", "> MAX_REDIRECTS", "> MAX_REDIRECTS + 1").noticed_by(
        "test_the_eleventh_redirect_is_not_followed"
    ),
    Mutant("redirects:target", "> MAX_REDIRECTS", "== MAX_REDIRECTS").noticed_by("test_ten_redirects_are_followed"),
    Mutant("redirects:target", "if not home.may_send_to(there):", "if False:").noticed_by(f"{_FOLLOWED}[link-local]"),
    Mutant("redirects:target", "if same_host and there.host != home.host:", "if False:").noticed_by(
        "test_s05_a_token_request_is_redirected_to_no_other_host_and_not_down"
    ),
    Mutant("redirects:target", "there.host != home.host", "there != home").noticed_by(
        "test_s05_a_token_request_may_be_redirected_up_to_https"
    ),
    Mutant("redirects:target", "if not downgrade:", "if False:").noticed_by(
        "test_a_redirect_to_plain_http_is_refused_where_content_is_not_checked_by_digest"
    ),
    Mutant("redirects:target", "if here.scheme", "if home.scheme").noticed_by(
        "test_a_second_redirect_to_plain_http_is_refused_too"
    ),
    Mutant("redirects:target", "tolerance.warn(", "str(").noticed_by(
        "test_a_redirect_to_plain_http_is_followed_with_one_warning"
    ),
    Mutant("redirects:resolved", 'location.encode("latin-1").decode("utf-8")', "location").noticed_by(
        "test_a_signed_url_goes_over_the_wire_as_it_stands_in_location"
    ),
    Mutant("HttpClient.get", "if authorization and origin == home else", "if authorization else").noticed_by(
        f"{_OWN_ORIGIN}[another host]"
    ),
    Mutant(
        "HttpClient.get",
        "if authorization and origin == home else",
        "if authorization and origin.host == home.host else",
    ).noticed_by(f"{_OWN_ORIGIN}[another port]", f"{_OWN_ORIGIN}[another scheme]"),
    Mutant(
        "HttpClient.get",
        "response = send(headers if is_storage else headers | mine)",
        "response = send(headers | mine)",
    ).noticed_by("test_authorization_does_not_go_to_the_registrys_own_storage_for_another_reason[400]"),
    Mutant("HttpClient.get", "and response.status in _DENIED", "and response.status >= 400").noticed_by(
        "test_authorization_does_not_go_to_the_registrys_own_storage_for_another_reason[404]"
    ),
    Mutant("client:_is_storage", "urlsplit(chain[-1]).path", "chain[-1]").noticed_by(
        "test_authorization_goes_to_its_own_origin_only[outside the API]"
    ),
    Mutant("HttpClient.get", "identified = identify and origin == home", "identified = identify").noticed_by(
        "test_s08_a_redirects_target_sees_no_client_certificate"
    ),
    Mutant("HttpClient.get", "origin in validators", "validators").noticed_by(
        "test_a_strong_etag_is_sent_back_to_the_origin_that_gave_it"
    ),
    Mutant("HttpClient.get", "validators[origin]", "next(iter(validators.values()))").noticed_by(
        "test_each_origin_is_sent_its_own_validator"
    ),
    Mutant("HttpClient._context", "client_certificate=identify", "client_certificate=True").noticed_by(
        "test_s08_a_redirects_target_sees_no_client_certificate"
    ),
    # other URLs of a blob
    Mutant("blobs:foreign", "if not home.may_send_to(Origin.of(url)):", "if False:").noticed_by(
        f"{_REQUESTED}[http-link-local]", f"{_REQUESTED}[http-loopback]"
    ),
    Mutant("blobs:foreign", "home.may_send_to(Origin.of(url))", "(not Origin.of(url).is_nowhere)").noticed_by(
        f"{_REQUESTED}[http-loopback]"
    ),
    Mutant("blobs:foreign", "home.may_send_to(Origin.of(url))", "home.may_send_to(home)").noticed_by(
        f"{_REQUESTED}[http-metadata of Alibaba]"
    ),
    Mutant("blobs:foreign", "identify=False", "identify=True").noticed_by(
        "test_s08_a_foreign_layers_urls_are_asked_without_login_cookie_and_client_certificate_and_no_401_is_answered"
    ),
    Mutant("blobs:foreign", "[:MAX_URLS]", "").noticed_by("test_the_urls_of_a_layer_are_requested_up_to_a_bound"),
    # addresses
    Mutant("Origin.may_send_to", "not other.is_nowhere and ", "").noticed_by(f"{_FOLLOWED}[link-local]"),
    Mutant("Origin.may_send_to", "(self.is_loopback or not other.is_loopback)", "True").noticed_by(
        f"{_FOLLOWED}[loopback]"
    ),
    Mutant("Origin.may_send_to", "self.is_loopback or ", "").noticed_by(
        "test_a_redirect_to_the_loopback_is_followed_from_the_loopback_only"
    ),
    Mutant("Origin.is_nowhere", "address.is_link_local or ", "").noticed_by(f"{_REQUESTED}[http-link-local]"),
    Mutant("Origin.is_nowhere", "address.is_unspecified or ", "").noticed_by(f"{_REQUESTED}[http-unspecified]"),
    Mutant("Origin.is_nowhere", "address.is_multicast or ", "").noticed_by(f"{_REQUESTED}[http-multicast]"),
    Mutant("Origin.is_nowhere", " or address in _METADATA", "").noticed_by(f"{_REQUESTED}[http-metadata IPv6]"),
    Mutant("Origin.is_loopback", '.removesuffix(".")', "").noticed_by(
        f"{_REQUESTED}[http-localhost with a dot behind]"
    ),
    Mutant("Origin.is_loopback", ' or name.endswith(".localhost")', "").noticed_by(
        f"{_REQUESTED}[http-below localhost]"
    ),
    Mutant("Origin._address", "return _old_spelling(host)", "return None").noticed_by(
        f"{_REQUESTED}[http-link-local as a number]"
    ),
    Mutant("Origin._address", "address.ipv4_mapped or ", "").noticed_by(f"{_REQUESTED}[http-mapped metadata]"),
    Mutant("Origin._address", "address.sixtofour or ", "").noticed_by(f"{_REQUESTED}[http-link-local by 6to4]"),
    Mutant("Origin._address", "_embedded(address) or ", "").noticed_by(f"{_REQUESTED}[http-link-local by NAT64]"),
    Mutant("origin:_embedded", "(address in _COMPATIBLE and not is_plain)", "False").noticed_by(
        f"{_REQUESTED}[http-link-local in a compatible address]"
    ),
    Mutant("origin:_embedded", " and not is_plain", "").noticed_by(f"{_REQUESTED}[http-loopback IPv6]"),
    Mutant("Origin.of", 'if "@" in parts.netloc:', "if False:").noticed_by(
        "test_s13_userinfo_in_a_redirect_is_refused_before_any_request_and_not_shown"
    ),
    Mutant("Origin.of", "if not _HOST.fullmatch(host):", "if False:").noticed_by(
        "test_s03_a_realm_whose_host_ends_earlier_for_urllib3_than_for_us_is_sent_no_login_through_a_proxy"
    ),
    # token servers
    Mutant("RealmPolicy.find", "if not registry.may_send_to(origin):", "if False:").noticed_by(
        "test_an_address_where_no_token_server_can_be_is_refused"
    ),
    Mutant("RealmPolicy._refusal", 'registry.scheme == "https" and realm.scheme == "http"', "False").noticed_by(
        "test_s02_no_login_goes_to_an_http_realm_of_a_registry_that_was_reached_by_https"
    ),
    Mutant("RealmPolicy._refusal", " or is_kin(registry, realm)", " or True").noticed_by(
        "test_the_token_server_of_somebody_else_is_no_kin"
    ),
    Mutant("kinship:_is_within", 'host.endswith(f".{domain}")', "host.endswith(domain)").noticed_by(
        "test_the_token_server_of_somebody_else_is_no_kin"
    ),
)
