"""The token server of a challenge, and the rule for sending it credentials."""

from __future__ import annotations

import pytest

from imgfetch.auth.realms import Realm, RealmPolicy
from imgfetch.errors import AuthenticationError
from imgfetch.http.origin import Origin
from tests.addresses import LOOPBACK, LOOPBACK_SPELLINGS, NEVER, SPELLINGS
from tests.wire import Wire

ASKED = "https://registry.example/v2/team/app/manifests/1"
HTTP_ASKED = "http://registry.example/v2/team/app/manifests/1"


@pytest.fixture(autouse=True)
def _nobody_is_asked(wire: Wire) -> None:
    """Find out without a request where a login may go."""


def refused(text: str, asked: str = ASKED, **say: object) -> str:
    """Return why a realm cannot be used at all."""
    with pytest.raises(AuthenticationError) as caught:
        RealmPolicy(**say).find(text, asked)  # type: ignore[arg-type]
    return str(caught.value)


# ---- what a realm is ----


@pytest.mark.parametrize(
    ("text", "url"),
    [
        pytest.param("https://auth.example/token", "https://auth.example/token", id="absolute"),
        pytest.param("  https://auth.example/token ", "https://auth.example/token", id="spaces around"),
        pytest.param("/service/token", "https://registry.example/service/token", id="path"),
        pytest.param("token", "https://registry.example/v2/team/app/manifests/token", id="relative path"),
        pytest.param("//auth.example/token", "https://auth.example/token", id="without a scheme"),
        pytest.param("?x=1", f"{ASKED}?x=1", id="query alone"),
        pytest.param("https://auth.example/token?host=a&b=", "https://auth.example/token?host=a&b=", id="own query"),
        pytest.param("https://auth.example/token#part", "https://auth.example/token", id="fragment"),
        pytest.param("https://auth.example", "https://auth.example", id="no path"),
        pytest.param("HTTPS://auth.example/token", "https://auth.example/token", id="upper-case scheme"),
        pytest.param("http://[fd00::5]:5001/token", "http://[fd00::5]:5001/token", id="IPv6"),
    ],
)
def test_a_realm_is_resolved_against_the_url_that_was_asked(text: str, url: str) -> None:
    realm = RealmPolicy().find(text, ASKED)
    assert (realm.announced, realm.url) == (url, url)


@pytest.mark.parametrize("text", ["", " ", "\t"])
def test_no_realm_is_told_so(text: str) -> None:
    assert "names no token server" in refused(text)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("ftp://registry.example/token", id="ftp"),
        pytest.param("file:///etc/passwd", id="file"),
        pytest.param("ws://registry.example/token", id="ws"),
        pytest.param("javascript:alert(1)", id="javascript"),
        pytest.param("mailto:a@registry.example", id="mailto"),
        pytest.param("https://", id="nothing but a scheme"),
        pytest.param("https:///token", id="no host"),
        pytest.param("https://:443/token", id="port alone"),
        pytest.param("https://registry.example:port/token", id="no number for a port"),
        pytest.param("https://registry.example:65536/token", id="port too large"),
        pytest.param("https://[::1/token", id="broken IPv6"),
        pytest.param("https://user@registry.example/token", id="user"),
        pytest.param("https://user:SECRET@registry.example/token", id="user and password"),
        pytest.param("https://@registry.example/token", id="empty userinfo"),
        pytest.param("//user:SECRET@registry.example/token", id="userinfo without a scheme"),
        pytest.param("https://registry.example@other.example/token", id="a host as a user"),
        pytest.param("https://other.example\\.registry.example/token", id="a backslash, at which some end the host"),
    ],
)
def test_a_realm_without_http_or_host_or_with_userinfo_cannot_be_used(text: str) -> None:
    message = refused(text)
    assert "registry.example named a token server that cannot be used" in message
    assert "SECRET" not in message


# ---- never down to http ----


@pytest.mark.parametrize(
    ("asked", "text", "is_down"),
    [
        pytest.param(ASKED, "http://registry.example/token", True, id="https, http on the same host"),
        pytest.param(ASKED, "http://registry.example:443/token", True, id="https, http on the same port"),
        pytest.param(ASKED, "http://auth.registry.example/token", True, id="https, http on a host below"),
        pytest.param(ASKED, "HTTP://auth.registry.example/token", True, id="https, HTTP"),
        pytest.param("https://localhost/v2/", "http://localhost/token", True, id="https, http on the loopback"),
        pytest.param("https://10.0.0.5/v2/", "http://10.0.0.5/token", True, id="https, http on an address"),
        pytest.param(ASKED, "https://auth.registry.example/token", False, id="https, https"),
        pytest.param(HTTP_ASKED, "http://auth.registry.example/token", False, id="http, http"),
        pytest.param(HTTP_ASKED, "https://auth.registry.example/token", False, id="http, https"),
    ],
)
def test_a_login_never_goes_from_https_down_to_http(asked: str, text: str, is_down: bool) -> None:  # noqa: FBT001
    realm = RealmPolicy(trusted=frozenset({"nobody.example"})).find(text, asked)
    assert bool(realm.refused) is is_down
    assert ("from https down to http" in realm.refused) is is_down


def test_trust_does_not_lead_down_to_http() -> None:
    trusting = RealmPolicy(trusted=frozenset({"auth.other.example", "auth.other.example:80"}))
    assert trusting.find("http://auth.other.example/token", ASKED).refused
    assert not trusting.find("http://auth.other.example/token", HTTP_ASKED).refused


# ---- trust ----


@pytest.mark.parametrize(
    ("trusted", "text", "is_told"),
    [
        pytest.param("auth.other.test", "https://auth.other.test/token", True, id="host"),
        pytest.param("auth.other.test", "https://auth.other.test:8443/token", True, id="host, any port"),
        pytest.param("auth.other.test", "https://AUTH.other.test/token", True, id="host in another case"),
        pytest.param("auth.other.test:8443", "https://auth.other.test:8443/token", True, id="host and port"),
        pytest.param("auth.other.test:443", "https://auth.other.test/token", True, id="host and the scheme's port"),
        pytest.param("auth.other.test:8443", "https://auth.other.test/token", False, id="another port"),
        pytest.param("other.test", "https://auth.other.test/token", False, id="parent"),
        pytest.param("auth.other.test", "https://sub.auth.other.test/token", False, id="below"),
        pytest.param("auth.other.test", "https://evilauth.other.test/token", False, id="end"),
        pytest.param("auth.other.test", "https://auth.other.test.evil.test/token", False, id="start"),
        pytest.param("fd00::5", "https://[fd00::5]/token", True, id="IPv6"),
        pytest.param("[fd00::5]:443", "https://[fd00::5]/token", True, id="IPv6 and port"),
        pytest.param("[fd00::5]", "https://[fd00::5]/token", True, id="IPv6 in brackets"),
    ],
)
def test_a_host_that_the_user_trusts_is_told(trusted: str, text: str, is_told: bool) -> None:  # noqa: FBT001
    assert (RealmPolicy(trusted=frozenset({trusted})).find(text, ASKED).refused == "") is is_told


# ---- addresses at which nobody can be ----


@pytest.mark.parametrize("host", [*NEVER, *LOOPBACK, *SPELLINGS, *LOOPBACK_SPELLINGS])
@pytest.mark.parametrize("scheme", ["https", "http"])
def test_an_address_where_no_token_server_can_be_is_refused(scheme: str, host: str) -> None:
    assert "cannot be used" in refused(f"{scheme}://{host}/token")


@pytest.mark.parametrize("host", [*NEVER, *SPELLINGS])
@pytest.mark.parametrize("registry", ["127.0.0.1:5000", "localhost:5000", "10.0.0.5"])
def test_such_an_address_is_refused_whatever_the_registry_is(registry: str, host: str) -> None:
    assert "cannot be used" in refused(f"http://{host}/token", f"http://{registry}/v2/")


@pytest.mark.parametrize("host", [*NEVER[:4], *LOOPBACK[:3]])
def test_trust_does_not_make_a_host_of_such_an_address(host: str) -> None:
    origin = Origin.of(f"https://{host}")
    trusted = frozenset({origin.host, origin.host_and_port})
    assert "cannot be used" in refused(f"https://{host}/token", trusted=trusted)  # always


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("registry", ["127.0.0.1:5000", "localhost", "[::1]:5000", "[::ffff:127.0.0.1]"])
def test_a_registry_on_the_loopback_may_name_a_realm_on_the_loopback(registry: str, host: str) -> None:
    realm = RealmPolicy().find(f"http://{host}/token", f"http://{registry}/v2/")
    assert realm.refused == ""


def test_a_refusal_says_what_was_announced_by_whom() -> None:
    message = refused("http://169.254.169.254/latest?key=SECRET")
    for words in ("registry.example named", "http://169.254.169.254/latest"):
        assert words in message
    assert "SECRET" not in message


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("10.0.0.5", id="10/8"),
        pytest.param("172.16.0.5:5000", id="172.16/12"),
        pytest.param("192.168.1.5", id="192.168/16"),
        pytest.param("[fd00::5]", id="unique local"),
        pytest.param("[::ffff:10.0.0.5]", id="mapped 10/8"),
        pytest.param("169.253.255.255", id="before link-local"),
        pytest.param("169.255.0.1", id="behind link-local"),
        pytest.param("100.100.100.201", id="beside metadata"),
        pytest.param("[fd00:ec2::255]", id="beside metadata IPv6"),
        pytest.param("127.0.0.1.example", id="a name that begins like the loopback"),
        pytest.param("notlocalhost", id="a name that ends like localhost"),
        pytest.param("localhost.example", id="a name that begins like localhost"),
    ],
)
def test_any_other_address_is_allowed(host: str) -> None:
    assert RealmPolicy().find(f"https://{host}/token", ASKED).url == f"https://{host}/token"


# ---- the registry's own origin ----


@pytest.mark.parametrize(
    ("asked", "text", "own"),
    [
        pytest.param(ASKED, "https://registry.example:8443/t?x=1", "https://registry.example/t?x=1", id="port"),
        pytest.param(ASKED, "http://registry.example/t", "https://registry.example/t", id="scheme"),
        pytest.param(ASKED, "http://registry.example:20000/t", "https://registry.example/t", id="scheme and port"),
        pytest.param(ASKED, "http://REGISTRY.example:20000/t", "https://registry.example/t", id="case"),
        pytest.param(
            "https://registry.example:8443/v2/",
            "https://registry.example/t",
            "https://registry.example:8443/t",
            id="up",
        ),
        pytest.param(
            "http://registry.example:5000/v2/", "http://registry.example/t", "http://registry.example:5000/t", id="http"
        ),
        pytest.param("https://[fd00::5]:5000/v2/", "https://[fd00::5]/t", "https://[fd00::5]:5000/t", id="IPv6"),
        pytest.param(ASKED, "https://registry.example:8443/t#part", "https://registry.example/t", id="fragment"),
        pytest.param(ASKED, "https://registry.example/t", "", id="same origin"),
        pytest.param(ASKED, "https://registry.example:443/t", "", id="same origin with its port"),
        pytest.param(ASKED, "/t", "", id="relative"),
        pytest.param(ASKED, "https://auth.registry.example/t", "", id="host below"),
        pytest.param(ASKED, "http://auth.registry.example/t", "", id="host below by http"),
        pytest.param(ASKED, "https://auth.other.example/t", "", id="another host"),
        pytest.param("http://localhost:5000/v2/", "http://127.0.0.1:5000/t", "", id="loopback by another name"),
        pytest.param("http://registry.example/v2/", "https://registry.example/t", "", id="never down to http"),
    ],
)
def test_where_only_port_or_scheme_differ_the_registrys_own_origin_is_worth_a_try(
    asked: str, text: str, own: str
) -> None:
    assert RealmPolicy().find(text, asked).own == own


# ---- overrides ----


@pytest.mark.parametrize(
    ("key", "text"),
    [
        pytest.param("registry.example:20000", "http://registry.example:20000/t?x=1", id="host and port"),
        pytest.param("auth.other.test", "https://auth.other.test/t?x=1", id="host"),
        pytest.param("auth.other.test:443", "https://auth.other.test/t?x=1", id="host and the scheme's port"),
        pytest.param("auth.other.test:443", "https://AUTH.other.test/t?x=1", id="another case"),
        pytest.param("auth.other.test", "https://auth.other.test/t?x=1#part", id="fragment"),
        pytest.param("10.0.0.5:5001", "http://10.0.0.5:5001/t?x=1", id="address"),
        pytest.param("localhost:5000", "http://localhost:5000/t?x=1", id="loopback"),
    ],
)
def test_an_override_is_asked_instead_with_the_announced_path_and_may_be_told(key: str, text: str) -> None:
    realm = RealmPolicy(overrides={key: "https://tokens.test:8443"}).find(text, ASKED)
    announced = text.partition("#")[0]
    assert realm == Realm(announced, "https://tokens.test:8443/t?x=1")


def test_of_two_overrides_the_one_with_the_port_counts() -> None:
    overrides = {"auth.other.test": "https://one.test", "auth.other.test:8443": "https://two.test"}
    found = RealmPolicy(overrides=overrides)
    assert found.find("https://auth.other.test:8443/t", ASKED).url == "https://two.test/t"


@pytest.mark.parametrize(
    ("key", "text"),
    [
        pytest.param("auth.other.test:8443", "https://auth.other.test/t", id="another port"),
        pytest.param("other.test", "https://auth.other.test/t", id="parent"),
        pytest.param("auth.other.test", "https://sub.auth.other.test/t", id="below"),
    ],
)
def test_an_override_of_another_host_means_nothing(key: str, text: str) -> None:
    realm = RealmPolicy(overrides={key: "https://tokens.test"}).find(text, ASKED)
    assert realm.url == text
    assert realm.refused


def test_not_even_an_override_takes_a_login_down_to_http() -> None:
    overridden = RealmPolicy(overrides={"auth.other.test": "http://tokens.test"})
    assert "from https down to http" in overridden.find("https://auth.other.test/t", ASKED).refused
    assert overridden.find("http://auth.other.test/t", HTTP_ASKED).refused == ""


@pytest.mark.parametrize(
    ("key", "text"),
    [
        pytest.param("nexus.test", "null://nexus.test/v2/token?x=1", id="no scheme that is known"),
        pytest.param("nexus.test", "://nexus.test/v2/token?x=1", id="no scheme at all"),
        pytest.param("nexus.test:8443", "ftp://nexus.test:8443/v2/token?x=1", id="another scheme, with a port"),
        pytest.param("nexus.test", "ftp://NEXUS.test:8443/v2/token?x=1#y", id="another scheme, any port"),
        pytest.param("nexus.test", "https://nexus.test:port/v2/token?x=1", id="no port that is one"),
        pytest.param("nexus.test", "https://nexus.test:/v2/token?x=1", id="no port behind the colon"),
        pytest.param("nexus.test", "https://user:pass@nexus.test/v2/token?x=1", id="a login"),
        pytest.param("nexus_.test", "https://nexus_.test/v2/token?x=1", id="an underscore"),
        pytest.param("[fd00::5", "https://[fd00::5/v2/token?x=1", id="half a bracket"),
        pytest.param("registry.example", "https:///v2/token?x=1", id="no host"),
        pytest.param("registry.example:443", "null:///v2/token?x=1", id="neither scheme nor host"),
    ],
)
def test_an_override_helps_where_the_announced_url_cannot_be_used(key: str, text: str) -> None:
    realm = RealmPolicy(overrides={key: "https://tokens.test"}).find(text, ASKED)
    assert realm.url == "https://tokens.test/v2/token?x=1"
    assert realm.refused == ""
    assert "pass" not in realm.announced


@pytest.mark.parametrize("text", ["null://other.test/t", "ftp://sub.nexus.test/t", "https:///t", "null:nexus.test"])
def test_an_override_of_another_host_does_not_help_a_url_that_cannot_be_used(text: str) -> None:
    with pytest.raises(AuthenticationError, match="cannot be used"):
        RealmPolicy(overrides={"nexus.test": "https://tokens.test"}).find(text, ASKED)


def test_an_override_for_a_url_that_cannot_be_used_takes_no_login_down_to_http() -> None:
    overridden = RealmPolicy(overrides={"nexus.test": "http://tokens.test"})
    assert "from https down to http" in overridden.find("null://nexus.test/t", ASKED).refused
