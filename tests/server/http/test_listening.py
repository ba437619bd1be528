"""The sockets of the service: bound once for all addresses of a host, and let go of by the engines."""

import os
import signal
import socket

import pytest

from server.http.listening import listening
from server.settings import SettingsError


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", ""])
def test_all_addresses_of_a_host_listen_on_one_port(host: str) -> None:
    with listening(host, 0) as sockets:
        assert len({listener.getsockname()[1] for listener in sockets}) == 1
        assert {listener.proto for listener in sockets} == {socket.IPPROTO_TCP}
        socket.create_connection(("127.0.0.1", sockets[0].getsockname()[1]), timeout=5).close()


def test_a_second_service_is_refused_while_the_first_one_starts() -> None:
    with listening("127.0.0.1", 0) as (listener,):
        port = listener.getsockname()[1]
        with pytest.raises(SettingsError, match=f"port {port} of 127.0.0.1 is in use"), listening("127.0.0.1", port):
            pass


def test_a_port_can_be_taken_again_at_once() -> None:
    with listening("127.0.0.1", 0) as (listener,):
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)), listener.accept()[0]:
            pass
    with listening("127.0.0.1", port):
        pass


def test_a_fork_lets_go_of_the_socket() -> None:
    with listening("127.0.0.1", 0) as (listener,):
        port = listener.getsockname()[1]
        begun, begins = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(begins, b"!")
            signal.pause()
        os.read(begun, 1)
    try:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.invalid", "a" * 80, "::zz"])
def test_an_address_that_is_not_here_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match=host), listening(host, 0):
        pass
