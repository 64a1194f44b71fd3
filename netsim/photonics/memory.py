"""What a detector remembers: the dead time after a click, and afterpulses.

A compiled loop, as each click changes what the next ones do; `through.py_func` is the same in plain Python.
"""

from __future__ import annotations

import math

import numba
import numpy as np
from numpy.typing import NDArray

_NEVER = 1e18  # gates, or clicks: more than any block has, and less than an int64 holds


@numba.njit(cache=True)
def through(  # noqa: C901, PLR0912, PLR0915  one loop over time, compiled as one
    slots: NDArray[np.int64],
    patterns: NDArray[np.uint8],
    gates: int,
    dead_slots: int,
    afterpulse: float,
    lifetime_slots: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64]]:
    """Let would-be clicks pass through detectors with a memory.

    After a click both detectors are blind for `dead_slots` gates (blinding one alone would make the next outcome
    predictable). Each detector that fired has filled a trap with probability `afterpulse`; the trap empties after an exponential
    time, at least one gate later, and fires the same detector, unless it is blind then. Afterpulses can have afterpulses.

    Args:
        slots: int64[m], ascending.
        patterns: uint8[m], bits 1 and 2 say which detector fires.
        gates: how many slots the block has; what would fire later is lost.
        dead_slots: gates without a click after one.
        afterpulse: probability of a filled trap per click and detector, below 1.
        lifetime_slots: mean time of the trap, in gates.
        rng: decides about traps.

    Returns:
        int64[k] and uint8[k], what is registered; int64[k], which of the would-be clicks it is, or −1 for an afterpulse alone.
    """
    room = len(slots) + 16
    clicked, what, which = np.empty(room, np.int64), np.empty(room, np.uint8), np.empty(room, np.int64)
    trapped, fires = np.empty(64, np.int64), np.empty(64, np.uint8)  # when a trap empties, and what it fires
    count, waiting, seen = 0, 0, 0
    free_at, gates_end = np.int64(0), np.int64(gates)
    next_trap = gates_end
    rate = -math.log1p(-afterpulse)
    # Traps are rare: drawn is how many clicks of a detector pass before the next one that fills its trap.
    passing = np.int64(0)
    if afterpulse > 0.0:
        passing = np.int64(min(rng.standard_exponential() / rate, _NEVER))
    while True:
        slot = slots[seen] if seen < len(slots) else gates_end
        if slot >= gates_end and next_trap >= gates_end:
            break
        pattern, source = np.uint8(0), np.int64(-1)
        if slot <= next_trap:
            pattern, source = patterns[seen], np.int64(seen)
            seen += 1
        if next_trap <= slot:
            slot = next_trap
            next_trap = gates_end
            i = 0
            while i < waiting:
                if trapped[i] == slot:
                    pattern |= fires[i]
                    waiting -= 1
                    trapped[i], fires[i] = trapped[waiting], fires[waiting]
                else:
                    next_trap = min(next_trap, trapped[i])
                    i += 1
        if slot < free_at:
            continue
        if count == room:
            room *= 2
            more_clicked, more_what, more_which = (
                np.empty(room, np.int64),
                np.empty(room, np.uint8),
                np.empty(room, np.int64),
            )
            more_clicked[:count], more_what[:count], more_which[:count] = clicked, what, which
            clicked, what, which = more_clicked, more_what, more_which
        clicked[count], what[count], which[count] = slot, pattern, source
        count += 1
        free_at = slot + 1 + dead_slots
        if afterpulse <= 0.0:
            continue
        fired = (pattern & 1) + ((pattern >> 1) & 1)
        if passing >= fired:  # nearly always
            passing -= fired
            continue
        for detector in (1, 2):
            if not pattern & detector:
                continue
            if passing:
                passing -= 1
                continue
            passing = np.int64(min(rng.standard_exponential() / rate, _NEVER))
            empties = slot + 1 + np.int64(min(rng.standard_exponential() * lifetime_slots, _NEVER))
            if empties >= gates_end:
                continue
            if waiting == len(trapped):
                more_trapped, more_fires = np.empty(2 * waiting, np.int64), np.empty(2 * waiting, np.uint8)
                more_trapped[:waiting], more_fires[:waiting] = trapped, fires
                trapped, fires = more_trapped, more_fires
            trapped[waiting], fires[waiting] = empties, np.uint8(detector)
            waiting += 1
            next_trap = min(next_trap, empties)
    return clicked[:count], what[:count], which[:count]
