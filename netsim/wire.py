"""How the fields of messages are written: one way for each value, and nothing else is read.

All numbers are big-endian.

    int                 8 bytes, signed
    str, bytes          4 bytes of length, then the UTF-8 text or the bytes
    bits                8 bytes of count, then the bits packed big-endian, padded with zeros
    symbols             8 bytes of count, 1 byte of width, then 1, 2, 4 or 8 bits each, the least that hold the greatest, padded with zeros
    positions           8 bytes of count, then 4 bytes each, unsigned
    slots               8 bytes of count, 1 byte of form, 8 bytes of length, then the shorter of two forms, the first if they are equal:
                        0, a bit for each slot up to the last one, padded with zeros; 1, the first slot and the gaps (slots left
                        out) between them, 7 bits a byte, the lowest first, the top bit set on all bytes but a number's last

Long rows of slots and symbols are for `wire_kernel`, which is compiled; short ones are done here in NumPy, which says the same.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netsim.errors import MalformedMessage

COMPILED_FROM = 200_000
"""Entries in a row; NumPy is done with shorter ones before numba would be imported."""

_COUNT = struct.Struct(">Q")
_LENGTH = struct.Struct(">I")
_INT = struct.Struct(">q")


def pack(how: str, value: Any) -> bytes:
    """A field's value as bytes.

    Args:
        how: its type, as above.
        value: what a message holds.
    """
    match how:
        case "int":
            return _INT.pack(value)
        case "str":
            text = value.encode()
            return _LENGTH.pack(len(text)) + bytes(text)
        case "bytes":
            return _LENGTH.pack(len(value)) + bytes(value)
        case "bits":
            return _COUNT.pack(len(value)) + np.packbits(value).tobytes()
        case "symbols":
            return _pack_symbols(np.asarray(value, dtype=np.uint8))
        case "positions":
            return _COUNT.pack(len(value)) + np.asarray(value).astype(">u4").tobytes()
        case "slots":
            return _pack_slots(np.asarray(value, dtype=np.int64))
    raise TypeError(f"no encoding for a field of type {how}")


def unpack(how: str, data: memoryview) -> tuple[Any, memoryview]:
    """A field's value from the bytes that begin with it, and the bytes that follow.

    Raises:
        MalformedMessage: they are not its one encoding.
        struct.error, IndexError, UnicodeDecodeError: they are cut short, or no text.
    """
    match how:
        case "int":
            return _INT.unpack(data[:8])[0], data[8:]
        case "str":
            text, rest = _take(data[4:], _LENGTH.unpack(data[:4])[0])
            return bytes(text).decode(), rest
        case "bytes":
            raw, rest = _take(data[4:], _LENGTH.unpack(data[:4])[0])
            return bytes(raw), rest
        case "bits":
            count = _COUNT.unpack(data[:8])[0]
            packed, rest = _take(data[8:], -(-count // 8))
            bits = np.unpackbits(np.frombuffer(packed, dtype=np.uint8))
            if bits[count:].any():
                raise MalformedMessage("the padding of a bit string is not zero")
            return bits[:count], rest
        case "symbols":
            return _unpack_symbols(data)
        case "positions":
            raw, rest = _take(data[8:], 4 * _COUNT.unpack(data[:8])[0])
            return np.frombuffer(raw, dtype=">u4").astype(np.int64), rest
        case "slots":
            return _unpack_slots(data)
    raise TypeError(f"no encoding for a field of type {how}")


def _pack_symbols(values: NDArray[np.uint8]) -> bytes:
    width = _width(int(values.max(initial=0)))
    head = _COUNT.pack(len(values)) + bytes([width])
    if width == 8:
        return head + values.tobytes()
    if width == 1:
        return head + np.packbits(values).tobytes()
    # As many as fill a byte stand side by side; padded with zeros.
    several = 8 // width
    padded = np.zeros(-(-len(values) // several) * several, dtype=np.uint8)
    padded[: len(values)] = values
    packed = np.zeros(len(padded) // several, dtype=np.uint8)
    for place in range(several):
        packed |= padded[place::several] << np.uint8(8 - width * (place + 1))
    return head + packed.tobytes()


def _width(greatest: int) -> int:
    """Bits for a symbol: 1, 2, 4 or 8."""
    return next(width for width in (1, 2, 4, 8) if greatest < 1 << width)


def _unpack_symbols(data: memoryview) -> tuple[NDArray[np.uint8], memoryview]:
    count, width = _COUNT.unpack(data[:8])[0], data[8]
    if width not in (1, 2, 4, 8):
        raise MalformedMessage(f"symbols have 1, 2, 4 or 8 bits, got {width}")
    packed, rest = _take(data[9:], -(-count * width // 8))
    raw = np.frombuffer(packed, dtype=np.uint8)
    if width == 8:
        values = raw.copy()
    else:
        several = 8 // width
        values = np.unpackbits(raw) if width == 1 else np.empty(len(raw) * several, dtype=np.uint8)
        for place in range(several if width > 1 else 0):
            values[place::several] = raw >> np.uint8(8 - width * (place + 1)) & np.uint8((1 << width) - 1)
        if values[count:].any():
            raise MalformedMessage("the padding of symbols is not zero")
        values = values[:count]
    if _width(int(values.max(initial=0))) != width:
        raise MalformedMessage(f"symbols of {width} bits would fit into fewer")
    return values, rest


def _pack_slots(slots: NDArray[np.int64]) -> bytes:
    last = int(slots[-1]) if len(slots) else -1
    short = _gaps_size(slots)
    if (last + 8) // 8 <= short:
        clicked = np.zeros(last + 1, dtype=np.uint8)
        clicked[slots] = 1
        form, payload = 0, np.packbits(clicked).tobytes()
    else:
        form, payload = 1, _gaps(slots, short).tobytes()
    return b"".join((_COUNT.pack(len(slots)), bytes([form]), _COUNT.pack(len(payload)), payload))


def _gaps(slots: NDArray[np.int64], size: int) -> NDArray[np.uint8]:
    """Form 1, of so many bytes."""
    if len(slots) >= COMPILED_FROM:
        from netsim import wire_kernel  # noqa: PLC0415  numba takes half a second to import

        written = np.empty(size + 1, dtype=np.uint8)
        wire_kernel.write_gaps(slots, written)
        return written[:size]
    gaps = np.diff(slots, prepend=-1) - 1
    return _varints(gaps, _varint_sizes(gaps))


def _varint_sizes(values: NDArray[np.int64]) -> NDArray[np.uint8]:
    """How many bytes of 7 bits each value takes."""
    sizes = np.ones(len(values), dtype=np.uint8)
    limit = 1 << 7
    while len(values) and int(values.max()) >= limit:
        sizes += values >= limit
        limit <<= 7
    return sizes


def _varints(values: NDArray[np.int64], sizes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if not len(values) or int(sizes.max()) == 1:
        return values.astype(np.uint8)
    ends = np.cumsum(sizes, dtype=np.int64)
    coded = np.empty(int(ends[-1]), dtype=np.uint8)
    starts = ends - sizes
    for place in range(int(sizes.max())):
        here = np.flatnonzero(sizes > place)
        more = (sizes[here] > place + 1).astype(np.uint8) << np.uint8(7)
        coded[starts[here] + place] = (values[here] >> (7 * place)).astype(np.uint8) & np.uint8(127) | more
    return coded


def _unpack_slots(data: memoryview) -> tuple[NDArray[np.int64], memoryview]:
    count, form, length = _COUNT.unpack(data[:8])[0], data[8], _COUNT.unpack(data[9:17])[0]
    payload, rest = _take(data[17:], length)
    raw = np.frombuffer(payload, dtype=np.uint8)
    if form == 0:
        clicked = np.unpackbits(raw).view(np.bool_)
        if np.count_nonzero(clicked) != count:  # before eight bytes are made of each bit
            raise MalformedMessage("slots are not written in their one way")
        slots = np.flatnonzero(clicked)
        canonical = (length == 0 or raw[-1] > 0) and length <= _gaps_size(slots)
    elif form == 1:
        slots, canonical = _read_gaps(raw, count)
        canonical = canonical and length < (int(slots[-1]) + 8) // 8
    else:
        raise MalformedMessage(f"slots come in form 0 or 1, got {form}")
    if len(slots) != count or not canonical:
        raise MalformedMessage("slots are not written in their one way")
    return slots, rest


def _gaps_size(slots: NDArray[np.int64]) -> int:
    """How many bytes form 1 takes."""
    if len(slots) >= COMPILED_FROM:
        from netsim import wire_kernel  # noqa: PLC0415  numba takes half a second to import

        return int(wire_kernel.gaps_size(slots))
    return int(_varint_sizes(np.diff(slots, prepend=-1) - 1).sum())


def _read_gaps(raw: NDArray[np.uint8], count: int) -> tuple[NDArray[np.int64], bool]:
    """Slots from form 1, and whether each number has as few bytes as it can and each slot as few bits as it may."""
    if not len(raw) or raw[-1] >= 128:
        raise MalformedMessage("the last number of a row is cut short")
    if COMPILED_FROM <= count <= len(raw):
        from netsim import wire_kernel  # noqa: PLC0415  numba takes half a second to import

        slots = np.empty(count, dtype=np.int64)
        return slots, bool(wire_kernel.read_gaps(raw, slots))
    gaps, canonical = _unpack_varints(raw)
    slots = np.cumsum(gaps + 1) - 1
    # A sum of gaps exceeds the limit before it can overflow, and is seen there.
    return slots, canonical and bool(np.all(slots < 1 << 56))


def _unpack_varints(raw: NDArray[np.uint8]) -> tuple[NDArray[np.int64], bool]:
    """The numbers, and whether each has as few bytes as it can."""
    last = raw < 128
    if last.all():
        return raw.astype(np.int64), True
    ends = np.flatnonzero(last)
    sizes = np.diff(ends, prepend=-1)
    starts = ends - sizes + 1
    if int(sizes.max()) > 8:
        raise MalformedMessage("a number of a row has more than 56 bits")
    values = (raw[starts] & np.uint8(127)).astype(np.int64)
    for place in range(1, int(sizes.max())):
        here = np.flatnonzero(sizes > place)
        values[here] |= (raw[starts[here] + place] & np.uint8(127)).astype(np.int64) << (7 * place)
    return values, not bool(np.any((sizes > 1) & (raw[ends] == 0)))


def _take(data: memoryview, count: int) -> tuple[memoryview, memoryview]:
    if count > len(data):
        raise MalformedMessage(f"a field says it has {count} bytes, {len(data)} are left")
    return data[:count], data[count:]
