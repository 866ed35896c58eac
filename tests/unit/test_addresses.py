"""Addresses of webhooks: which are refused as they stand, in whatever spelling, and what a person may allow."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobmgr.addresses import MAX_URL, NOTHING, Allowed, address_trouble, host_trouble, receiver_of, url_trouble

PRIVATE = [
    "127.0.0.1", "127.1", "127.255.255.254", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0", "0.0.0.0", "127.0.0.1.",
    "10.0.0.1", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "192.168.1", "169.254.169.254", "100.64.0.1", "100.127.255.255",
    "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "[::]", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:a00:1]", "[::127.0.0.1]", "[fc00::1]", "[fd12:3456::1]", "[fe80::1]", "[fe80::1%25eth0]",
    "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[2002:7f00:1::]", "[2002:a00:1::1]", "[64:ff9b::7f00:1]", "[64:ff9b::10.0.0.1]",
    "[64:ff9b:1::a00:1]", "[100::1]", "[2001:0:a00:1::1]",
]  # fmt: skip
PUBLIC = [
    "8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "134744072", "[2606:4700:4700::1111]", "[::ffff:8.8.8.8]", "[64:ff9b::808:808]",
    "[2002:808:808::1]", "example.org", "example.org.", "xn--mnchen-3ya.de", "a_b.example.org", "localhost.example.org", "127.0.0.1.example.org",
]  # fmt: skip


@pytest.mark.parametrize("host", [*PRIVATE, "localhost", "LOCALHOST", "localhost.", "my.localhost"])
def test_what_is_not_public_is_refused_by_a_sentence_that_names_the_setting(host: str) -> None:
    """In every spelling that the system takes for it, and where it hides in an IPv6 address."""
    for url in (f"http://{host}/", f"https://{host}:8443/done?x=1"):
        trouble = url_trouble(url, NOTHING)
        assert trouble is not None and "JOBMGR_WEBHOOK_HOSTS" in trouble, url


@pytest.mark.parametrize("host", PUBLIC)
def test_what_is_public_or_a_name_is_taken(host: str) -> None:
    """What a name means is asked at each try."""
    assert url_trouble(f"https://{host}/done", NOTHING) is None


@pytest.mark.parametrize(
    "url",
    [
        "", "example.org", "//example.org/", "/done", "ftp://example.org/", "file:///etc/passwd", "http://", "http:///done", "https:example.org",
        "http://user@example.org/", "http://user:password@example.org/", "http://example.org:0/", "http://example.org:65536/", "http://[::1/",
        "http://example.org:x/", "http://exa mple.org/", "http://example.org/a b", "http://example.org/\n", "http://ex\u00e4mple.org/", "http://\uff11.1.1.1/",
        "http://127%2e0.0.1/", "http://a..b/", "http://-a.org/", "http://example.org\\@127.0.0.1/", "http://example.org/\x00",
        "http://example.org/" + "x" * MAX_URL,
    ],
)  # fmt: skip
def test_what_is_no_address_of_a_receiver_is_refused(url: str) -> None:
    """Another scheme, a password, no host, no port that there is, letters that mean another host."""
    assert url_trouble(url, NOTHING) is not None


@pytest.mark.parametrize(
    ("allowed", "host"),
    [
        ("localhost", "localhost"),
        ("LocalHost.", "localhost"),
        ("localhost", "LOCALHOST."),
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.0.0.0/8", "[::ffff:10.1.2.3]"),
        ("127.0.0.1", "2130706433"),
        ("::1", "[::1]"),
        ("[::1]", "[::1]"),
        ("fd00::/8", "[fd12::1]"),
    ],
)
def test_what_a_person_allows_is_taken(allowed: str, host: str) -> None:
    """A name, an address, a network."""
    assert url_trouble(f"http://{host}/", Allowed.of([allowed])) is None


@pytest.mark.parametrize(
    ("allowed", "host"),
    [("localhost", "127.0.0.1"), ("10.0.0.0/8", "11.0.0.1.localhost"), ("10.0.0.0/8", "192.168.0.1")],
)
def test_what_a_person_allows_is_no_more_than_that(allowed: str, host: str) -> None:
    """A name is not its address."""
    assert host_trouble(host, Allowed.of([allowed])) is not None


@pytest.mark.parametrize("part", ["10.0.0.1/8", "10.0.0.0/33", "a b", "http://example.org/", "*", "*.example.org"])
def test_what_is_nothing_to_allow_is_refused(part: str) -> None:
    """By a sentence that says how to write it."""
    with pytest.raises(ValueError, match="write"):
        Allowed.of([part])


@given(st.ip_addresses(v=4))
def test_an_address_hidden_in_ipv6_is_judged_like_itself(inner: object) -> None:
    """Mapped, 6to4, NAT64."""
    plain = ip_address(str(inner))
    bits = int(plain)
    hidden = (0xFFFF << 32 | bits, 0x2002 << 112 | bits << 80, 0x64FF9B << 96 | bits)
    for outer in hidden:
        refused = address_trouble(ip_address(outer.to_bytes(16)), NOTHING) is not None
        assert refused == (address_trouble(plain, NOTHING) is not None)


@pytest.mark.parametrize(
    ("url", "receiver"),
    [
        ("https://Example.org/secret?x", "https://example.org:443"),
        ("http://example.org.:8080/secret", "http://example.org:8080"),
        ("http://[::1]/secret", "http://[::1]:80"),
    ],
)
def test_a_receiver_is_named_without_what_may_be_a_secret(url: str, receiver: str) -> None:
    """Scheme, host and port."""
    assert receiver_of(url) == receiver
