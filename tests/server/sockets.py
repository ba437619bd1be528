"""Clients below HTTP: they send what they like, as slowly as they like, and read as little."""

import asyncio
import socket
from urllib.parse import urlsplit

import httpx


async def connected(client: httpx.AsyncClient, sent: bytes = b"", *, buffer_bytes: int = 4096) -> socket.socket:
    """A connection to the service of a client, over which nothing is read."""
    address, connection = urlsplit(str(client.base_url)), socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    connection.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(connection, (address.hostname, address.port))
    await loop.sock_sendall(connection, sent)
    return connection


async def rest_of(connection: socket.socket, within_s: float = 10.0) -> bytes:
    """Read until the service closes the connection."""
    loop, received = asyncio.get_running_loop(), bytearray()
    async with asyncio.timeout(within_s):
        try:
            while piece := await loop.sock_recv(connection, 65_536):
                received += piece
        except ConnectionResetError:
            pass
    connection.close()
    return bytes(received)


def post(path: str, body: bytes) -> bytes:
    """A whole request."""
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body
