"""Hosts and IP addresses from which recordings may be fetched."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self

from sonant.errors import ConfigurationError

USUAL_PORTS = {"http": 80, "https": 443}

_PATTERN = re.compile(r"(?P<below>\*\.)?(?P<name>[a-z0-9_-]+(\.[a-z0-9_-]+)*)\.?(:(?P<port>[0-9]{1,5}))?")
_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")


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

    False for private, loopback, link-local (cloud metadata), multicast and reserved ones, for IPv6 addresses mapped to
    such IPv4 ones, and for all other IPv6 addresses that embed an IPv4 one (6to4, Teredo, NAT64).
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:  # such as fe80::1%eth0
        return False
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return is_public(str(parsed.ipv4_mapped))
        if parsed not in _GLOBAL_UNICAST or parsed.sixtofour is not None or parsed.teredo is not None:
            return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved
