"""Tells loopback from other hosts. It imports no database driver, because the functions use different ones."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Returns True for this machine, to which a connection needs no TLS."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
