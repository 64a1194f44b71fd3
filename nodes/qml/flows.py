"""Synthetic network flows of an office subnet: its daily traffic, intruders in it, and the slow drift of both habits and volumes.

No recorded traffic is in here, so there is neither a licence nor a privacy question; every distribution is written down below.
Each record is one flow as a flow exporter reports it, seen from the side that opened it.

Where the shapes come from. Sessions of users arrive as a Poisson process whose rate follows the clock, and what they
transfer is log-normal (Paxson, IEEE/ACM Trans. Networking 2, 316 (1994); Paxson and Floyd, ibid. 3, 226 (1995)); which
site they visit follows Zipf's law (Breslau et al., INFOCOM 1999). The medians and spreads are our own choice, of the
order of magnitude of an office, and so is everything about the intruders; MITRE ATT&CK names what they do (T1021
remote services, T1046 network service discovery, T1048 exfiltration). Nothing measured on this data says how often a
real attack is found.

It is made hard on purpose. An administrator reaches many workstations over the same services as lateral movement, some
of it at night; a file server is asked over SMB all day; backups and cloud storage are long and heavy uploads, backups at night; connections
of honest hosts are refused too; and half of the intruders take their time. With the first four features a radial machine
trained on 140 rows is right in 95.0±0.4 % of another week's, and in 93.1±0.4 % at drift 1, where its false alarms have
risen from 8.4±0.8 to 12.3±0.8 % (24 seeds, 95 % confidence).
"""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from nodes.qml.datasets import DataSet
from nodes.qml.scaling import Scaler, Unscaled

Attack = Literal["lateral", "scan", "exfiltration"]
ATTACKS: tuple[Attack, ...] = get_args(Attack)
"""What intruders do."""

BENIGN = ("web", "dns", "mail", "file", "ssh", "backup", "cloud", "admin")
"""What everybody else does."""

KINDS: tuple[str, ...] = (*BENIGN, *ATTACKS)
"""By number, as in the records."""

FLOW = np.dtype(
    [
        ("time_s", np.float64),
        ("source", np.int32),
        ("destination", np.int32),
        ("port", np.int32),
        ("protocol", np.uint8),
        ("duration_s", np.float64),
        ("bytes_up", np.int64),
        ("bytes_down", np.int64),
        ("packets_up", np.int64),
        ("packets_down", np.int64),
        ("flags", np.uint8),
        ("kind", np.uint8),
    ]
)
"""A flow. Time since midnight before the first working day; hosts as numbers: workstations from 0, servers from 200, the rest of
the world from 1000; the port asked; the protocol's number, 6 for TCP and 17 for UDP; bytes and packets up, from the
source, and down; flags of TCP as `FIN` to `ACK`, all packets together; the kind, which only a referee knows."""

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16

WORKSTATIONS = 40
RESOLVER, MAIL, FILES, BACKUP, SHELLS, _WORLD = 200, 201, 202, 203, 204, 1000
_SITES = 2000  # in the rest of the world, by popularity
_DAY_S = 86400.0
_WINDOW_S = 600.0
_ADMIN = 0  # the administrator's workstation
_PACKET = 1400  # bytes of payload
_SESSIONS = 1000  # of everybody on a working day
_REMOTE = np.array([445, 3389, 5985, 135])  # SMB, RDP, WinRM, RPC

# Share of sessions at drift 0 and 1. Over the weeks mail and the file server lose to cloud storage.
_MIX: Mapping[str, tuple[float, float]] = {
    "web": (0.44, 0.42),
    "dns": (0.19, 0.15),
    "mail": (0.11, 0.05),
    "file": (0.10, 0.03),
    "ssh": (0.05, 0.06),
    "backup": (0.03, 0.05),
    "cloud": (0.04, 0.18),
    "admin": (0.04, 0.06),
}
# Relative rate in each hour of the day: an office from eight to six; at drift 1, one that also works from home at night.
_OFFICE = np.array(
    [1, 1, 1, 1, 1, 1, 3, 10, 25, 30, 30, 28, 20, 26, 30, 30, 28, 20, 10, 5, 3, 2, 2, 1], float
)
_HOME = np.array(
    [3, 2, 1, 1, 1, 2, 5, 12, 22, 25, 25, 22, 18, 22, 25, 25, 22, 18, 14, 16, 18, 16, 10, 6], float
)
_NIGHT = np.array([25, 30, 30, 25, 10, 5, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5, 8, 12, 18, 22], float)
_EVENING = np.array([5, 4, 2, 1, 1, 1, 2, 6, 8, 8, 8, 8, 6, 6, 8, 8, 10, 16, 24, 28, 26, 22, 14, 8], float)


@dataclass(frozen=True)
class Feature:
    """One number that is told of each flow.

    Attributes:
        name: of the column.
        of: flows in order of time → float64[n].
        what: in words, with the unit.
    """

    name: str
    of: Callable[[NDArray[Any]], NDArray[np.float64]]
    what: str


def features(flows: NDArray[Any], names: Sequence[str]) -> NDArray[np.float64]:
    """What the classifier is told of each flow, unscaled.

    Features of a source's last ten minutes look back only, and count the flow itself, as a monitor at the switch can.

    Args:
        flows: `FLOW`[n] in order of time, all flows of the subnet: what is left out is missing in the context.
        names: of `FEATURES`.

    Returns:
        float64[n, len(names)].

    Raises:
        ValueError: an unknown name, none at all, or flows out of order.
    """
    unknown = [name for name in names if name not in FEATURES]
    if unknown or not names:
        raise ValueError(
            f"features are {list(names)}; expected at least one of {', '.join(FEATURES)}"
            + (f", not {', '.join(unknown)}" if unknown else "")
        )
    if np.any(np.diff(flows["time_s"]) < 0.0):
        raise ValueError("flows are out of order; sort them by time")
    return np.stack([FEATURES[name].of(flows) for name in names], axis=1)


def traffic(
    days: int,
    rng: np.random.Generator,
    *,
    episodes: Mapping[Attack, int] | None = None,
    drift: float = 0.0,
) -> NDArray[Any]:
    """All flows of the subnet on some working days.

    Args:
        days: at least 1.
        rng: where everything comes from.
        episodes: how often intruders do what; never if left out.
        drift: of the benign traffic, 0 to 1. At 1 the mix has moved as `_MIX` says, work has spread into the evening, transfers
            of web, mail and cloud are three times as large and twice as long. The intruders stay as they are.

    Returns:
        `FLOW`[n] in order of time.

    Raises:
        ValueError: an argument out of range.
    """
    if days < 1:
        raise ValueError(f"days is {days}; expected at least 1")
    if not 0.0 <= drift <= 1.0:
        raise ValueError(f"drift is {drift}; expected a number from 0 to 1")
    wanted = {} if episodes is None else dict(episodes)
    for kind, count in wanted.items():
        if kind not in ATTACKS or count < 0:
            raise ValueError(f"{count} episodes of {kind!r}; expected 0 or more of {', '.join(ATTACKS)}")
    maker = _Maker(days, drift, rng)
    parts = [maker.benign(kind, share) for kind, share in maker.mix.items()]
    parts += [maker.episode(kind) for kind, count in wanted.items() for _ in range(count)]
    flows = np.concatenate(parts)
    return flows[np.argsort(flows["time_s"], kind="stable")]


def flow_rows(
    n: int,
    rng: np.random.Generator,
    *,
    attack_share: float = 0.5,
    kinds: Sequence[Attack] = ATTACKS,
    drift: float = 0.0,
    features: int | Sequence[str] = 4,
) -> Unscaled:
    """Flows drawn from a stream, benign ones with label 0 and attacks with label 1, as the exporter measured them.

    Args:
        n: rows in all, in order of time.
        rng: where everything comes from.
        attack_share: part of the rows that belong to an attack, the kinds in equal parts (to within a row). A real subnet's is
            far smaller; a balanced task is what the classifiers are trained on.
        kinds: of attack, at least one.
        drift: see `traffic`.
        features: names out of `FEATURES`, or how many of them in their order, 1 to 8.

    Raises:
        ValueError: an argument out of range, or no row of either label.
    """
    names = feature_names(features)
    if not 0.0 < attack_share < 1.0:
        raise ValueError(f"attack_share is {attack_share}; expected a number between 0 and 1, ends excluded")
    if not kinds or len(set(kinds)) < len(kinds) or not set(kinds) <= set(ATTACKS):
        raise ValueError(f"kinds are {list(kinds)}; expected different ones of {', '.join(ATTACKS)}")
    attacks = round(n * attack_share)
    if not 0 < attacks < n:
        raise ValueError(f"{attacks} of {n} rows are attacks; expected at least one of either label")
    shares = {kind: len(range(number, attacks, len(kinds))) for number, kind in enumerate(kinds)}
    days = max(2, math.ceil(2 * (n - attacks) / _SESSIONS))
    flows = traffic(
        days,
        rng,
        episodes={kind: max(2, math.ceil(2 * share / _FLOWS[kind])) for kind, share in shares.items()},
        drift=drift,
    )
    chosen = [rng.choice(np.flatnonzero(flows["kind"] < len(BENIGN)), n - attacks, replace=False)]
    for kind, share in shares.items():
        rows = np.flatnonzero(flows["kind"] == KINDS.index(kind))
        chosen.append(rng.choice(rows, share, replace=False))
    rows = np.sort(np.concatenate(chosen))
    labels = (flows["kind"][rows] >= len(BENIGN)).astype(np.int64)
    return Unscaled(names, _told(flows, names)[rows], labels)


def flow_data(
    n: int,
    rng: np.random.Generator,
    *,
    attack_share: float = 0.5,
    kinds: Sequence[Attack] = ATTACKS,
    drift: float = 0.0,
    features: int | Sequence[str] = 4,
    scaler: Scaler | None = None,
) -> DataSet:
    """`flow_rows`, scaled to [0, 1].

    Args:
        n: see `flow_rows`, as what is not listed here.
        rng: likewise.
        attack_share: likewise.
        kinds: likewise.
        drift: likewise.
        features: likewise.
        scaler: that of the training rows. If left out one is fitted on a stream of its own, of 400 rows without drift, that
            is drawn from `rng` first: what the operator had recorded before. So neither training nor test rows fit it.

    Raises:
        ValueError: what `flow_rows` and the scaler raise.
    """
    if scaler is None:
        scaler = Scaler.fit(flow_rows(400, rng, kinds=kinds, features=features).rows, TAIL)
    rows = flow_rows(n, rng, attack_share=attack_share, kinds=kinds, drift=drift, features=features)
    return rows.scaled(scaler)


def feature_names(features: int | Sequence[str]) -> tuple[str, ...]:
    """Names of features: the first so many, or those that are named.

    Raises:
        ValueError: none, too many, an unknown one, or one twice.
    """
    if isinstance(features, int):
        if not 1 <= features <= len(FEATURES):
            raise ValueError(f"features is {features}; expected 1 to {len(FEATURES)}, or names")
        return tuple(FEATURES)[:features]
    names = tuple(features)
    if not names or len(set(names)) < len(names) or not set(names) <= set(FEATURES):
        raise ValueError(f"features are {list(names)}; expected different ones of {', '.join(FEATURES)}")
    return names


class _Maker:
    """Draws flows for one stretch of time."""

    def __init__(self, days: int, drift: float, rng: np.random.Generator) -> None:
        self._days = days
        self._drift = drift
        self._rng = rng
        self.mix = {kind: (1.0 - drift) * old + drift * new for kind, (old, new) in _MIX.items()}
        self._activity = rng.lognormal(0.0, 0.6, WORKSTATIONS)
        self._activity /= self._activity.sum()
        popularity = 1.0 / np.arange(1.0, _SITES + 1.0) ** 0.9
        self._popularity = popularity / popularity.sum()

    def benign(self, kind: str, share: float) -> NDArray[Any]:
        """One kind's flows on all days."""
        sessions = int(self._rng.poisson(_SESSIONS * self._days * share))
        draw: Callable[[int], NDArray[Any]] = getattr(self, f"_{kind}")
        return draw(sessions)

    def episode(self, kind: Attack) -> NDArray[Any]:
        """One intruder's doings."""
        draw: Callable[[], NDArray[Any]] = getattr(self, f"_{kind}")
        return draw()

    # ---- benign

    def _web(self, sessions: int) -> NDArray[Any]:
        """A page: four sites on average, within seconds, TCP, over QUIC more often as time goes by."""
        rng = self._rng
        each = rng.geometric(0.25, sessions)
        first = np.repeat(self._times(sessions, self._hours()), each)
        source = np.repeat(self._users(sessions), each)
        n = len(first)
        quic = rng.random(n) < 0.2 + 0.4 * self._drift
        grown = 1.0 + 2.0 * self._drift
        return self._flows(
            "web",
            first + rng.exponential(8.0, n),
            source,
            _WORLD + rng.choice(_SITES, n, p=self._popularity),
            np.where(quic | (rng.random(n) < 0.9), 443, 80),
            (3.0 * (1.0 + self._drift), 1.4),
            (1500.0, 1.0),
            (20_000.0 * grown, 1.7),
            refused=0.03,
            udp=quic,
        )

    def _dns(self, sessions: int) -> NDArray[Any]:
        """A question to the resolver."""
        n = sessions
        return self._flows(
            "dns",
            self._times(n, self._hours()),
            self._users(n),
            np.full(n, RESOLVER),
            np.full(n, 53),
            (0.02, 1.0),
            (65.0, 0.2),
            (160.0, 0.5),
            refused=0.0,
            udp=np.ones(n, np.bool_),
        )

    def _mail(self, sessions: int) -> NDArray[Any]:
        """Mail fetched, or in a fourth of the sessions sent, then sometimes with an attachment."""
        rng = self._rng
        n = sessions
        sent = rng.random(n) < 0.25
        grown = 1.0 + 2.0 * self._drift
        return self._flows(
            "mail",
            self._times(n, self._hours()),
            self._users(n),
            np.full(n, MAIL),
            np.where(sent, 587, 993),
            (4.0, 1.2),
            (np.where(sent, 30_000.0 * grown, 1500.0), 1.5),
            (np.where(sent, 2000.0, 25_000.0 * grown), 1.5),
            refused=0.01,
        )

    def _file(self, sessions: int) -> NDArray[Any]:
        """SMB to the file server: documents opened and saved."""
        n = sessions
        return self._flows(
            "file",
            self._times(n, self._hours()),
            self._users(n),
            np.full(n, FILES),
            np.full(n, 445),
            (20.0, 1.5),
            (12_000.0, 2.0),
            (40_000.0, 2.0),
            refused=0.03,
        )

    def _ssh(self, sessions: int) -> NDArray[Any]:
        """A shell on one of four servers, for minutes; copies now and then."""
        rng = self._rng
        n = sessions
        return self._flows(
            "ssh",
            self._times(n, self._hours()),
            rng.integers(0, 8, n),  # only a few people have accounts
            SHELLS + rng.integers(0, 4, n),
            np.full(n, 22),
            (240.0, 1.6),
            (10_000.0, 2.0),
            (30_000.0, 2.0),
            refused=0.04,
        )

    def _backup(self, sessions: int) -> NDArray[Any]:
        """A workstation's changes of the day to the backup server at night, heavy and long."""
        n = sessions
        return self._flows(
            "backup",
            self._times(n, _NIGHT),
            self._users(n),
            np.full(n, BACKUP),
            np.full(n, 873),
            (300.0, 1.0),
            (40e6, 1.3),
            (200_000.0, 1.0),
            refused=0.02,
        )

    def _cloud(self, sessions: int) -> NDArray[Any]:
        """Files into cloud storage, also after work."""
        n = sessions
        grown = 1.0 + 2.0 * self._drift
        return self._flows(
            "cloud",
            self._times(n, self._hours(_EVENING)),
            self._users(n),
            _WORLD + self._rng.integers(0, 5, n),
            np.full(n, 443),
            (40.0 * (1.0 + self._drift), 1.4),
            (3e6 * grown, 1.8),
            (30_000.0, 1.2),
            refused=0.01,
        )

    def _admin(self, sessions: int) -> NDArray[Any]:
        """The administrator's rounds, mostly after hours: three workstations each, over the services that intruders use too."""
        rng = self._rng
        rounds = max(1, round(sessions / 3))
        each = rng.geometric(1.0 / 3.0, rounds)
        first = np.repeat(self._times(rounds, _EVENING), each)
        n = len(first)
        return self._flows(
            "admin",
            first + rng.exponential(240.0, n),
            np.full(n, _ADMIN),
            rng.integers(1, WORKSTATIONS, n),
            rng.choice(_REMOTE, n, p=[0.35, 0.35, 0.25, 0.05]),
            (25.0, 1.6),
            (9000.0, 1.7),
            (15_000.0, 1.8),
            refused=0.08,
        )

    # ---- attacks

    def _lateral(self) -> NDArray[Any]:
        """From one workstation to 8 to 20 others over remote services, mostly after hours; half the intruders wait minutes between."""
        rng = self._rng
        n = int(rng.integers(8, 21))
        source = int(rng.integers(1, WORKSTATIONS))
        others = np.delete(np.arange(WORKSTATIONS), source)
        gap_s = 20.0 if rng.random() < 0.5 else 240.0
        return self._flows(
            "lateral",
            self._start(_EVENING if rng.random() < 0.3 else _NIGHT) + np.cumsum(rng.exponential(gap_s, n)),
            np.full(n, source),
            rng.choice(others, n, replace=False),
            rng.choice(_REMOTE, n, p=[0.5, 0.2, 0.2, 0.1]),
            (4.0, 1.3),
            (4000.0, 1.2),
            (3500.0, 1.2),
            refused=0.25,
        )

    def _scan(self) -> NDArray[Any]:
        """Thirty to sixty ports of one to three hosts, at any time; half the intruders wait half a minute between."""
        rng = self._rng
        n = int(rng.integers(30, 61))
        source = int(rng.integers(1, WORKSTATIONS))
        others = np.delete(np.arange(WORKSTATIONS), source)
        gap_s = 0.2 if rng.random() < 0.5 else 30.0
        return self._flows(
            "scan",
            self._start(_OFFICE + _NIGHT) + np.cumsum(rng.exponential(gap_s, n)),
            np.full(n, source),
            rng.choice(rng.choice(others, int(rng.integers(1, 4)), replace=False), n),
            rng.choice(np.arange(1, 10_000), n, replace=False),
            (0.05, 1.2),
            (70.0, 0.3),
            (60.0, 0.4),
            refused=0.85,
        )

    def _exfiltration(self) -> NDArray[Any]:
        """One to four long uploads to a host outside, mostly at night."""
        rng = self._rng
        n = int(rng.integers(1, 5))
        return self._flows(
            "exfiltration",
            self._start(_NIGHT if rng.random() < 0.8 else _OFFICE) + np.cumsum(rng.exponential(1200.0, n)),
            np.full(n, rng.integers(1, WORKSTATIONS)),
            np.full(n, _WORLD + rng.integers(500, _SITES)),
            np.full(n, 443),
            (600.0, 1.1),
            (60e6, 1.3),
            (150_000.0, 1.2),
            refused=0.0,
        )

    # ---- what they are drawn with

    def _hours(self, later: NDArray[np.float64] = _HOME) -> NDArray[np.float64]:
        """Shares of the hours of the day, on the way from the office's to what they are at drift 1."""
        now = (1.0 - self._drift) * _OFFICE / _OFFICE.sum()
        shares: NDArray[np.float64] = now + self._drift * later / later.sum()
        return shares

    def _times(self, n: int, hours: NDArray[np.float64]) -> NDArray[np.float64]:
        """Of so many sessions: given their number, those of a Poisson process are independent."""
        rng = self._rng
        hour = rng.choice(24, n, p=hours / hours.sum())
        times: NDArray[np.float64] = rng.integers(0, self._days, n) * _DAY_S + (hour + rng.random(n)) * 3600.0
        return times

    def _start(self, hours: NDArray[np.float64]) -> float:
        return float(self._times(1, hours)[0])

    def _users(self, n: int) -> NDArray[np.int64]:
        users: NDArray[np.int64] = self._rng.choice(WORKSTATIONS, n, p=self._activity)
        return users

    def _flows(
        self,
        kind: str,
        time_s: NDArray[np.float64],
        source: NDArray[Any],
        destination: NDArray[Any],
        port: NDArray[Any],
        duration: tuple[Any, float],
        up: tuple[Any, float],
        down: tuple[Any, float],
        *,
        refused: float,
        udp: NDArray[np.bool_] | None = None,
    ) -> NDArray[Any]:
        """Records; duration and bytes are log-normal, given by median and σ of the logarithm.

        A refused connection is a SYN and its RST: 60 and 40 bytes and a millisecond or so, whatever the service.
        """
        rng = self._rng
        n = len(time_s)
        flows = np.zeros(n, FLOW)
        udp = np.zeros(n, np.bool_) if udp is None else udp
        no = (rng.random(n) < refused) & ~udp
        flows["time_s"], flows["source"], flows["destination"] = time_s, source, destination
        flows["port"], flows["protocol"] = port, np.where(udp, 17, 6)
        flows["kind"] = KINDS.index(kind)

        def drawn(median: Any, sigma: float) -> NDArray[np.float64]:
            values: NDArray[np.float64] = median * np.exp(sigma * rng.standard_normal(n))
            return values

        flows["duration_s"] = np.where(no, drawn(0.002, 0.5), np.minimum(drawn(*duration), _DAY_S / 2))
        flows["bytes_up"] = np.where(no, 60.0, np.clip(drawn(*up), 40.0, 1e11))
        flows["bytes_down"] = np.where(no, 40.0, np.clip(drawn(*down), 40.0, 1e11))
        # every second packet of data is acknowledged by one of the other side
        data_up, data_down = -(-flows["bytes_up"] // _PACKET), -(-flows["bytes_down"] // _PACKET)
        flows["packets_up"] = data_up + np.where(udp | no, 0, 3 + data_down // 2)
        flows["packets_down"] = data_down + np.where(udp | no, 0, 2 + data_up // 2)
        flows["flags"] = np.where(udp, 0, np.where(no, SYN | RST | ACK, SYN | ACK | PSH | FIN))
        return flows


_FLOWS: Mapping[Attack, float] = {
    "lateral": 14.0,
    "scan": 45.0,
    "exfiltration": 2.5,
}  # of an episode, on average


def _recent(flows: NDArray[Any], told: Callable[[NDArray[Any]], NDArray[np.int64]]) -> NDArray[np.float64]:
    """How many different values a source had in the last ten minutes."""
    out = np.empty(len(flows))
    values, times = told(flows).tolist(), flows["time_s"].tolist()
    order = np.argsort(flows["source"], kind="stable").tolist()
    sources = flows["source"].tolist()
    before = None
    window: deque[int] = deque()
    seen: Counter[int] = Counter()
    for row in order:
        if sources[row] != before:
            before = sources[row]
            window.clear()
            seen.clear()
        while window and times[window[0]] < times[row] - _WINDOW_S:
            gone = values[window.popleft()]
            seen[gone] -= 1
            if not seen[gone]:
                del seen[gone]
        window.append(row)
        seen[values[row]] += 1
        out[row] = len(seen)
    return out


def _refusals(flows: NDArray[Any]) -> NDArray[np.float64]:
    """How many of a source's flows were refused in the last ten minutes."""
    no = (flows["flags"] & RST) > 0
    out = np.zeros(len(flows))
    for source in np.unique(flows["source"]):
        rows = np.flatnonzero(flows["source"] == source)
        times = flows["time_s"][rows]
        total = np.concatenate([[0], np.cumsum(no[rows])])
        out[rows] = total[1:] - total[np.searchsorted(times, times - _WINDOW_S)]
    return out


def _night(flows: NDArray[Any]) -> NDArray[np.float64]:
    angle: NDArray[np.float64] = 2.0 * np.pi * (flows["time_s"] / _DAY_S - 2.0 / 24.0)
    return (1.0 + np.cos(angle)) / 2.0


FEATURES: Mapping[str, Feature] = {
    feature.name: feature
    for feature in (
        Feature(
            "upload",
            lambda flows: np.log10(flows["bytes_up"] / flows["bytes_down"]),
            "log10 of bytes up over bytes down",
        ),
        Feature(
            "refusals",
            lambda flows: np.log10(1.0 + _refusals(flows)),
            "log10 of one more than the source's refused connections in ten minutes",
        ),
        Feature(
            "remote_service",
            lambda flows: np.isin(flows["port"], _REMOTE).astype(np.float64),
            "1 for SMB, RDP, WinRM or RPC, else 0",
        ),
        Feature(
            "volume",
            lambda flows: np.log10(flows["bytes_up"] + flows["bytes_down"]),
            "log10 of bytes both ways",
        ),
        Feature(
            "fan_out",
            lambda flows: np.log10(_recent(flows, lambda f: f["destination"].astype(np.int64))),
            "log10 of how many hosts the source reached in ten minutes",
        ),
        Feature("duration", lambda flows: np.log10(flows["duration_s"]), "log10 of seconds"),
        Feature("night", _night, "1 at two o'clock at night, 0 twelve hours later, a cosine in between"),
        Feature(
            "ports",
            lambda flows: np.log10(_recent(flows, lambda f: f["port"].astype(np.int64))),
            "log10 of how many ports the source asked for in ten minutes",
        ),
    )
}
"""What can be told of a flow; each next one is what helps a radial-basis machine most beside those before it (16 seeds)."""

TAIL = 0.01
"""Share of training rows beyond each end of a scale: one huge transfer shall not squeeze all others."""

_told = features  # where a parameter has that name
