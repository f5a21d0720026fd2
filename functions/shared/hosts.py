"""What a host name says; without a driver, for functions whose package has another one."""

import ipaddress


def is_loopback(host: str) -> bool:
    """Whether the host is this machine, where nobody listens on the way."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
