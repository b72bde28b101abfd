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
    from mammogan.study.web.gate import Gate

LOOPBACK = ("127.0.0.1", "localhost", "::1")
GRACE_S = 5


@dataclass(frozen=True)
class Address:
    """Where a site is served; `prefix` is what a proxy in front of it puts before its paths."""

    host: str
    port: int
    prefix: str = ""

    def link(self, token: str, page: str = "") -> str:
        """Give the address that lets in, as opened on this machine or through `tunnel`."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", *LOOPBACK) else self.host  # noqa: S104
        return f"http://{host}:{self.port}/{page}?{urlencode({'token': token})}"

    @property
    def tunnel(self) -> str:
        """Give the line that makes the site reachable on another machine, typed there."""
        at = "127.0.0.1" if self.host in ("0.0.0.0", *LOOPBACK) else self.host  # noqa: S104
        return f"ssh -N -L {self.port}:{at}:{self.port} {getpass.getuser()}@{socket.getfqdn()}"

    @property
    def is_open(self) -> bool:
        """Whether other machines can reach it without ssh."""
        return self.host not in LOOPBACK


@contextmanager
def listening(host: str, port: int) -> Iterator[tuple[socket.socket, Address]]:
    """Take a port, 0 any that is free, before anything is said about it.

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


def run(site: Gate, listener: socket.socket) -> None:
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
