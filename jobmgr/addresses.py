"""Which addresses a webhook may have, and which machines it may reach: none of this network unless a person allowed it.

A URL is read twice. When it is given, what can be seen in it is refused at once: a scheme other than http, a password, a literal address that is
private, `localhost`. When it is called, every address that its name has just then is judged again by whoever connects, for a name may mean
another machine tomorrow. Literal addresses are known in every spelling that the system takes (`2130706433`, `0x7f.1`, `0177.0.0.1`), and the
IPv4 address inside an IPv6 one (mapped, 6to4, NAT64, Teredo) is judged too.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Self
from urllib.parse import SplitResult, urlsplit

MAX_URL = 2048
SETTING = "JOBMGR_WEBHOOK_HOSTS"

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAME = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_PORTS = {"http": 80, "https": 443}
_NAT64 = (IPv6Network("64:ff9b::/96"),)
_COMPATIBLE = IPv6Network("::/96")
# Said here besides what `ipaddress` says, whose answers differ between versions of Python.
_NEVER = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "224.0.0.0/3",
        "::/127", "64:ff9b:1::/48", "3fff::/20", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8", "100::/64", "2001:db8::/32",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Allowed:
    """What a person allowed: names, whatever their addresses are, and networks."""

    names: frozenset[str] = frozenset()
    networks: tuple[Network, ...] = ()

    @classmethod
    def of(cls, parts: Iterable[str]) -> Self:
        """From names, addresses and networks. Raises ValueError with a sentence for what is none."""
        names, networks = set[str](), list[Network]()
        for part in parts:
            host = _plain(part)
            if (address := literal(host)) is not None:
                networks.append(ip_network(address))
            elif "/" in part:
                networks.append(_network(part))
            elif _NAME.fullmatch(host):
                names.add(host)
            else:
                raise ValueError(f"{part} is no name, address or network; write for example localhost, 10.0.0.0/8")
        return cls(frozenset(names), tuple(networks))

    def has_name(self, host: str) -> bool:
        """Whether whatever this name means is allowed."""
        return _plain(host) in self.names

    def has_address(self, address: Address) -> bool:
        """Whether it is in one of the networks, by itself or by the IPv4 address in it."""
        return any(each in network for each in (address, *_inside(address)) for network in self.networks)


NOTHING = Allowed()


def _network(text: str) -> Network:
    try:
        return ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}; write a network like 10.0.0.0/8") from None


def _plain(host: str) -> str:
    return host.lower().removesuffix(".")


# --- what is given


def url_trouble(url: str, allowed: Allowed) -> str | None:
    """What is wrong with the address of a webhook and what to do, as far as its text tells; None: nothing."""
    if len(url) > MAX_URL:
        return f"an address has at most {MAX_URL:,} characters"
    if not url.isascii() or not url.isprintable() or set(url) & set(' "<>\\^`{|}'):
        return "write it as it is sent: other letters than ASCII, blanks and the like as %20, names as xn--…"
    parts = _split(url)
    if parts is None or parts.scheme not in _PORTS or not parts.hostname:
        return "give an address that begins with http:// or https://, such as https://example.org/done"
    if "@" in parts.netloc:
        return "an address has no user and password in it; use the signature, or a path that nobody guesses"
    host = _plain(parts.hostname)
    if literal(host) is None and not _NAME.fullmatch(host):
        return "its host is no name and no address"
    return host_trouble(host, allowed)


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.port != 0 else None
    except ValueError:  # A bracket that does not close, a port that is none.
        return None


def host_trouble(host: str, allowed: Allowed) -> str | None:
    """Why this host, as it stands in an address, is not called; None: nothing is known against it."""
    host = _plain(host)
    if allowed.has_name(host):
        return None
    if (address := literal(host)) is not None:
        return address_trouble(address, allowed)
    if host == "localhost" or host.endswith(".localhost"):
        return f"{host} is this machine, which is not called unless {SETTING} has it"
    return None


def address_trouble(address: Address, allowed: Allowed) -> str | None:
    """Why this address is not called; None: it is."""
    if all(map(_is_public, (address, *_inside(address)))) or allowed.has_address(address):
        return None
    return f"{address} is no public address, and is not called unless {SETTING} has it"


def literal(host: str) -> Address | None:
    """The address that a host is, in any spelling that the system would take for one; None: it is a name."""
    try:
        return ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        pass
    if not re.fullmatch(r"[0-9a-fx.]+", _plain(host)):
        return None
    try:
        return IPv4Address(socket.inet_aton(_plain(host)))
    except OSError:
        return None


def _inside(address: Address) -> Iterator[IPv4Address]:
    """The IPv4 addresses that an IPv6 one leads to."""
    if isinstance(address, IPv4Address):
        return
    if address.ipv4_mapped is not None:
        yield address.ipv4_mapped
    if address.sixtofour is not None:
        yield address.sixtofour
    yield from address.teredo or ()
    if any(address in network for network in (*_NAT64, _COMPATIBLE)):
        yield IPv4Address(int(address) & 0xFFFFFFFF)


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address) and any(_inside(address)):
        return True  # What is inside is judged in its place.
    never = any(address in network for network in _NEVER if network.version == address.version)
    return address.is_global and not (never or address.is_multicast or address.is_reserved or address.is_loopback)


# --- what is kept of it


def receiver_of(url: str) -> str:
    """Scheme, host and port: what may be shown of an address, for its path may be a secret."""
    parts = urlsplit(url)
    host = _plain(parts.hostname or "")
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}:{parts.port or _PORTS.get(parts.scheme, 0)}"
