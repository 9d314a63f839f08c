"""Who may connect, in virtual time."""

from __future__ import annotations

from protocol.control.limits import Admission, Limits

FEW = Limits(connections=10, per_address=3, burst=5, rate=2.0)


def test_one_address_gets_a_share_and_others_theirs() -> None:
    admission = Admission(FEW)
    assert [admission.admit("192.0.2.1", 0.0) for _ in range(4)] == [None, None, None, "address"]
    assert admission.admit("192.0.2.2", 0.0) is None
    admission.release("192.0.2.1")
    assert admission.admit("192.0.2.1", 0.0) is None


def test_there_is_an_end_in_all() -> None:
    admission = Admission(FEW)
    assert {admission.admit(f"192.0.2.{n}", 0.0) for n in range(10)} == {None}
    assert admission.admit("192.0.2.99", 0.0) == "full"
    assert admission.admit("127.0.0.1", 0.0) == "full"
    assert admission.open == 10


def test_a_rate_for_each_address_that_comes_and_goes() -> None:
    admission = Admission(FEW)

    def come_and_go(now: float) -> str | None:
        limit = admission.admit("192.0.2.1", now)
        if limit is None:
            admission.release("192.0.2.1")
        return limit

    assert [come_and_go(0.0) for _ in range(6)] == [None] * 5 + ["rate"]
    assert [come_and_go(1.0) for _ in range(3)] == [None, None, "rate"]
    assert [come_and_go(1000.0) for _ in range(6)] == [None] * 5 + ["rate"]


def test_what_counts_as_one_address() -> None:
    """IPv4 within IPv6 is IPv4; of IPv6 whoever has a /64 has all of it."""
    admission = Admission(FEW)
    ours = ["192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1", "::ffff:192.0.2.1"]
    assert [admission.admit(address, 0.0) for address in ours][-1] == "address"
    theirs = ["2001:db8::1", "2001:db8::2", "2001:db8::3%eth0", "2001:db8::4"]
    assert [admission.admit(address, 0.0) for address in theirs][-1] == "address"
    assert admission.admit("2001:db8:0:1::1", 0.0) is None


def test_this_machine_only_counts_in_all() -> None:
    admission = Admission(FEW)
    assert {admission.admit(("127.0.0.1", "::1", "::ffff:127.0.0.7")[n % 3], 0.0) for n in range(10)} == {None}
    assert admission.admit("127.0.0.1", 0.0) == "full"


def test_a_flood_of_addresses_is_forgotten() -> None:
    """Once from each of 100,000 addresses: memory stays bounded, and those that stay connected are known."""
    admission = Admission(FEW)
    stays = [admission.admit("203.0.113.1", 0.0) for _ in range(3)]
    assert stays == [None, None, None]
    for number in range(100_000):
        address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        assert admission.admit(address, 1.0) is None
        admission.release(address)
    assert len(admission._known) <= 4096
    assert admission.admit("203.0.113.1", 1.0) == "address"
