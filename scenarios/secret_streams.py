"""Randomness that must be secret: every bit from the operating system, for services in real use.

`SystemStreams` is called like `netsim.random_streams.RandomStreams` and answers with NumPy generators as well, but there is no
seed: nothing can be repeated, saved or copied. It lives with the scenarios, as nothing below them asks the machine
for anything.

A NumPy generator takes its bits through C functions. Those here read a small buffer, set what they have read to zero, and fill
the buffer by the C library's `getentropy`, which asks the kernel as `os.urandom` does. Were they to call Python for it, an
exception (an interrupt, say) would be lost in the midst of a draw. Where the library has no `getentropy`, as on Windows, they
do call `os.urandom`, and an interrupt that comes just then is reported, but otherwise ignored.

A generator that gets no bits ends the process: C functions cannot raise, and there is no right number to return.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from typing import Any, Literal, NamedTuple, NoReturn, SupportsIndex

import numba
import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]  # it ships no type information
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

# A generator's state is a row of 64-bit words: how many 32-bit halves of the buffer are spent; the addresses of the buffer, of
# the function that fills it, of the function that ends the process, and of its last words; then the buffer.
_SPENT, _ADDRESS, _ENTROPY, _FATAL, _LAST_WORDS, _BUFFER = range(6)
_WORDS = 32
_BYTES = 8 * _WORDS  # as much as getentropy gives at a time
_ATTEMPTS = 16

_CAPSULE = b"BitGenerator"  # NumPy looks for this name; the capsule holds its address, so it must not go away
_MESSAGE = b"the operating system gives no random bits"

Word = np.uint64
State = NDArray[np.uint64]


class _Functions(ctypes.Structure):
    """NumPy's bitgen_t (numpy/random/bitgen.h)."""

    _fields_ = [
        ("state", ctypes.c_void_p),
        ("next_uint64", ctypes.c_void_p),
        ("next_uint32", ctypes.c_void_p),
        ("next_double", ctypes.c_void_p),
        ("next_raw", ctypes.c_void_p),
    ]


class _Addresses(NamedTuple):
    """What NumPy's own bit generators have as `ctypes`; Numba reads it."""

    state_address: int
    state: ctypes.c_void_p
    next_uint64: ctypes.c_void_p
    next_uint32: ctypes.c_void_p
    next_double: ctypes.c_void_p
    bit_generator: ctypes.c_void_p


def _calling(context: Any, function: Any, address: Any, size: Any) -> Any:  # noqa: ARG001  numba's protocol
    """Call the C function at an address, with an address and a size."""
    word = ir.IntType(64)
    kind = ir.FunctionType(ir.IntType(32), [word, word]).as_pointer()

    def build(_: Any, builder: Any, __: Any, args: Any) -> Any:
        return builder.call(builder.inttoptr(args[0], kind), args[1:])

    return types.int32(types.uint64, types.uint64, types.uint64), build


_call: Any = intrinsic(_calling)
_state_at: Any = numba.carray  # type: ignore[attr-defined]  # Numba has it, but does not list it


@numba.njit(cache=True)
def _refill(state: State) -> None:
    """Fill a buffer all of whose bits are spent, and therefore zero."""
    for _ in range(_ATTEMPTS):
        _call(state[_ENTROPY], state[_ADDRESS], Word(_BYTES))
        # What the function returns would not tell that a Python function was interrupted. That 2048 random bits are all
        # zero will not happen.
        for place in range(_BUFFER, _BUFFER + _WORDS):
            if state[place]:
                state[_SPENT] = Word(0)
                return
    _call(state[_FATAL], state[_LAST_WORDS], Word(0))


@numba.njit(cache=True)
def _word(state: State) -> Any:
    """The next 64 bits, which are whole words of the buffer; a half left by `_half` is dropped."""
    spent = state[_SPENT]
    if spent & Word(1):
        state[_BUFFER + (spent >> Word(1))] = Word(0)
        spent += Word(1)
    if spent >= Word(2 * _WORDS):
        _refill(state)
        spent = Word(0)
    place = _BUFFER + (spent >> Word(1))
    value = state[place]
    state[place] = Word(0)
    state[_SPENT] = spent + Word(2)
    return value


@numba.njit(cache=True)
def _half(state: State) -> Any:
    """The next 32 bits."""
    if state[_SPENT] >= Word(2 * _WORDS):
        _refill(state)
    spent = state[_SPENT]
    place = _BUFFER + (spent >> Word(1))
    value = state[place]
    state[place] = value >> Word(32)  # the other half remains, or zero
    state[_SPENT] = spent + Word(1)
    return np.uint32(value & Word(0xFFFFFFFF))


@numba.cfunc(types.uint64(types.voidptr), cache=True)
def _next_uint64(address: Any) -> Any:
    return _word(_state_at(address, (_BUFFER + _WORDS,), np.uint64))


@numba.cfunc(types.uint32(types.voidptr), cache=True)
def _next_uint32(address: Any) -> Any:
    return _half(_state_at(address, (_BUFFER + _WORDS,), np.uint64))


@numba.cfunc(types.float64(types.voidptr), cache=True)
def _next_double(address: Any) -> Any:
    return (_word(_state_at(address, (_BUFFER + _WORDS,), np.uint64)) >> Word(11)) * 2.0**-53


@ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)  # type: ignore[untyped-decorator]  # ctypes does not say what it makes
def _ask_python(address: int, size: int) -> int:
    """`getentropy` where there is none."""
    ctypes.memmove(address, os.urandom(size), size)
    return 0


def _entropy() -> Any:
    """The C function that fills memory with the operating system's random bits."""
    try:
        return ctypes.CDLL(None).getentropy
    except (
        AttributeError,
        OSError,
        TypeError,
    ):  # a library without it, or a system without a C library of that kind
        return _ask_python


def _address(function: Any) -> int:
    """Where a C function is."""
    address = ctypes.cast(function, ctypes.c_void_p).value
    if address is None:
        raise OSError(f"{function} has no address")
    return address


class SystemBits:
    """A source of bits for one NumPy generator, which asks no more of it than `capsule` and `lock`.

    Args:
        entropy: a C function (address, size) that fills memory with random bits.

    Attributes:
        capsule: NumPy's bitgen_t.
        ctypes: the addresses in it, for Numba.
        lock: held while bits are drawn.
    """

    def __init__(self, entropy: Any = None) -> None:
        self._keep = entropy or _entropy()
        self._state: State = np.zeros(_BUFFER + _WORDS, dtype=np.uint64)
        start = self._state.ctypes.data
        self._state[_SPENT] = 2 * _WORDS
        self._state[_ADDRESS] = start + 8 * _BUFFER
        self._state[_ENTROPY] = _address(self._keep)
        self._state[_FATAL] = _address(ctypes.pythonapi.Py_FatalError)
        self._state[_LAST_WORDS] = _address(_MESSAGE)
        words, halves, doubles = _next_uint64.address, _next_uint32.address, _next_double.address
        self._functions = _Functions(start, words, halves, doubles, words)
        here = ctypes.addressof(self._functions)
        self.capsule = _capsule(here, _CAPSULE, None)
        self.ctypes = _Addresses(start, *map(ctypes.c_void_p, (start, words, halves, doubles, here)))
        self.lock = threading.RLock()
        _alive.add(self)

    def spawn(self, n_children: int) -> list[SystemBits]:
        """Other sources; as independent as everything that comes from the operating system."""
        return [SystemBits(self._keep) for _ in range(n_children)]

    def forget(self) -> None:
        """Overwrite what is in the buffer; the next bits will be new ones."""
        self._state[_BUFFER:] = 0
        self._state[_SPENT] = 2 * _WORDS

    def __del__(self) -> None:
        self.forget()

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("a source of secret bits cannot be copied or saved")


class SystemStreams:
    """Generators, one per name, all of whose bits come from the operating system.

    Satisfies `netsim.random_streams.Streams`, as `RandomStreams` does, but has no seed, and `secret` is true. Neither
    it nor the generators' sources can be copied or pickled; after a fork, what the parent had in its buffers is
    overwritten in the child.
    """

    def __init__(self) -> None:
        self._streams: dict[str, np.random.Generator] = {}

    @property
    def secret(self) -> Literal[True]:
        """Whether nobody can know these bits in advance: yes."""
        return True

    def __call__(self, name: str) -> np.random.Generator:
        """The stream called `name`; asking twice gives the same generator."""
        if name not in self._streams:
            self._streams[name] = np.random.Generator(SystemBits())  # type: ignore[arg-type]  # NumPy takes what has a capsule and a lock
        return self._streams[name]

    def __repr__(self) -> str:
        return "SystemStreams()"

    def __reduce_ex__(self, protocol: SupportsIndex) -> NoReturn:
        raise TypeError("streams of secret bits cannot be copied or saved")


_capsule = ctypes.pythonapi.PyCapsule_New
_capsule.argtypes = (ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p)
_capsule.restype = ctypes.py_object

_alive: weakref.WeakSet[SystemBits] = weakref.WeakSet()


def _forget_all() -> None:
    """In a child process: the parent draws what is in the buffers, so nobody else may."""
    for bits in _alive:
        bits.forget()


if hasattr(os, "register_at_fork"):  # where there is no fork, there is nothing to forget
    os.register_at_fork(after_in_child=_forget_all)
