"""Whether the environment's proxy stands between this machine and a gateway."""

from __future__ import annotations

import ipaddress
import urllib.request

_PRIVATE_NETWORKS = tuple(
    ipaddress.ip_network(text)
    for text in (
        "0.0.0.0/32",
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "100.64.0.0/10",  # CGNAT, where Tailscale's addresses are
        "::1/128",
        "fe80::/10",
        "fc00::/7",  # ULA; Tailscale's fd7a:115c:a1e0::/48 is in it
    )
)
_PRIVATE_NAMES = ("localhost", "ts.net", "local", "internal", "lan", "home.arpa")


def is_private(host: str) -> bool:
    """Whether `host` (a name or an address) is one that no outside proxy could reach."""
    name = host.lower().rstrip(".").strip("[]")
    try:
        address = ipaddress.ip_address(name.split("%", 1)[0])
    except ValueError:
        # A name without a dot is one of the own network, such as MagicDNS's short names.
        return "." not in name or any(name.endswith("." + suffix) for suffix in _PRIVATE_NAMES)
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        address = mapped
    return any(address in network for network in _PRIVATE_NETWORKS)


def environment_proxy(scheme: str, host: str) -> str | None:
    """Return the URL of the proxy to use for `host`, or None for a direct connection.

    ``NO_PROXY=100.64.0.0/10`` is not understood by most HTTP libraries, so that a tailnet's calls
    would go to the proxy, key and all; private hosts therefore never use one.
    """
    if is_private(host) or urllib.request.proxy_bypass(host):
        return None
    found = urllib.request.getproxies()
    proxy = found.get(scheme) or found.get("all")
    if not proxy:
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
