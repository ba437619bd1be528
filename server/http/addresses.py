"""Clients by address: their names, and the client behind a trusted proxy.

Only text that parses as an address becomes a name, so no header reaches a log verbatim.
"""

import ipaddress
from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LINK_BITS = 64
"""An IPv6 client owns a whole network of this prefix: it is one client, whatever address it uses."""


def read_address(text: str) -> Address | None:
    """Parse an address, with or without a port; None for anything else."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return type(address)(address.packed)  # without the zone of an IPv6 address, which may be any text


def name_of(address: Address) -> str:
    """Return the name of a client at this address: IPv6 clients share one per /64."""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return f"::ffff:{address.ipv4_mapped}"
    return str(ipaddress.ip_network((address.packed, LINK_BITS), strict=False))


def is_among(address: Address, networks: Iterable[Network]) -> bool:
    """Return whether one of the networks contains the address; IPv4 matches in either notation."""
    plain = getattr(address, "ipv4_mapped", None) or address
    return any(plain in network or address in network for network in networks)


def forwarded_client(peer: Address, forwarded: Sequence[str], trusted: Sequence[Network]) -> Address:
    """Return the client: the last address in X-Forwarded-For that is not a trusted proxy.

    Args:
        peer: Who opened the connection.
        forwarded: The values of all X-Forwarded-For headers, in order.
        trusted: Networks of trusted proxies.
    """
    client = peer
    for text in reversed(",".join(forwarded).split(",")):
        if not is_among(client, trusted):
            break
        address = read_address(text)
        if address is None:
            break
        client = address
    return client
