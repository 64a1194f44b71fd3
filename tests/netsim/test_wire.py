"""How fields are written: the shorter of two forms of slots, the least width of symbols, one way each; compiled or not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from netsim import wire
from netsim.errors import MalformedMessage

SLOTS = st.sampled_from([50, 500, 2**20, 2**56]).flatmap(
    lambda stop: st.sets(st.integers(0, stop - 1), max_size=40).map(
        lambda slots: np.array(sorted(slots), dtype=np.int64)
    )
)
SYMBOLS = st.sampled_from([1, 3, 15, 255]).flatmap(
    lambda greatest: arrays.arrays(np.uint8, st.integers(0, 40), elements=st.integers(0, greatest))
)


@pytest.fixture(autouse=True, params=[1, 10**9], ids=["compiled", "numpy"], scope="module")
def _by_whom(request):
    """Rows of any length are for the one, or for the other."""
    before, wire.COMPILED_FROM = wire.COMPILED_FROM, request.param
    yield
    wire.COMPILED_FROM = before


def bytes_of(count: int) -> bytes:
    """A count as it stands on the wire."""
    return count.to_bytes(8, "big")


def same(one: object, other: object) -> bool:
    """Equal values of a field, arrays with equal types."""
    if isinstance(one, np.ndarray):
        return isinstance(other, np.ndarray) and one.dtype == other.dtype and np.array_equal(one, other)
    return type(one) is type(other) and one == other


def field(how: str, data: bytes) -> np.ndarray:
    """One field, from all of its bytes."""
    value, rest = wire.unpack(how, memoryview(data))
    if len(rest):
        raise MalformedMessage("too long")
    return value


def bitmap(slots: list[int], *, spare: int = 0) -> bytes:
    """Slots as a bit for each, whether that is the shorter form or not, and some bytes of zeros too many."""
    bits = np.zeros(max(slots, default=-1) + 1, dtype=np.uint8)
    bits[slots] = 1
    payload = np.packbits(bits).tobytes() + bytes(spare)
    return bytes_of(len(slots)) + b"\x00" + bytes_of(len(payload)) + payload


def varint(value: int, *, spare: int = 0) -> bytes:
    """A number, 7 bits a byte, and some bytes of zeros too many."""
    digits = [value & 127]
    while value := value >> 7:
        digits.append(value & 127)
    digits += [0] * spare
    return bytes(digit | 128 for digit in digits[:-1]) + bytes(digits[-1:])


def gaps_of(slots: list[int], *, spare: int = 0) -> bytes:
    """Slots as the gaps between them, the last with some bytes too many."""
    gaps = [slot - before - 1 for before, slot in zip([-1, *slots], slots, strict=False)]
    payload = b"".join(varint(gap, spare=spare if i == len(gaps) - 1 else 0) for i, gap in enumerate(gaps))
    return bytes_of(len(slots)) + b"\x01" + bytes_of(len(payload)) + payload


@given(SLOTS)
def test_slots_survive_in_the_shorter_form(slots):
    """What comes back is what was written, as long as the shorter of a bitmap and gaps, and the longer form is refused."""
    written = wire.pack("slots", slots)
    assert same(field("slots", written), slots)
    forms = [gaps_of(slots.tolist())]
    if not len(slots) or slots[-1] < 2**22:
        forms.insert(0, bitmap(slots.tolist()))
    assert written == min(forms, key=len)  # the first of equals: the bitmap
    for other in forms:
        if other != written:
            with pytest.raises(MalformedMessage):
                field("slots", other)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.05, 0.124, 0.126, 0.5, 1.0])
def test_a_blocks_slots_take_little_room(share):
    """A block of 10^6 pulses at any gain survives, in no more than its bitmap and no more than 10 bits a click at 1 in 100."""
    pulses = 1_000_000
    slots = np.flatnonzero(np.random.default_rng(4).random(pulses) < share)
    written = wire.pack("slots", slots)
    assert same(field("slots", written), slots)
    assert len(written) <= 17 + pulses // 8
    assert share != 0.01 or len(written) <= 17 + 1.4 * len(slots)


@pytest.mark.parametrize("spare", [1, 2, 9])
@pytest.mark.parametrize("slots", [[0], [7, 8], [1000], [2**55], [5, 10_000, 10_001]])
def test_a_number_has_as_few_bytes_as_it_can(slots, spare):
    """Gaps written with leading zeros, or in more than 56 bits, and bitmaps with empty bytes behind, are refused."""
    bitmaps = [bitmap(slots, spare=spare)] if slots[-1] < 2**22 else []
    for data in (gaps_of(slots, spare=spare), *bitmaps):
        with pytest.raises(MalformedMessage):
            field("slots", data)


@pytest.mark.parametrize(
    "slots",
    [
        [2**56],
        [2**56 - 1, 2**56],
        [2**63 - 1],
        [2**64 - 1],
        [2**64 + 5],
        [2**70],
        [2**56 * i for i in range(1, 200)],
    ],
    ids=["2^56", "behind it", "int64", "uint64", "beyond", "far beyond", "around the clock"],
)
def test_slots_beyond_56_bits_are_refused(slots):
    """No gap, and no sum of gaps, brings a slot to 2^56 or round to the front again."""
    with pytest.raises(MalformedMessage):
        field("slots", gaps_of(slots))


def test_slots_have_their_count_and_one_of_two_forms():
    """A count that is not that of the slots, a third form, or a number that never ends, is refused."""
    for right in (bitmap([0, 3, 9]), gaps_of([3000]), bitmap([])):
        field("slots", right)
        count = int.from_bytes(right[:8], "big")
        for wrong in {count - 1, count + 1, 2**64 - 1} - {-1}:
            with pytest.raises(MalformedMessage, match="one way"):
                field("slots", bytes_of(wrong) + right[8:])
        for form in (2, 255):
            with pytest.raises(MalformedMessage, match=f"form 0 or 1, got {form}"):
                field("slots", right[:8] + bytes([form]) + right[9:])
    endless = bytes_of(1) + b"\x01" + bytes_of(2) + b"\x80\x80"
    for data in (endless, bytes_of(0) + b"\x01" + bytes_of(0)):
        with pytest.raises(MalformedMessage, match="cut short"):
            field("slots", data)


@given(st.binary(max_size=40), st.integers(0, 1), st.integers(0, 45))
def test_any_slots_are_refused_or_canonical(payload, form, count):
    """Whatever a payload says: it is refused, or ascending slots, and written again it is the same bytes."""
    data = bytes_of(count) + bytes([form]) + bytes_of(len(payload)) + payload
    try:
        slots = field("slots", data)
    except MalformedMessage:
        return
    assert slots.dtype == np.int64
    assert len(slots) == count
    assert np.all(np.diff(slots, prepend=-1) > 0)
    assert wire.pack("slots", slots) == data


def symbols_in(values: list[int], width: int) -> bytes:
    """Symbols, so many bits each."""
    bits = "".join(f"{value:0{width}b}" for value in values)
    packed = int(bits.ljust(-(-len(bits) // 8) * 8, "0") or "0", 2).to_bytes(-(-len(bits) // 8), "big")
    return bytes_of(len(values)) + bytes([width]) + packed


@given(SYMBOLS)
def test_symbols_have_the_least_width_that_holds_them(values):
    """Written with 1, 2, 4 or 8 bits each, the least that will do, they come back; any other width is refused."""
    least = next(width for width in (1, 2, 4, 8) if max(values.tolist(), default=0) < 2**width)
    written = wire.pack("symbols", values)
    assert written == symbols_in(values.tolist(), least)
    assert same(field("symbols", written), values)
    for width in {2, 4, 8, 16} - {least}:
        if width > least:
            with pytest.raises(MalformedMessage):
                field("symbols", symbols_in(values.tolist(), width))


@pytest.mark.parametrize("width", [0, 3, 5, 7, 9, 16, 255])
def test_symbols_have_no_other_width(width):
    """Widths but 1, 2, 4 and 8 are refused."""
    with pytest.raises(MalformedMessage, match=f"1, 2, 4 or 8 bits, got {width}"):
        field("symbols", bytes_of(1) + bytes([width]) + bytes(2))


@given(SYMBOLS, st.integers(0, 6))
def test_padding_of_symbols_must_be_zero(values, at):
    """A set bit behind the last symbol is refused."""
    written = wire.pack("symbols", values)
    spare = -len(values) * written[8] % 8
    if at < spare:
        with pytest.raises(MalformedMessage, match="padding"):
            field("symbols", written[:-1] + bytes([written[-1] | 1 << at]))


def test_long_rows_are_written_alike_by_both():
    """A million slots of every gap from none to millions give the same bytes, compiled or not, and come back."""
    rng = np.random.default_rng(5)
    slots = np.cumsum(1 + np.floor(2 ** rng.uniform(0, 25, 10**6)).astype(np.int64))
    written = wire.pack("slots", slots)
    before, wire.COMPILED_FROM = wire.COMPILED_FROM, 10**9
    try:
        assert wire.pack("slots", slots) == written
    finally:
        wire.COMPILED_FROM = before
    assert same(field("slots", written), slots)
