"""Clients by address: what a peer is called, and which client a trusted proxy forwards.

Only what parses as an address becomes a name, so nothing that a header says reaches a log as it came.
"""

import ipaddress
from collections.abc import Iterable, Sequence

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

LINK_BITS = 64
"""An IPv6 client has a whole network of this prefix to itself: one client, whatever address it takes."""


def read_address(text: str) -> Address | None:
    """Return the address that a text is, with or without a port; None for anything else."""
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
    """Return what a client at this address is called: IPv6 clients by their /64."""
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return f"::ffff:{address.ipv4_mapped}"
    return str(ipaddress.ip_network((address.packed, LINK_BITS), strict=False))


def is_among(address: Address, networks: Iterable[Network]) -> bool:
    """Say whether an address is in one of the networks; an IPv4 address counts in either notation."""
    plain = getattr(address, "ipv4_mapped", None) or address
    return any(plain in network or address in network for network in networks)


def forwarded_client(peer: Address, forwarded: Sequence[str], trusted: Sequence[Network]) -> Address:
    """Return the client that asks: the last address of X-Forwarded-For that no trusted proxy has.

    Args:
        peer: Who opened the connection.
        forwarded: The values of all X-Forwarded-For headers, in order.
        trusted: Networks of proxies that are believed.
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
