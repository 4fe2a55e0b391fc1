"""Networks of clients, and the web servers in front of the server."""

from collections.abc import Collection
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from sonant.errors import ConfigurationError

ALL = "*"


def network_of(address: str, prefix: int = 64) -> str:
    """Return the network that counts as one client: an IPv4 address, or the /64 (or another) of an IPv6 address.

    The rest of an IPv6 address is chosen by the client itself.

    Text that is no address, which a web server in front may name, is returned up to 64 characters.
    """
    try:
        ip = ip_address(plain(address))
    except ValueError:
        return address[:64]
    return str(IPv6Network((int(ip), prefix), strict=False)) if isinstance(ip, IPv6Address) else str(ip)


def plain(address: str) -> str:
    """Return an address, that of an IPv4 client of a socket for both versions (::ffff:192.0.2.1) without its prefix."""
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    return str(ip.ipv4_mapped) if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None else address


def is_loopback(host: str) -> bool:
    """Return whether an address or a name is that of this machine for itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class TrustedProxies:
    """The addresses and networks of web servers in front, which are believed whom they forward.

    Raises ConfigurationError: neither an address, nor a network, nor `*` alone.
    """

    def __init__(self, names: Collection[str]) -> None:
        self.trusts_all = list(names) == [ALL]
        self._networks = () if self.trusts_all else tuple(map(_network, names))

    @property
    def is_this_machine_only(self) -> bool:
        """True if some are trusted, all of them on this machine."""
        return bool(self._networks) and all(network.is_loopback for network in self._networks)

    def __contains__(self, address: str) -> bool:
        if self.trusts_all:
            return True
        try:
            ip = ip_address(plain(address))
        except ValueError:
            return False
        return any(ip in network for network in self._networks)


def _network(name: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(name)
    except ValueError as error:
        raise ConfigurationError(
            f"trusted_proxies has {name!r}, and {error}; expected addresses and networks such as 192.0.2.7 or "
            "172.16.0.0/12, of the web servers in front of this one, or '*' alone."
        ) from error
