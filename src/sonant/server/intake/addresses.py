"""Hosts and IP addresses from which recordings may be fetched."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

from sonant.errors import ConfigurationError

USUAL_PORTS = {"http": 80, "https": 443}

_PATTERN = re.compile(r"(?P<below>\*\.)?(?P<name>[a-z0-9_-]+(\.[a-z0-9_-]+)*)\.?(:(?P<port>[0-9]{1,5}))?")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_NOT_PUBLIC = tuple(
    ipaddress.ip_network(block)
    for block in (
        # IANA's registries of special-purpose addresses; the lists of `ipaddress` depend on the version of Python
        *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
        *("192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24"),
        *("203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4"),
        *("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"),
        # numbers of the public internet under which clouds answer from within: Azure; IBM
        *("168.63.129.16/32", "161.26.0.0/16", "166.8.0.0/14"),
    )
)
_ISATAP = {0x00005EFE, 0x02005EFE}  # the third word of an IPv6 address that ends in an IPv4 one


@dataclass(frozen=True)
class AllowedHost:
    """A host, or all subdomains of a domain.

    Attributes:
        name: in lower case; ".example.org" stands for all subdomains.
        port: None for those of http and https.
    """

    name: str
    port: int | None

    @classmethod
    def read(cls, pattern: str) -> Self:
        """Parse "audio.example.org" or "*.example.org", with or without a port. Raises ConfigurationError."""
        found = _PATTERN.fullmatch(pattern.strip().lower())
        if found is None:
            raise ConfigurationError(
                f'fetch_hosts names {pattern!r}; expected hosts such as "audio.example.org", "*.example.org" or '
                '"audio.example.org:8443", without https:// and without a path.'
            )
        return cls(("." if found["below"] else "") + found["name"], int(found["port"]) if found["port"] else None)

    def allows(self, name: str, port: int) -> bool:
        named = name.endswith(self.name) if self.name.startswith(".") else name == self.name
        return named and (port == self.port if self.port is not None else port in USUAL_PORTS.values())


def is_public(address: str) -> bool:
    """Return True for an IP address on the public internet.

    False for private, loopback, link-local, multicast and reserved ones, for those under which clouds serve metadata,
    for IPv6 addresses mapped to such IPv4 ones, and for all other IPv6 addresses that are known to embed an IPv4 one
    (6to4, Teredo, ISATAP, NAT64 with the prefixes of the standards; a network's own prefix looks like any other).
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # such as fe80::1%eth0
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return is_public(str(parsed.ipv4_mapped))
        if parsed not in _GLOBAL_UNICAST or int(parsed) >> 32 & 0xFFFFFFFF in _ISATAP:
            return False
    return not any(parsed in block for block in _NOT_PUBLIC)
