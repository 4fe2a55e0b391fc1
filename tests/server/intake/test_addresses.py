"""Which hosts may be fetched from, and which addresses are anybody's."""

import pytest

from sonant.errors import ConfigurationError
from sonant.server.intake.addresses import AllowedHost, is_public


@pytest.mark.parametrize(
    ("pattern", "name", "port", "allowed"),
    [
        ("audio.example.org", "audio.example.org", 443, True),
        ("audio.example.org", "audio.example.org", 80, True),
        ("audio.example.org", "audio.example.org", 22, False),
        ("Audio.Example.ORG.", "audio.example.org", 443, True),
        ("audio.example.org", "example.org", 443, False),
        ("audio.example.org", "x.audio.example.org", 443, False),
        ("audio.example.org", "audio.example.org.evil.net", 443, False),
        ("*.example.org", "audio.example.org", 443, True),
        ("*.example.org", "a.b.example.org", 443, True),
        ("*.example.org", "example.org", 443, False),
        ("*.example.org", "evilexample.org", 443, False),
        ("audio.example.org:8443", "audio.example.org", 8443, True),
        ("audio.example.org:8443", "audio.example.org", 443, False),
        ("*.example.org:81", "a.example.org", 81, True),
    ],
)
def test_hosts(pattern, name, port, allowed):
    assert AllowedHost.read(pattern).allows(name, port) is allowed


@pytest.mark.parametrize(
    "pattern",
    ["", "*", "*.", "https://example.org", "example.org/audio", "a*.example.org", "me@example.org", "x:port", "x:1:2"],
)
def test_patterns_that_are_no_hosts(pattern):
    with pytest.raises(ConfigurationError, match="fetch_hosts names"):
        AllowedHost.read(pattern)


@pytest.mark.parametrize(
    "address",
    [
        "93.184.216.34", "8.8.8.8", "2606:2800:220:1::1", "2001:4860:4860::8888",
        "168.63.129.17", "192.0.1.1", "166.12.0.1", "2001:200::1", "223.255.255.255",
    ],
)  # fmt: skip
def test_public_addresses(address):
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1",
        "169.254.169.254", "224.0.0.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1",
        "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1",
        "2002:7f00:1::1", "2001:0:7f00:1::1", "fec0::1", "100::1", "not an address", "",
        # metadata of clouds: Azure, Oracle, Alibaba, Amazon, Google, IBM; and by way of IPv6
        "168.63.129.16", "192.0.0.192", "100.100.100.200", "169.254.170.2", "fd20:ce::254", "166.9.48.86",
        "161.26.0.10", "::ffff:168.63.129.16", "::ffff:192.0.0.192", "64:ff9b::a83f:8110", "64:ff9b:1::a9fe:a9fe",
        "2002:a9fe:a9fe::1", "2001:470:1:2:0:5efe:a9fe:a9fe", "2001:470:1:2:200:5efe:10.0.0.1",
        # special blocks of IANA, whatever this Python thinks of them
        "192.0.0.8", "192.0.0.9", "192.0.0.170", "192.88.99.1", "198.19.255.255", "203.0.113.255", "239.1.2.3",
        "2001:2::1", "2001:10::1", "2001:20::1", "2001:1ff::1", "3fff::1", "5f00::1",
    ],
)  # fmt: skip
def test_addresses_that_are_not_public(address):
    assert not is_public(address)


def test_an_ipv4_address_in_ipv6_form_is_what_it_stands_for():
    assert is_public("::ffff:8.8.8.8")
