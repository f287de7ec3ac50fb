"""Which addresses outgoing requests may reach.

A user who may define a webhook must not reach what only the server can: its own loopback, the private network,
the cloud's metadata service. Names are looked up once and the connection goes to the very address that was judged,
so that a second look-up can't give another (DNS rebinding), in whatever form an address is written (octal, decimal,
IPv4 inside IPv6).
"""

import asyncio
import ipaddress
import socket
from collections.abc import Iterable
from typing import Final

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_SHARED: Final = ipaddress.ip_network("100.64.0.0/10")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

HOW_TO_ALLOW: Final = (
    "to allow it, list its network in the server's setting actions.allowed_networks, such as 10.1.0.0/16"
)


class AddressRefused(OSError):  # noqa: N818 - it names what happened
    """An outgoing request was refused because of where it would have gone."""

    def __init__(self, where: str) -> None:
        super().__init__(f"{where} leads to a private address; {HOW_TO_ALLOW}")


class AddressGuard:
    """Judges addresses: public ones pass, others only from ``allowed`` networks (or all, with ``allow_private``)."""

    def __init__(self, *, allow_private: bool = False, allowed: Iterable[str] = ()) -> None:
        self.allow_private = allow_private
        self._allowed = tuple(ipaddress.ip_network(network) for network in allowed)

    def permits(self, address: str) -> bool:
        """Tell whether a numeric address may be reached."""
        try:
            ip = ipaddress.ip_address(address.partition("%")[0])
        except ValueError:
            return False
        inner = unwrap(ip)
        if self.allow_private or any(ip in network or inner in network for network in self._allowed):
            return True
        return is_public(inner)

    async def resolve(self, host: str, port: int) -> list[str]:
        """Return the addresses of a host, all of them judged.

        Raises:
            AddressRefused: one of them may not be reached.
            OSError: the host has no address.

        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except (socket.gaierror, UnicodeError) as problem:
            raise OSError(f"{host} has no address: {problem}") from problem
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        # One private address among public ones is refused as a whole: a client may pick any of them.
        if not all(self.permits(address) for address in addresses):
            raise AddressRefused(host)
        return addresses


def unwrap(ip: Address) -> Address:
    """Return the IPv4 address inside an IPv6 one (mapped, 6to4, Teredo, NAT64), or the address itself."""
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    if ip in _NAT64 or (int(ip) >> 32 == 0 and int(ip) > 1):
        return ipaddress.IPv4Address(int(ip) & 0xFFFF_FFFF)
    return ip


def is_public(ip: Address) -> bool:
    """Tell whether an address belongs to the public internet."""
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip in _SHARED)
