"""The token servers that belong to a registry's owner."""

from __future__ import annotations

import pytest

from imgfetch.auth.kinship import is_kin
from imgfetch.auth.realms import RealmPolicy
from imgfetch.http.origin import Origin
from tests.wire import Wire


@pytest.fixture(autouse=True)
def _nobody_is_asked(wire: Wire) -> None:
    """Find out without a request where a login may go."""


OWN = [
    pytest.param("registry.example", "registry.example", id="same host"),
    pytest.param("registry.example", "registry.example:8443", id="another port"),
    pytest.param("registry.example:5000", "registry.example", id="another port, other way round"),
    pytest.param("Registry.Example", "REGISTRY.example", id="another case"),
    pytest.param("registry.example", "auth.registry.example", id="below"),
    pytest.param("registry.example", "a.b.c.registry.example", id="far below"),
    pytest.param("registry", "auth.registry", id="below a single label"),
    pytest.param("registry.team.example", "team.example", id="parent of two labels"),
    pytest.param("registry.team.example", "auth.team.example", id="sibling"),
    pytest.param("registry.team.example", "a.b.team.example", id="below the parent"),
    pytest.param("registry.gitlab.com", "gitlab.com", id="GitLab"),
    pytest.param("registry.a.b.example", "x.a.b.example", id="parent of three labels"),
    pytest.param("m.daocloud.io", "auth.m.daocloud.io", id="DaoCloud"),
    pytest.param("registry.team.co.uk", "auth.team.co.uk", id="sibling below co.uk"),
    pytest.param("registry-1.docker.io", "auth.docker.io", id="Docker Hub"),
    pytest.param("docker.io", "auth.docker.io", id="Docker Hub by its name"),
    pytest.param("registry.cn-hangzhou.aliyuncs.com", "dockerauth.cn-shanghai.aliyuncs.com", id="Aliyun"),
    pytest.param("registry.aliyuncs.com", "dockerauth.aliyuncs.com", id="Aliyun without a region"),
    pytest.param("10.0.0.5", "10.0.0.5:5001", id="same address"),
    pytest.param("[fd00::5]", "[fd00::5]:5001", id="same IPv6 address"),
    pytest.param("localhost:5000", "127.0.0.1:5001", id="loopback by name and address"),
    pytest.param("127.0.0.1:5000", "registry.localhost:5001", id="loopback below localhost"),
    pytest.param("127.0.0.1:5000", "[::1]:5001", id="loopback by both kinds of address"),
    pytest.param("[::ffff:127.0.0.1]:5000", "127.0.0.2", id="loopback by a mapped address"),
    pytest.param("a.localhost", "b.localhost", id="two names of the loopback"),
    pytest.param("registry.team.example.", "auth.team.example", id="sibling, with a dot behind the registry"),
    pytest.param("mine.azurecr.io", "mine.azurecr.io", id="a customer's own host of a shared domain"),
    pytest.param("mine.jfrog.io", "auth.mine.jfrog.io", id="below a customer's host"),
    pytest.param("registry.mine.github.io", "auth.mine.github.io", id="siblings of one customer"),
    pytest.param("registry.mine.duckdns.org", "mine.duckdns.org", id="parent of one customer"),
    pytest.param("registry.city.kawasaki.jp", "auth.city.kawasaki.jp", id="an exception among suffixes"),
    pytest.param("registry.xn--bcher-kva.example", "auth.xn--bcher-kva.example", id="a name with other letters"),
    pytest.param("registry.kube-system.svc.cluster.local", "auth.kube-system.svc.cluster.local", id="a cluster"),
    pytest.param("registry.digitalocean.com", "api.digitalocean.com", id="DigitalOcean"),
    pytest.param("rg.fr-par.scw.cloud", "api.scaleway.com", id="Scaleway"),
    pytest.param("rg.nl-ams.scw.cloud:443", "api.scaleway.com:443", id="Scaleway in another region, with ports"),
    pytest.param("registry.connect.redhat.com", "sso.redhat.com", id="Red Hat's partners"),
    pytest.param("registry.redhat.io", "sso.redhat.com", id="Red Hat"),
    pytest.param("nvcr.io", "authn.nvidia.com", id="NVIDIA"),
    pytest.param("registry.hub.docker.com", "auth.docker.io", id="Docker Hub by its other name"),
    pytest.param(
        "mine-registry.cn-hangzhou.cr.aliyuncs.com", "dockerauth-ee.cn-hangzhou.aliyuncs.com", id="Aliyun, EE"
    ),
]


@pytest.mark.parametrize(("registry", "realm"), OWN)
def test_a_registrys_own_token_server_is_its_kin(registry: str, realm: str) -> None:
    assert is_kin(Origin.of(f"https://{registry}"), Origin.of(f"https://{realm}"))
    assert RealmPolicy().find(f"https://{realm}/token", f"https://{registry}/v2/").refused == ""


FOREIGN = [
    pytest.param("registry.example", "other.example", id="parent of one label"),
    pytest.param("registry.example", "example", id="the parent of one label itself"),
    pytest.param("quay.io", "evil.io", id="parent is a top-level domain"),
    pytest.param("registry.team.example", "example", id="grandparent"),
    pytest.param("registry.team.example", "other.example", id="below the grandparent"),
    pytest.param("registry.team.example", "evilteam.example", id="end of the name"),
    pytest.param("registry.team.example", "registry.team.example.evil.test", id="start of the name"),
    pytest.param("registry.team.example", "team.example.evil.test", id="parent as a start"),
    pytest.param("registry.team.example", "evil-registry.team.example.evil.test", id="middle of the name"),
    pytest.param("registry.example", "evilregistry.example", id="own name as an end"),
    pytest.param("registry.example", "registry-example.evil.test", id="dash for a dot"),
    pytest.param("registry.co.uk", "evil.co.uk", id="co.uk"),
    pytest.param("registry.co.uk", "co.uk", id="co.uk itself"),
    pytest.param("registry.com.cn", "evil.com.cn", id="com.cn"),
    pytest.param("registry.com.au", "evil.com.au", id="com.au"),
    pytest.param("registry.or.jp", "evil.or.jp", id="or.jp"),
    pytest.param("registry.org.br", "evil.org.br", id="org.br"),
    pytest.param("registry.edu.pl", "evil.edu.pl", id="edu.pl"),
    pytest.param("registry.team.example", "auth.docker.io", id="Docker Hub's, of another"),
    pytest.param("docker.io.evil.test", "auth.docker.io", id="Docker Hub's, of one that sounds so"),
    pytest.param("registry-1.docker.io", "docker.io.evil.test", id="one that sounds like Docker Hub's"),
    pytest.param("registry-1.docker.io", "evildocker.io", id="one that ends like Docker Hub's"),
    pytest.param("registry.example", "dockerauth.aliyuncs.com", id="Aliyun's, of another"),
    pytest.param("evilaliyuncs.com", "dockerauth.aliyuncs.com", id="Aliyun's, of one that ends so"),
    pytest.param("registry.aliyuncs.com", "auth.docker.io", id="Docker Hub's, of Aliyun"),
    pytest.param("registry-1.docker.io", "dockerauth.aliyuncs.com", id="Aliyun's, of Docker Hub"),
    pytest.param("10.0.0.5", "10.0.0.6", id="neighbouring address"),
    pytest.param("10.0.0.5", "9.10.0.0.5", id="below an address"),
    pytest.param("10.1.0.5", "9.1.0.5", id="end of an address"),
    pytest.param("10.0.0.5", "registry.example", id="name for an address"),
    pytest.param("registry.example", "10.0.0.5", id="address for a name"),
    pytest.param("[fd00::5]", "[fd00::6]", id="neighbouring IPv6 address"),
    pytest.param("[::ffff:10.0.0.5]", "10.0.0.6", id="neighbour of a mapped address"),
    pytest.param("localhost", "localhost.evil.test", id="start of localhost"),
    pytest.param("localhost", "evillocalhost", id="end of localhost"),
    pytest.param("127.0.0.1", "127.0.0.1.evil.test", id="start of a loopback address"),
    pytest.param("mine.azurecr.io", "evil.azurecr.io", id="another customer of Azure"),
    pytest.param("mine.azurecr.cn", "evil.azurecr.cn", id="another customer of Azure in China"),
    pytest.param("mine.azurecr.io", "azurecr.io", id="Azure's shared domain itself"),
    pytest.param("mine.azurecr.io.", "evil.azurecr.io.", id="another customer of Azure, with dots behind"),
    pytest.param("mine.jfrog.io", "evil.jfrog.io", id="another customer of JFrog"),
    pytest.param("1.dkr.ecr.eu-west-1.amazonaws.com", "2.dkr.ecr.eu-west-1.amazonaws.com", id="another account of AWS"),
    pytest.param("mine.cn-hangzhou.cr.aliyuncs.com", "evil.cn-hangzhou.cr.aliyuncs.com", id="another one of Aliyun"),
    pytest.param("mine.github.io", "evil.github.io", id="another user of GitHub"),
    pytest.param("mine.herokuapp.com", "evil.herokuapp.com", id="another app of Heroku"),
    pytest.param("mine.duckdns.org", "evil.duckdns.org", id="another name of a dynamic DNS"),
    pytest.param("mine.duckdns.org.", "evil.duckdns.org.", id="another name of a dynamic DNS, with dots behind"),
    pytest.param("10.0.0.5.nip.io", "10.6.0.5.nip.io", id="another address by its name"),
    pytest.param("10.0.0.5.sslip.io", "9.0.0.5.sslip.io", id="an address that ends alike"),
    pytest.param("cr.amazonaws.com", "evil.s3.amazonaws.com", id="a customer below the parent of a service"),
    pytest.param("herokuapp.com", "evil.herokuapp.com", id="a customer below the registry's own host"),
    pytest.param("cloud", "evil.cloud", id="a name below a top-level domain that answers"),
    pytest.param("registry.city.ck", "evil.city.ck", id="a suffix by a wildcard"),
    pytest.param("registry.xn--55qx5d.cn", "evil.xn--55qx5d.cn", id="a suffix in other letters"),
    pytest.param("registry.internal", "evil.internal", id="a top-level domain that nobody registered"),
    pytest.param("rg.fr-par.scw.cloud", "evil.scaleway.com", id="another host of Scaleway"),
    pytest.param("rg.evil.pub.instances.scw.cloud", "api.scaleway.com", id="a machine of a customer of Scaleway"),
    pytest.param("registry.evil.connect.redhat.com", "sso.redhat.com", id="another host of Red Hat's partners"),
    pytest.param("registry.connect.redhat.com.evil.test", "sso.redhat.com", id="start of Red Hat's name"),
    pytest.param("registry.connect.redhat.com", "evil.redhat.com", id="another host of Red Hat"),
    pytest.param("evil.nvcr.io.test", "authn.nvidia.com", id="start of NVIDIA's name"),
    pytest.param("registry.cn-hangzhou.aliyuncs.com", "evil.oss-cn-beijing.aliyuncs.com", id="a bucket at Aliyun"),
]


@pytest.mark.parametrize(("registry", "realm"), FOREIGN)
def test_the_token_server_of_somebody_else_is_no_kin(registry: str, realm: str) -> None:
    assert not is_kin(Origin.of(f"https://{registry}"), Origin.of(f"https://{realm}"))
    found = RealmPolicy().find(f"https://{realm}/token", f"https://{registry}/v2/")
    host = Origin.of(f"https://{realm}").host
    assert f"--trust-realm {host}" in found.refused
    assert found.own == ""
