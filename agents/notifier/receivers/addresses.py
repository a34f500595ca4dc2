"""Where no request may go when `allow_private_addresses` is false: this machine, its network, the cloud's metadata.

Names are checked after they are resolved, and the connection goes to exactly the addresses that were checked, so a
name cannot change its mind in between. Literal addresses never reach a resolver and are checked on their own.
"""

import ipaddress
import socket

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

# Ways to write an IPv4 address inside an IPv6 one: a gateway or the kernel would take the packet to the inner one.
_WRAPPING_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in (
        "::/96",
        "::ffff:0:0/96",
        "::ffff:0:0:0/96",
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2001::/32",
        "2002::/16",
    )
)


class RefusedAddressError(OSError):
    """The address is not one to which requests may go."""


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, and to one host.

    Python's `is_global` alone is true for multicast and for NAT64.
    """
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    wrapped = ip.version == 6 and any(ip in network for network in _WRAPPING_NETWORKS)
    return ip.is_global and not ip.is_multicast and not wrapped


def is_refused_literal(host: str) -> bool:
    """Whether a URL's host is an IP address to which no request may go; False for names."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return not is_public(host)


class GuardedResolver(AbstractResolver):
    """Resolves names like the system does, and leaves out what is not public."""

    def __init__(self) -> None:
        self._system = ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """The public addresses of a name.

        Raises:
            RefusedAddressError: it has none.
            OSError: it has no address at all.
        """
        found = await self._system.resolve(host, port, family)
        public = [result for result in found if is_public(result["host"])]
        if not public:
            raise RefusedAddressError("not a public address")
        return public

    async def close(self) -> None:
        """Nothing to let go of."""
        await self._system.close()
