"""The settings that give a protocol the most key at a distance: a deterministic search, without a random start."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Collection, Iterable, Iterator

from netsim.rates.link_model import LinkModel
from netsim.rates.protocols import Conditions, Protocol, Rate, Shares

_NO_KEY = 200.0
"""Above every loss with key: no rate is below e^-200."""
_GRID = (-1.5, 0.0, 1.5)
"""Logits of a coarse grid: shares of 18, 50 and 82 %."""
_STRIDES = (0.6, -0.3)
"""Edges of the first simplexes, in logits: SciPy's own, 5 % of a coordinate, is none where that is 0."""
_FARTHEST = 7.0
"""Logits beyond this are as good as the end of the range: a share of 0.999."""


def optimised(
    protocol: Protocol,
    model: LinkModel,
    conditions: Conditions,
    near: LinkModel | None = None,
    *,
    held: Collection[str] = (),
) -> Rate:
    """The best rate over the protocol's free settings.

    Nelder–Mead in the logits of the settings' shares, then once more from where it ended: a simplex may collapse early. It begins at
    `near`; where that is not there, or a coarse grid has something better, at the grid's best, the link's own settings and the
    protocol's usual ones. What is maximised is the logarithm of the rate; where there is no key, how little is missing. The same
    call gives the same answer.

    Args:
        protocol: whose settings are free.
        model: the link; its source is exchanged where it is not of the protocol's kind.
        conditions: block, f and ε.
        held: names of free settings that stay as the link has them.
        near: a link whose settings may be near the best, as that of a neighbouring distance.
    """
    model = protocol.begun(protocol.fitted(model))
    own = protocol.shares(model)
    moving = [i for i, name in enumerate(protocol.free) if name not in held]
    if not moving:
        return protocol.rate(model, conditions)
    from scipy.optimize import minimize  # noqa: PLC0415  slow to import, and only needed here

    def rate(logits: Iterable[float]) -> Rate:
        shares = list(own)
        for i, x in zip(moving, logits, strict=True):
            shares[i] = _sigmoid(x)
        return protocol.rate(protocol.place(model, tuple(shares)), conditions)

    def loss(logits: Iterable[float]) -> float:
        found = rate(logits)
        if found.per_pulse > 0:
            return -math.log(found.surplus)
        return _NO_KEY + min(1e6, -found.surplus / model.transmittance)

    def moved(shares: Shares) -> tuple[float, ...]:
        """The logits of the settings that move."""
        return tuple(_logit(shares[i]) for i in moving)

    def searched(start: tuple[float, ...]) -> tuple[float, tuple[float, ...]]:
        """The least loss found from a start, and where."""
        logits = start
        for stride in _STRIDES:
            corners = [[x + stride * (i == j) for j, x in enumerate(logits)] for i in range(-1, len(logits))]
            options = {"initial_simplex": corners, "xatol": 0.02, "fatol": 1e-5}
            found = minimize(loss, logits, method="Nelder-Mead", options=options)
            logits = tuple(found.x.tolist())
        return float(found.fun), logits

    # No slope leads out of where there is no key: a coarse grid (near a good place, its corners) finds some, or a better hill.
    grid = min(
        (loss(point), point) for point in itertools.product(_GRID[:: 2 if near else 1], repeat=len(moving))
    )
    least, best = searched(moved(protocol.shares(near))) if near else (math.inf, ())
    if grid[0] < least:
        starts = (own, protocol.shares(dataclasses.replace(model, source=protocol.source)))
        places = dict.fromkeys((grid[1], *(moved(shares) for shares in starts)))
        least, best = min((least, best), *(searched(start) for start in places))
    return rate(best)


def along(protocol: Protocol, models: Iterable[LinkModel], conditions: Conditions) -> Iterator[Rate]:
    """The best rates of neighbouring links, as of growing distances: each search begins where the last one ended."""
    near: LinkModel | None = None
    for model in models:
        rate = optimised(protocol, model, conditions, near)
        near = rate.model if rate.per_pulse > 0 else None
        yield rate


def _sigmoid(x: float) -> float:
    x = min(_FARTHEST, max(-_FARTHEST, x))
    return 1.0 / (1.0 + math.exp(-x))


def _logit(share: float) -> float:
    return math.log(share / (1.0 - share))
