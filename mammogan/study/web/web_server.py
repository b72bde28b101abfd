"""Serving a site from this machine, to this machine: others come by ssh."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from mammogan.errors import ConfigError

if TYPE_CHECKING:
    from mammogan.study.web.auth import TokenAuth

LOOPBACK = ("127.0.0.1", "localhost", "::1")
EVERYWHERE = ("0.0.0.0", "::")  # noqa: S104 - only if asked for
GRACE_S = 5


@dataclass(frozen=True)
class Address:
    """Where a site is served."""

    host: str
    port: int

    def link(self, token: str, page: str = "") -> str:
        """Return the address that lets in: from this network if it is open to it, else from this machine."""
        host = outward() if self.host in EVERYWHERE else "127.0.0.1" if not self.is_open else self.host
        return f"http://{host}:{self.port}/{page}?{urlencode({'token': token})}"

    @property
    def tunnel(self) -> str:
        """Return the line that makes the site reachable on another machine, typed there."""
        return f"ssh -N -L {self.port}:127.0.0.1:{self.port} {getpass.getuser()}@{socket.getfqdn()}"

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it without ssh."""
        return self.host not in LOOPBACK


def outward() -> str:
    """Return this machine's address in its network, or its name where it is in none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent: it only chooses the interface
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


@contextmanager
def listening(host: str, port: int) -> Iterator[tuple[socket.socket, Address]]:
    """Take a port, 0 any that is free, before anything is printed about it.

    Raises
    ------
    ConfigError
        If the port is taken or the host is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except (OSError, OverflowError) as error:
            raise ConfigError(
                f"--host '{host}' --port '{port}' can't be listened at: {error}. Another program may have "
                "the port; --port 0 takes a free one."
            ) from None
        listener.listen(128)
        yield listener, Address(host, listener.getsockname()[1])


def run(site: TokenAuth, listener: socket.socket) -> None:
    """Serve until Ctrl-C or SIGTERM; answers name neither the server nor the time."""
    import uvicorn

    uvicorn.Server(
        uvicorn.Config(
            site,
            log_level="warning",
            access_log=False,  # would hold who looked at what, and when
            server_header=False,
            date_header=False,
            proxy_headers=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=GRACE_S,
        )
    ).run(sockets=[listener])
