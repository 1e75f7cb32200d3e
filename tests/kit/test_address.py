"""Addresses as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dslab.kit.address import Address
from dslab.kit.errors import UsageError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:7000", Address("127.0.0.1", 7000)),
        ("server:0", Address("server", 0)),
        ("[::1]:7000", Address("::1", 7000)),
        ("bücher.example.:80", Address("bücher.example.", 80)),
    ],
)
def test_parse_reads_what_str_writes(text: str, address: Address) -> None:
    assert Address.parse(text) == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    [
        *["", "server", ":7000", "[]:7000", "::1:7000", "a..b:7000", ".:7000", "a\0b:7000"],
        *[f"{'a' * 64}:7000", f"{'ä' * 60}:7000"],
        *["server:", "server:port", "s:65536", "s:-1", "s:²", f"s:{'9' * 5_000}"],
    ],
)
def test_what_is_no_address_is_refused_with_a_remedy(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Address.parse(text)
    assert caught.value.remedy


@given(st.sampled_from(["127.0.0.1", "::1", "server-2"]), st.integers(0, 65_535))
def test_every_address_survives_the_round_trip(host: str, port: int) -> None:
    assert Address.parse(str(Address(host, port))) == Address(host, port)
