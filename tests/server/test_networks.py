"""Which addresses are one client, and who is believed when it speaks for others."""

import pytest

from sonant.errors import ConfigurationError
from sonant.server.networks import TrustedProxies, is_loopback, network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", "2001:db8:0:1::/64"),
        ("2001:db8:0:2::1", "2001:db8:0:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),  # one client, however it came
        ("", ""),
        ("x" * 1000, "x" * 64),
    ],
)
def test_what_counts_as_one_client(address: str, network: str) -> None:
    assert network_of(address) == network


def test_who_is_trusted() -> None:
    proxies = TrustedProxies(["192.0.2.7", "172.16.0.0/12", "2001:db8::/32"])
    assert all(host in proxies for host in ("192.0.2.7", "172.18.0.1", "2001:db8:0::1"))
    assert not any(host in proxies for host in ("192.0.2.8", "127.0.0.1", "localhost", ""))
    assert "::ffff:172.18.0.1" in proxies, "by a socket for both versions"
    assert "203.0.113.1" in TrustedProxies(["*"])
    assert "127.0.0.1" not in TrustedProxies([])


@pytest.mark.parametrize("name", ["proxy.example.org", "10.0.0.1/8", "10.0.0.0/33", ""])
def test_what_would_never_match_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="trusted_proxies"):
        TrustedProxies([name])


def test_which_hosts_are_this_machine() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.0.2.1", "example.org", "")))
