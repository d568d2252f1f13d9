"""The proxy from the environment, the hosts that it is not for, and its name in messages."""

from __future__ import annotations

import importlib.util
import logging

import pytest

from imgfetch.errors import ImgfetchError, TransportError, UnsupportedError
from imgfetch.http import proxies
from imgfetch.http.proxies import Proxies, Proxy
from imgfetch.text import installation

HTTPS = "https://registry.example/v2/"
HTTP = "http://registry.example/v2/"
PROXY = "http://proxy.example:3128"


def chosen(environment: dict[str, str], url: str = HTTPS) -> Proxy | None:
    return proxies.from_environment(environment).choose(url)


def is_direct(no_proxy: str, url: str) -> bool:
    """Return ``True`` if a URL is requested directly although all have a proxy."""
    return chosen({"HTTP_PROXY": PROXY, "HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy}, url) is None


# ---- which variable counts ----


@pytest.mark.parametrize(
    ("names", "url", "counts"),
    [
        ([], HTTPS, None),
        (["HTTPS_PROXY"], HTTPS, "HTTPS_PROXY"),
        (["https_proxy"], HTTPS, "https_proxy"),
        (["HTTPS_PROXY", "https_proxy"], HTTPS, "HTTPS_PROXY"),
        (["HTTP_PROXY"], HTTP, "HTTP_PROXY"),
        (["http_proxy"], HTTP, "http_proxy"),
        (["HTTP_PROXY", "http_proxy"], HTTP, "HTTP_PROXY"),
        (["HTTP_PROXY"], HTTPS, None),
        (["HTTPS_PROXY"], HTTP, None),
        (["ALL_PROXY"], HTTPS, "ALL_PROXY"),
        (["ALL_PROXY"], HTTP, "ALL_PROXY"),
        (["all_proxy"], HTTPS, "all_proxy"),
        (["ALL_PROXY", "all_proxy"], HTTP, "ALL_PROXY"),
        (["ALL_PROXY", "https_proxy"], HTTPS, "https_proxy"),
        (["ALL_PROXY", "https_proxy"], HTTP, "ALL_PROXY"),
        (["Https_Proxy", "FTP_PROXY", "PROXY"], HTTPS, None),
    ],
    ids=lambda value: "+".join(value) or "none" if isinstance(value, list) else None,
)
def test_a_proxy_is_named_by(names: list[str], url: str, counts: str | None) -> None:
    environment = {name: f"http://{name.replace('_', '-')}.example:3128" for name in names}
    proxy = chosen(environment, url)
    if counts is None:
        assert proxy is None
    else:
        host = f"{counts.replace('_', '-').lower()}.example:3128"
        assert proxy == Proxy(url=f"http://{host}", variable=counts, shown=host)


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_as_good_as_none(value: str) -> None:
    assert chosen({"HTTPS_PROXY": value}) is None
    proxy = chosen({"HTTPS_PROXY": value, "https_proxy": PROXY})
    assert proxy is not None
    assert proxy.variable == "https_proxy"


@pytest.mark.parametrize(
    ("others", "counts"),
    [({}, None), ({"http_proxy": PROXY}, "http_proxy"), ({"ALL_PROXY": PROXY}, "ALL_PROXY")],
    ids=["nothing else", "the lower case", "the one for all"],
)
def test_in_a_cgi_script_http_proxy_is_whatever_the_client_likes(others: dict[str, str], counts: str | None) -> None:
    environment = {"REQUEST_METHOD": "GET", "HTTP_PROXY": "http://evil.example", **others}
    proxy = chosen(environment, HTTP)
    assert (proxy.variable if proxy else None) == counts  # httpoxy


def test_in_a_cgi_script_https_proxy_counts() -> None:
    assert chosen({"REQUEST_METHOD": "GET", "HTTPS_PROXY": PROXY}) is not None  # no header is called so


def test_nothing_is_looked_at_before_it_is_needed() -> None:
    environment = {"HTTP_PROXY": "nonsense://", "HTTPS_PROXY": PROXY}
    assert chosen(environment) is not None
    with pytest.raises(TransportError):
        chosen(environment, HTTP)


def test_without_an_environment_there_is_no_proxy() -> None:
    assert Proxies().choose(HTTPS) is None


# ---- whom a proxy is not for ----


@pytest.mark.parametrize("no_proxy", ["", "*", "registry.example"])
@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST:5000", "my.localhost", "127.0.0.1:5000", "127.1.2.3", "[::1]:5000", "[::ffff:127.0.0.1]"],
)
def test_this_machine_is_never_behind_a_proxy(host: str, no_proxy: str) -> None:
    for scheme in ("http", "https"):
        assert is_direct(no_proxy, f"{scheme}://{host}/v2/")


@pytest.mark.parametrize(
    ("entry", "host", "matches"),
    [
        ("registry.example", "registry.example", True),
        ("REGISTRY.Example", "registry.EXAMPLE", True),
        ("registry.example", "cache.registry.example", True),
        ("example", "registry.example", True),
        ("registry.example", "notregistry.example", False),
        ("registry.example", "registry.example.elsewhere.test", False),
        ("cache.registry.example", "registry.example", False),
        ("registry.example", "registry.example.", True),
        ("registry.example.", "registry.example", True),
        (".registry.example", "cache.registry.example", True),
        (".registry.example", "a.cache.registry.example", True),
        (".registry.example", "registry.example", False),
        (".registry.example", "notregistry.example", False),
        ("*.registry.example", "cache.registry.example", True),
        ("*.registry.example", "registry.example", False),
        ("*.registry.example", "notregistry.example", False),
        ("*registry.example", "notregistry.example", False),
        ("registry.*", "registry.example", False),
        (".", "registry.example", False),
        ("*.", "registry.example", False),
        ("*", "registry.example", True),
        ("*", "192.0.2.1", True),
        ("https://registry.example", "registry.example", False),
        ("bücher.example", "xn--bcher-kva.example", True),
        ("BÜCHER.example", "cache.xn--bcher-kva.example", True),
        (".bücher.example", "cache.xn--bcher-kva.example", True),
        (".bücher.example", "xn--bcher-kva.example", False),
        ("*.straße.example:443", "a.xn--strae-oqa.example", True),
        ("bücher。example", "xn--bcher-kva.example", True),
        ("xn--bcher-kva.example", "xn--bcher-kva.example", True),
        ("bücher.example", "bucher.example", False),
        ("\u200dbü.example", "registry.example", False),
    ],
)
def test_an_entry_means_a_host_and_all_below_it(entry: str, host: str, *, matches: bool) -> None:
    assert is_direct(entry, f"https://{host}/v2/") == matches


@pytest.mark.parametrize(
    ("entry", "host", "matches"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.10", False),
        ("192.0.2", "192.0.2.1", False),
        ("2.1", "192.0.2.1", False),
        ("192.0.2.1", "[::ffff:192.0.2.1]", True),
        ("2001:db8::1", "[2001:db8::1]", True),
        ("2001:DB8:0:0::1", "[2001:db8::1]", True),
        ("[2001:db8::1]", "[2001:db8::1]", True),
        ("2001:db8::1", "[2001:db8::11]", False),
        ("192.0.2.0/24", "192.0.2.200", True),
        ("192.0.2.77/24", "192.0.2.200", True),
        ("192.0.2.0/25", "192.0.2.200", False),
        ("192.0.2.0/24", "[2001:db8::1]", False),
        ("192.0.2.0/24", "[::ffff:192.0.2.1]", True),
        ("0.0.0.0/0", "192.0.2.1", True),
        ("0.0.0.0/0", "registry.example", False),
        ("192.0.2.0/33", "192.0.2.1", False),
        ("192.0.2.0/", "192.0.2.1", False),
        ("/24", "192.0.2.1", False),
        ("2001:db8::/32", "[2001:db8:ffff::1]", True),
        ("2001:db8::/32", "[2001:db9::1]", False),
        ("2001:db8::/32", "192.0.2.1", False),
        ("::/0", "[2001:db8::1]", True),
        ("fe80::/10", "[fe80::1%25eth0]", True),
        ("fe80::1%eth0", "[fe80::1%25eth0]", False),
        ("192.0.2.0/255.255.255.0", "192.0.2.1", False),
        ("::ffff:192.0.2.0/120", "192.0.2.1", True),
        ("::ffff:192.0.2.0/120", "192.0.3.1", False),
    ],
)
def test_an_entry_means_an_address_or_a_range(entry: str, host: str, *, matches: bool) -> None:
    assert is_direct(entry, f"https://{host}/v2/") == matches


@pytest.mark.parametrize(
    ("entry", "url", "matches"),
    [
        ("registry.example:443", "https://registry.example/", True),
        ("registry.example:443", "https://registry.example:5000/", False),
        ("registry.example:80", "http://registry.example/", True),
        ("registry.example:5000", "https://registry.example:5000/", True),
        ("registry.example:5000", "https://cache.registry.example:5000/", True),
        (".registry.example:5000", "https://cache.registry.example:5000/", True),
        ("registry.example:500", "https://registry.example:5000/", False),
        ("registry.example", "https://registry.example:5000/", True),
        ("192.0.2.1:5000", "https://192.0.2.1:5000/", True),
        ("192.0.2.1:5000", "https://192.0.2.1/", False),
        ("[2001:db8::1]:5000", "https://[2001:db8::1]:5000/", True),
        ("[2001:db8::1]:5000", "https://[2001:db8::1]/", False),
        ("registry.example:", "https://registry.example/", True),
        ("registry.example:", "https://registry.example:5000/", True),
        ("registry.example:0443", "https://registry.example/", False),
        ("192.0.2.1:", "https://192.0.2.1:5000/", True),
        ("registry.example:x", "https://registry.example/", False),
        (f"registry.example:{'9' * 5000}", "https://registry.example/", False),
        (":443", "https://registry.example/", False),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else None,
)
def test_an_entry_may_mean_one_port_only(entry: str, url: str, *, matches: bool) -> None:
    assert is_direct(entry, url) == matches


@pytest.mark.parametrize(
    ("no_proxy", "matches"),
    [
        ("elsewhere.test,registry.example", True),
        (" elsewhere.test ,  registry.example  ", True),
        (",,registry.example,", True),
        ("elsewhere.test registry.example", False),
        ("registry.example elsewhere.test", False),
        ("elsewhere.test\nregistry.example", False),
        ("elsewhere.test,\tregistry.example\n", True),
        ("elsewhere.test,*", True),
        (" , ,", False),
        ("elsewhere.test;registry.example", False),
    ],
)
def test_entries_are_set_apart_by_commas_alone(no_proxy: str, *, matches: bool) -> None:
    assert is_direct(no_proxy, HTTPS) == matches


@pytest.mark.parametrize(
    ("upper", "lower", "entries"),
    [("a.example", "b.example", ("a.example",)), ("", "b.example", ("b.example",)), ("", "", ())],
    ids=["both", "the lower case", "neither"],
)
def test_no_proxy_is_read_in_both_cases(upper: str, lower: str, entries: tuple[str, ...]) -> None:
    assert proxies.from_environment({"NO_PROXY": upper, "no_proxy": lower}).no_proxy == entries


# ---- what a proxy's URL may look like ----


@pytest.mark.parametrize(
    ("value", "url", "shown"),
    [
        ("proxy.example:3128", "http://proxy.example:3128", "proxy.example:3128"),
        ("proxy.example", "http://proxy.example:80", "proxy.example:80"),
        ("http://proxy.example", "http://proxy.example:80", "proxy.example:80"),
        ("https://proxy.example", "https://proxy.example:443", "proxy.example:443"),
        ("HTTP://Proxy.EXAMPLE:3128/", "http://proxy.example:3128", "proxy.example:3128"),
        (" http://proxy.example:3128\n", "http://proxy.example:3128", "proxy.example:3128"),
        ("http://192.0.2.1:3128", "http://192.0.2.1:3128", "192.0.2.1:3128"),
        ("http://[2001:db8::1]:3128", "http://[2001:db8::1]:3128", "[2001:db8::1]:3128"),
        ("localhost:3128", "http://localhost:3128", "localhost:3128"),
        ("http://me:SECRET@proxy.example:3128", "http://me:SECRET@proxy.example:3128", "proxy.example:3128"),
        ("me:SECRET@proxy.example:3128", "http://me:SECRET@proxy.example:3128", "proxy.example:3128"),
        ("http://me@proxy.example", "http://me:@proxy.example:80", "proxy.example:80"),
        ("http://:SECRET@proxy.example", "http://proxy.example:80", "proxy.example:80"),
        ("http://me:p%40ss@proxy.example", "http://me:p%40ss@proxy.example:80", "proxy.example:80"),
        ("http://me:p@ss@proxy.example", "http://me:p%40ss@proxy.example:80", "proxy.example:80"),
        ("http://me:p:ss@proxy.example", "http://me:p%3Ass@proxy.example:80", "proxy.example:80"),
        ("http://me:100%@proxy.example", "http://me:100%25@proxy.example:80", "proxy.example:80"),
        ("http://me:пü@proxy.example", "http://me:%D0%BF%C3%BC@proxy.example:80", "proxy.example:80"),
    ],
)
def test_the_url_of_a_proxy_is_read_as(value: str, url: str, shown: str) -> None:
    assert chosen({"HTTPS_PROXY": value}) == Proxy(url=url, variable="HTTPS_PROXY", shown=shown)


def with_socks(monkeypatch: pytest.MonkeyPatch, *, is_installed: bool) -> None:
    """Let PySocks seem to be installed, or not."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if is_installed else None)


@pytest.mark.parametrize(
    ("value", "url", "shown"),
    [
        ("socks://proxy.example", "socks5h://proxy.example:1080", "proxy.example:1080"),
        ("socks5://proxy.example:9050", "socks5h://proxy.example:9050", "proxy.example:9050"),
        ("SOCKS5H://me:SECRET@proxy.example", "socks5h://me:SECRET@proxy.example:1080", "proxy.example:1080"),
        ("socks4://proxy.example", "socks4://proxy.example:1080", "proxy.example:1080"),
        ("socks4a://proxy.example/", "socks4a://proxy.example:1080", "proxy.example:1080"),
    ],
)
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "ALL_PROXY"])
def test_a_socks_proxy_is_used_with_the_names_that_it_resolves(
    variable: str, value: str, url: str, shown: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_socks(monkeypatch, is_installed=True)
    assert chosen({variable: value}) == Proxy(url=url, variable=variable, shown=shown)


@pytest.mark.parametrize("scheme", ["socks", "socks4", "socks4a", "socks5", "socks5h", "SOCKS5"])
def test_without_pysocks_a_socks_proxy_is_an_error_that_says_how_to_get_it(
    scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_socks(monkeypatch, is_installed=False)
    with pytest.raises(UnsupportedError) as caught:
        chosen({"https_proxy": f"{scheme}://me:SECRET@proxy.example:1080"})
    assert str(caught.value) == "https_proxy names a SOCKS proxy, which needs PySocks"
    hint = f"{installation('socks')}; or set https_proxy to an http proxy, or unset it"
    assert caught.value.hint == hint


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("socks://127.0.0.1:1080/", "names a SOCKS proxy, which needs PySocks; install it"),
        ("ftp://me:SECRET@proxy.example", "it must begin with http:// or https://; for example"),
        ("http://me:SECRET@proxy.example:port", "its host or port is malformed; for example"),
    ],
    ids=["SOCKS without PySocks", "another scheme", "no port"],
)
@pytest.mark.parametrize("variable", ["ALL_PROXY", "all_proxy"])
def test_a_proxy_for_all_that_cannot_be_used_is_one_warning(
    variable: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with_socks(monkeypatch, is_installed=False)
    named = proxies.from_environment({variable: value})
    assert [named.choose(url) for url in (HTTPS, HTTP, HTTPS)] == [None] * 3
    (message,) = caplog.messages
    assert message.startswith(f"ignoring {variable}, as docker does: {variable} ")
    assert reason in message
    assert "SECRET" not in message


UNENCODED = "its user name or password contains characters that must be percent-encoded"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("http://", "it has no host"),
        ("http://me:SECRET@", "it has no host"),
        ("http://:3128", "it has no host"),
        ("http:///SECRET", "it has no host"),
        ("http://me:SECRET@proxy.example:port", "its host or port is malformed"),
        ("http://me:SECRET@proxy.example:99999", "its host or port is malformed"),
        ("http://me:SECRET@[2001:db8::1", "its host or port is malformed"),
        ("http://me:SECRET/more@proxy.example:3128", "its host or port is malformed"),
        ("http://me:12/SECRET@proxy.example:3128", UNENCODED),
        ("http://me:12#SECRET@proxy.example:3128", UNENCODED),
        ("http://me:12?SECRET@proxy.example:3128", UNENCODED),
        ("http://me:SECRET word@proxy.example:3128", "it contains white space"),
        ("http://me:SECRET@proxy.exa\nmple:3128", "it contains white space"),
        ("ftp://me:SECRET@proxy.example", "it must begin with http:// or https://"),
        ("me:SECRET://@proxy.example", "it must begin with http:// or https://"),
    ],
)
def test_a_proxy_that_cannot_be_read_is_an_error_that_names_the_variable_and_shows_nothing_of_it(
    value: str, reason: str
) -> None:
    with pytest.raises(TransportError) as caught:
        chosen({"https_proxy": value})
    assert str(caught.value) == f"https_proxy is not a valid proxy URL: {reason}"
    assert caught.value.hint == "for example: https_proxy=http://USER:PASSWORD@HOST:PORT"


def test_a_url_that_is_none_is_refused() -> None:
    with pytest.raises(ImgfetchError, match="not a valid URL"):
        Proxies().choose("ftp://registry.example/")


# ---- what is shown ----


def test_a_proxys_login_is_nowhere_to_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    named = proxies.from_environment(
        {"HTTPS_PROXY": "http://me:SECRET@proxy.example:3128", "http_proxy": "http://me:SECRET@other.example"}
    )
    proxy = named.choose(HTTPS)
    assert proxy is not None
    assert "SECRET" in proxy.url
    assert caplog.messages == ["registry.example: using the proxy proxy.example:3128 from HTTPS_PROXY"]
    assert repr(proxy) == "Proxy(variable='HTTPS_PROXY', shown='proxy.example:3128')"
    assert repr(named) == "Proxies(no_proxy=(), http_variable='http_proxy', https_variable='HTTPS_PROXY')"
