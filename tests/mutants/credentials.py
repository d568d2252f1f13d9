"""Mutants of the checks on credentials and the servers that receive them."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

_NO_KIN = "test_the_token_server_of_somebody_else_is_no_kin"

MUTANTS: tuple[Mutant, ...] = (
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
)
