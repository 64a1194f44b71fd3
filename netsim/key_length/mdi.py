"""Secret bits in a finite block of measurement-device-independent key, with decoys on either side.

Alice and Bob both send weak pulses; a relay that nobody trusts says which pairs made a Bell measurement
succeed. Only pairs of single photons are safe, and what came where Alice sent no photon. A pair of n and m
photons forgets which intensities it came from, so the counts by intensities bound the counts by photon
numbers: here by a linear programme over all of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netsim.key_length.decoy import (
    DecoyKeyLength,
    PhotonBounds,
    check_pulses,
    decoy_key_length,
    sampling_deviation,
)
from netsim.key_length.finite_key import check_block, verification_bits

Shares = NDArray[np.float64]
Table = Sequence[Sequence[float]]

# Photon numbers beyond this are lumped together; any value is sound, this one loses nothing that matters.
PHOTONS = 5

# Intervals for what the observed frequencies alone would say: the narrowest that any photon numbers fit.
_NARROW = (None, 0.5, 0.1, 1e-2, 1e-4)


def mdi_decoy(
    *,
    key_detections: Table,
    test_detections: Table,
    test_errors: Table,
    intensities_a: Sequence[float],
    intensities_b: Sequence[float],
    probabilities_a: Sequence[float],
    probabilities_b: Sequence[float],
    leak_ec_bits: float,
    eps_sec: float,
    eps_cor: float,
    tag_bits: int | None = None,
    key_errors: Table | None = None,
) -> DecoyKeyLength:
    """MDI-QKD with decoys: ⌊s0 + s11[1 − h(φ)] − leak − 6·log2(T/ε_sec) − log2(2/ε_cor)⌋, T = 11 + 8·Ka·Kb.

    s0 are the key events where Alice sent no photon, s11 those of single photons from both, t11 those of the
    test basis, v11 their errors; φ ≤ v11/t11 + √((s11 + t11)/(s11 t11)·(t11 + 1)/t11·ln(T/ε_sec)), Serfling's
    inequality with a tail of (ε_sec/T)².

    The bounds are optima of linear programmes in the counts s_nm of events by photon numbers. An event of n
    and m photons had the intensities i and j with probability p_(i|n) q_(j|m), independently of all else, so
    a cell's count is a sum of independent terms with mean Σ_nm p_(i|n) q_(j|m) s_nm; that mean lies where
    N·D(count/N ‖ mean/N) ≤ ln(T/ε_sec) (Hoeffding, J. Am. Stat. Assoc. 58, 13 (1963), theorem 1, the
    Chernoff bound for terms that are not alike; N sums over all cells). Photon numbers above `PHOTONS` are
    kept as their shares in each intensity: beyond n photons a weaker intensity has at most
    p_i e^(−i) iⁿ/(p_1 e^(−1) 1ⁿ) of what the strongest has, so nothing is cut off. What is returned is the
    value of a dual solution with its infeasibility charged, so the solver's tolerance gives no key away.

    An event without a photon from one of the two is an error with probability ½: another row, which ties
    the errors to the detections. With three intensities a side it only helps. With two on a side, and the
    vacuum not among them, it is all that bounds the vacuum, and then `key_errors` are needed: without them
    s11 is 0. Two on both sides seldom make key all the same, since in the test basis the many errors of
    several photons pass for those of the vacuum.

    ε_sec is T equal parts: two tails for each of Ka·Kb cells in four tables, one for the vacuum's errors in
    either basis, 2(2α1 + α2 + α3) for smoothing and chain rules, and ν for hashing, as in Lim et al. 2014.

    What this holds against: coherent attacks, and everything a relay can do. It assumes phase-randomised
    pulses of known intensities chosen independently of the basis, and trusted preparation. The announced
    Bell states may be pooled, as the bases are chosen without regard to them. On fixed and variable length,
    see `netsim.key_length.finite_key`.

    Args:
        key_detections: events in which both chose the key basis; a row for each of Alice's intensities, a
            column for each of Bob's. All of them make key.
        test_detections: the same in the test basis.
        test_errors: errors in the test basis, after the flips that the announced Bell state asks for.
        intensities_a: Alice's mean photon numbers, falling, at least two, the last at 0 or above.
        intensities_b: Bob's.
        probabilities_a: of Alice's intensities; they add up to 1.
        probabilities_b: of Bob's.
        leak_ec_bits: reconciliation's parities over all intensities, the verification tag not among them.
        eps_sec: secrecy failure allowed.
        eps_cor: correctness failure allowed.
        tag_bits: length of the verification tag; None for ⌈log2(1/ε_cor)⌉.
        key_errors: errors in the key basis, counted by reconciliation; None where they are not kept by
            intensity.

    Returns:
        The length, 0 where a bound cannot be made.

    Raises:
        ValueError: for intensities, probabilities, counts or ε outside their range.

    Source: Lo, Curty & Qi, Phys. Rev. Lett. 108, 130503 (2012), for the protocol; Curty, Xu, Cui, Lim, Tamaki
        & Lo, Nat. Commun. 5, 3732 (2014), for the key length's terms. Their failure probabilities are counted
        and their fluctuations bounded otherwise; the programme, its treatment of large photon numbers, and
        the split of ε are ours.
    """
    check_pulses(max(2, len(intensities_a)), intensities_a, probabilities_a)
    check_pulses(max(2, len(intensities_b)), intensities_b, probabilities_b)
    cells = len(intensities_a) * len(intensities_b)
    shape = (len(intensities_a), len(intensities_b))
    tables = [_table(counts, *shape) for counts in (key_detections, test_detections, test_errors)]
    known = None if key_errors is None else _table(key_errors, *shape)
    for errors, detections in ((tables[2], tables[1]), (known, tables[0])):
        # Expected counts are products of rounded numbers.
        if errors is not None and bool(np.any(errors > detections * (1.0 + 1e-9))):
            raise ValueError(
                f"errors are among the detections; got {errors.tolist()} of {detections.tolist()}"
            )
    check_block(0, leak_ec_bits, eps_sec, eps_cor)
    terms = 11 + 8 * cells
    eps = eps_sec / terms
    programme = _Programme(intensities_a, intensities_b, probabilities_a, probabilities_b)
    bounds = _bounds(programme, [*tables, known], eps, eps)
    # Where there is nothing that statistics could have taken, there is nothing to ask.
    frequencies = _frequencies(programme, [*tables, known]) if tables[0].any() else None
    epsilon = 6.0 * math.log2(1.0 / eps) + verification_bits(eps_cor, tag_bits)
    nothing = PhotonBounds(0.0, 0.0, 0.0, 0.0, 0.5)
    return decoy_key_length(
        [float(count) for count in tables[0].ravel()],
        bounds or nothing,
        frequencies or nothing,
        leak_ec_bits,
        epsilon,
    )


class _Programme:
    """The linear programme that ties counts by intensities to counts by photon numbers.

    Its variables are shares of a table's events: by photon numbers (n, m) up to PHOTONS; by (i, m) with more
    photons from Alice, who used intensity i; by (n, j) with more from Bob; by (i, j) with more from both.

    Attributes:
        cells: shape (Ka·Kb, variables), the mean share of each cell.
        order: rows of inequalities `order @ x <= 0` that the lumped shares obey.
        vacuum: one where Alice sent no photon.
        random: one where either sent no photon, so that their bits agree by chance.
        single: one for a photon from each.
    """

    def __init__(
        self,
        intensities_a: Sequence[float],
        intensities_b: Sequence[float],
        probabilities_a: Sequence[float],
        probabilities_b: Sequence[float],
    ) -> None:
        alice, excess_a = _intensity_given_photons(intensities_a, probabilities_a)
        bob, excess_b = _intensity_given_photons(intensities_b, probabilities_b)
        # Each side's columns: first photon numbers, then "more, from intensity i".
        side_a = np.hstack([alice, np.eye(len(intensities_a))])
        side_b = np.hstack([bob, np.eye(len(intensities_b))])
        self.cells = np.kron(side_a, side_b)
        columns_a, columns_b = side_a.shape[1], side_b.shape[1]
        self.order = np.vstack(
            [
                np.kron(_ordering(excess_a), np.eye(columns_b)),
                np.kron(np.eye(columns_a), _ordering(excess_b)),
            ]
        )
        self.vacuum = np.kron(np.eye(1, columns_a, 0), np.ones((1, columns_b)))[0]
        someone = np.kron(1.0 - np.eye(1, columns_a, 0), 1.0 - np.eye(1, columns_b, 0))[0]
        self.random = 1.0 - someone
        self.single = np.kron(np.eye(1, columns_a, 1), np.eye(1, columns_b, 1))[0]

    def least(
        self,
        objectives: Sequence[tuple[Shares, Shares]],
        detections: Shares,
        errors: Shares | None,
        eps: float | None,
    ) -> list[float] | None:
        """The least number of events in each objective that the counts allow; None if they allow nothing.

        Args:
            objectives: how much each variable counts, of detections and of errors, shape (variables,) both.
            detections: a table of counts, shape (Ka, Kb).
            errors: how many of them are errors, or None where that is not known.
            eps: failure allowed to each tail; None for the counts as they are.
        """
        from scipy.optimize import linprog  # noqa: PLC0415  (a slow import that few key lengths need)

        total = float(detections.sum())
        if total == 0.0:
            return [0.0] * len(objectives)
        tables = [detections] if errors is None else [detections, errors]
        shares = [float(table.sum()) / total for table in tables]
        blocks = [self._rows(table, share, eps) for table, share in zip(tables, shares, strict=True)]
        width = self.cells.shape[1]
        rows = np.zeros((sum(len(matrix) for matrix, _ in blocks), width * len(tables)))
        first = 0
        for index, (matrix, _) in enumerate(blocks):
            rows[first : first + len(matrix), index * width : (index + 1) * width] = matrix
            first += len(matrix)
        limits = np.concatenate([limit for _, limit in blocks])
        if errors is not None:
            # Half of what needed no photon of one side is errors, but for one more tail.
            spread = 1e-9 if eps is None else math.sqrt(0.5 * math.log(1.0 / eps) / total)
            rows = np.vstack([rows, np.concatenate([0.5 * self.random, -1.0 * self.random])])
            limits = np.append(limits, spread)
        equal = np.kron(np.eye(len(tables)), np.ones((1, width)))
        optima = []
        for objective in objectives:
            cost = np.concatenate(objective[: len(tables)])
            result = linprog(
                cost,
                A_ub=rows,
                b_ub=limits,
                A_eq=equal,
                b_eq=shares,
                bounds=(0.0, 1.0),
                method="highs",
                options={"primal_feasibility_tolerance": 1e-9, "dual_feasibility_tolerance": 1e-10},
            )
            if result.status != 0:
                return None
            # Any multipliers of the right sign bound the optimum; shares lie in [0, 1], so that a reduced
            # cost below zero costs at most itself.
            multipliers = np.minimum(np.asarray(result.ineqlin.marginals, dtype=np.float64), 0.0)
            levels = np.asarray(result.eqlin.marginals, dtype=np.float64)
            reduced = cost - multipliers @ rows - levels @ equal
            value = float(multipliers @ limits + levels @ np.asarray(shares))
            optima.append(total * (value + float(np.minimum(reduced, 0.0).sum())))
        return optima

    def _rows(self, counts: Shares, share: float, eps: float | None) -> tuple[Shares, Shares]:
        """Rows and limits that hold the mean of every cell of a table to its interval."""
        events = float(counts.sum())
        if events == 0.0:
            return self.order, np.zeros(len(self.order))
        low, high = (share * end for end in _mean_intervals(counts.ravel() / events, events, eps))
        # Each row is scaled to the size of its own cell: a solver's tolerance is absolute.
        scale = 1.0 / np.maximum(high, 1e-15)
        scaled = self.cells * scale[:, None]
        limits = np.concatenate([high * scale, -1.0 * low * scale, np.zeros(len(self.order))])
        return np.vstack([scaled, -1.0 * scaled, self.order]), limits


def _bounds(
    programme: _Programme, tables: Sequence[Shares | None], eps: float | None, sampling: float | None
) -> PhotonBounds | None:
    """What the tables say of photons; None where no photon numbers make such counts."""
    key, test, errors, key_errors = tables
    if key is None or test is None or errors is None:
        return None
    vacuum_events, single_events = programme.vacuum, programme.single
    none = np.zeros_like(single_events)
    of_key = programme.least([(vacuum_events, none), (single_events, none)], key, key_errors, eps)
    of_test = programme.least([(single_events, none), (none, -1.0 * single_events)], test, errors, eps)
    if of_key is None or of_test is None:
        return None
    vacuum, single, test_single = max(0.0, of_key[0]), max(0.0, of_key[1]), max(0.0, of_test[0])
    wrong = min(max(0.0, -of_test[1]), float(errors.sum()))
    phase_error = 0.5
    if single > 0.0 and test_single > 0.0 and wrong < 0.5 * test_single:
        phase_error = wrong / test_single
        if sampling is not None:
            # The published deviation has ln(1/ε), ours ln(2/ε).
            phase_error += sampling_deviation(single, test_single, 2.0 * sampling)
    return PhotonBounds(vacuum, single, test_single, wrong, min(phase_error, 0.5))


def _frequencies(programme: _Programme, tables: Sequence[Shares | None]) -> PhotonBounds | None:
    """The bounds at the observed frequencies, or as near to them as photon numbers can come."""
    for eps in _NARROW:
        bounds = _bounds(programme, tables, eps, None)
        if bounds is not None:
            return bounds
    return None


def _intensity_given_photons(
    intensities: Sequence[float], probabilities: Sequence[float]
) -> tuple[Shares, Shares]:
    """Probability of each intensity given 0 … PHOTONS photons, and its most beyond them, against the strongest.

    Returns:
        (shape (K, PHOTONS + 1), columns adding up to 1; shape (K,), starting with 1).
    """
    mean = np.asarray(intensities, dtype=np.float64)[:, None]
    weight = np.asarray(probabilities, dtype=np.float64)[:, None] * np.exp(-mean)
    joint = weight * mean ** np.arange(PHOTONS + 2)
    return joint[:, :-1] / joint[:, :-1].sum(axis=0), joint[:, -1] / joint[0, -1]


def _ordering(excess: Shares) -> Shares:
    """Rows that say: of more photons, intensity i had at most excess_i of what the strongest had."""
    rows = np.zeros((len(excess) - 1, PHOTONS + 1 + len(excess)))
    for row, share in enumerate(excess[1:]):
        rows[row, PHOTONS + 1] = -share
        rows[row, PHOTONS + 2 + row] = 1.0
    return rows


def _mean_intervals(shares: Shares, total: float, eps: float | None) -> tuple[Shares, Shares]:
    """Where the mean shares lie: total·D(share ‖ mean) ≤ ln(1/ε) on either side, found by bisection.

    Returns:
        (low, high), both of the shape of `shares`, rounded outwards.
    """
    if eps is None:
        return shares * (1.0 - 1e-9), shares * (1.0 + 1e-9)
    budget = math.log(1.0 / eps) / total

    def divergence(mean: Shares) -> Shares:
        with np.errstate(divide="ignore", invalid="ignore"):
            hit = np.where(shares > 0.0, shares * np.log(shares / mean), 0.0)
            miss = np.where(shares < 1.0, (1.0 - shares) * (np.log1p(-shares) - np.log1p(-mean)), 0.0)
        return hit + miss

    ends = []
    for outside in (np.zeros_like(shares), np.ones_like(shares)):
        out, inside = outside, shares.copy()
        for _ in range(60):
            middle = (out + inside) / 2.0
            beyond = divergence(middle) > budget
            out, inside = np.where(beyond, middle, out), np.where(beyond, inside, middle)
        ends.append(out)
    return ends[0], ends[1]


def _table(counts: Table, rows: int, columns: int) -> Shares:
    """Counts as an array, refused where the shape is another or one is negative."""
    try:
        table = np.asarray(counts, dtype=np.float64)
    except ValueError:
        table = np.empty(0)
    if table.shape != (rows, columns) or not bool(np.all(np.isfinite(table) & (table >= 0.0))):
        raise ValueError(f"counts must be {rows} rows of {columns}, none negative; got {counts}")
    return table
