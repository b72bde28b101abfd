"""The network interface by which a process reaches the others: Gloo takes that of the node's own name.

Debian writes that name into /etc/hosts as 127.0.1.1, and other nodes are then given an address that is their
own. NCCL looks at the interfaces themselves, and leaves loopback out.
"""

from __future__ import annotations

import ipaddress
import logging
import socket

log = logging.getLogger(__name__)

NOT_BETWEEN_NODES = ("lo", "docker", "virbr", "br-", "veth", "cni", "flannel", "podman")
"""Beginnings of the names of interfaces that lead nowhere but to this machine's own guests."""
ELSEWHERE = ("192.0.2.1", "2001:db8::1")
"""Addresses of documentation (RFC 5737, RFC 3849), which are routed as everything far away is."""


def towards(master: str, port: int = 9) -> str:
    """Return the interface that leads to `master`, on its own node the one with its address; "" if unknown.

    Where a name that is not this machine's own for itself (``localhost``) means loopback, as Debian has it on
    the node of that name, it is the interface of the default route, or the only one to other nodes.
    """
    import psutil

    owners: dict[str, str] = {
        address.address.partition("%")[0]: name
        for name, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if address.family in (socket.AF_INET, socket.AF_INET6)
    }
    source = _source(master, port)
    if source and (not _loopback(source) or _own(master)):
        return owners.get(source, "")
    for address in ELSEWHERE:
        if name := owners.get(_source(address, port)):
            return name
    up = {name for name, state in psutil.net_if_stats().items() if state.isup}
    left = sorted({
        name
        for address, name in owners.items()
        if name in up and not name.startswith(NOT_BETWEEN_NODES) and not _local(address)
    })  # fmt: skip
    if len(left) > 1:
        log.warning(
            "several network interfaces may lead to the other nodes (%s), and '%s' is taken: set "
            "GLOO_SOCKET_IFNAME in [environment.variables] for another",
            ", ".join(left),
            left[0],
        )
    return left[0] if left else ""


def _source(address: str, port: int) -> str:
    """Return this machine's address on the way to another; nothing is sent. Empty if there is no way."""
    try:
        family, kind, _, _, target = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind) as probe:
            probe.connect(target)
            return str(probe.getsockname()[0]).partition("%")[0]
    except OSError:
        return ""


def _own(master: str) -> bool:
    """Tell whether `master` is what every machine calls itself, so that all ranks are on this one."""
    return master == "localhost" or (_is_address(master) and _loopback(master))


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


def _local(address: str) -> bool:
    """Tell whether an address means something on one machine or cable only."""
    known = ipaddress.ip_address(address)
    return known.is_loopback or known.is_link_local
