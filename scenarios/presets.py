"""Published QKD systems as parameter sets: every value with where it is from, and the rates they printed beside ours.

A parameter is written as a scenario's `--set` takes it, under the path it has there, so that a preset is a list of overrides.
What a source does not say is *assumed*, with the reason; a rate that could not be traced is not listed.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from netsim.errors import ScenarioError
from netsim.rates.link_model import LinkModel, PairSource, SinglePhotons, Source, WeakPulses
from netsim.rates.optimise import optimised
from netsim.rates.protocols import PROTOCOLS, Conditions, Protocol, Rate
from scenarios.units import (
    ATTENUATION,
    FRACTION,
    FREQUENCY,
    TIME,
    Limits,
    Quantity,
    Reader,
    listed,
    shown,
    suggestion,
)

_NOT_NEGATIVE = Limits(minimum=0)


@dataclasses.dataclass(frozen=True)
class Plain(Reader):
    """A plain number within limits, written as text."""

    limits: Limits = _NOT_NEGATIVE

    def read(self, value: Any) -> float:
        """The number."""
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not abs(number) < float("inf") or self.limits.broken_by(number):
            raise ValueError(f"got {shown(value)}, expected a number, {self.limits.words()}")
        return number


class Numbers(Reader):
    """A list of plain numbers, `[0.5, 0.15, 2e-4]`."""

    def read(self, value: Any) -> tuple[float, ...]:
        """The numbers."""
        items = str(value).strip().removeprefix("[").removesuffix("]").split(",")
        try:
            return tuple(Plain().read(item) for item in items)
        except ValueError:
            raise ValueError(
                f"got {shown(value)}, expected numbers that are not negative, like [0.5, 0.15, 2e-4]"
            ) from None


@dataclasses.dataclass(frozen=True)
class Word(Reader):
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, value: Any) -> str:
        """The word."""
        if value not in self.words:
            raise ValueError(
                f"got {shown(value)}, expected {listed(self.words)}{suggestion(str(value), self.words)}"
            )
        return str(value)


_SHARE = Quantity(FRACTION, Limits(above=0, below=1))
_TIME = Quantity(TIME, Limits(minimum=0))
_FIELDS: Mapping[str, tuple[str, Reader]] = {
    "link.pulse_rate": ("pulse_rate_hz", Quantity(FREQUENCY, Limits(above=0))),
    "link.attenuation": ("attenuation_db_per_km", Quantity(ATTENUATION, Limits(minimum=0))),
    "link.misalignment": ("misalignment", Quantity(FRACTION, Limits(minimum=0, maximum=0.5))),
    "link.key_basis": ("key_basis", _SHARE),
    "link.test_fraction": ("test_fraction", _SHARE),
    "link.detector.efficiency": ("detector_efficiency", Quantity(FRACTION, Limits(above=0, maximum=1))),
    "link.detector.dark_counts": ("dark_counts", Quantity(FRACTION, Limits(minimum=0, below=0.5))),
    "link.background": ("background", Plain()),
    "link.detector.dead_time": ("dead_time_s", _TIME),
    "link.detector.afterpulse": ("afterpulse", Quantity(FRACTION, Limits(minimum=0, below=1))),
    "link.detector.afterpulse_lifetime": ("afterpulse_lifetime_s", Quantity(TIME, Limits(above=0))),
    "formulas": ("formulas", Word(("threshold", "ma-2005", "lim-2014"))),
}
_SOURCE: Mapping[str, Reader] = {
    "link.source.kind": Word(("ideal", "weak-coherent", "spdc")),
    "link.source.intensities": Numbers(),
    "link.source.probabilities": Numbers(),
    "link.source.pair_mean": Plain(Limits(above=0)),
    "link.source.position": Word(("alice", "middle")),
}
_CONDITIONS: Mapping[str, tuple[str, Reader]] = {
    "f": ("f", Plain(Limits(minimum=1))),
    "link.security.epsilon_sec": ("eps_sec", Quantity(FRACTION, Limits(minimum=1e-30, below=1))),
    "link.security.epsilon_cor": ("eps_cor", Quantity(FRACTION, Limits(minimum=1e-30, below=1))),
    "block_bits": ("block_bits", Plain(Limits(minimum=1))),
}
PATHS = (*_FIELDS, *_SOURCE, *_CONDITIONS)
"""What may be set: a scenario's paths below `link`, and what only a rate has."""


@dataclasses.dataclass(frozen=True)
class Parameter:
    """A value of a system.

    Attributes:
        path: where a scenario has it; `f`, `block_bits` and `formulas` belong to a rate only.
        value: as a scenario writes it.
        origin: where it is from; begins with "assumed" where no source was found that says it.
    """

    path: str
    value: str
    origin: str

    @property
    def assumed(self) -> bool:
        """Whether no source was found that says it."""
        return self.origin.startswith("assumed")


@dataclasses.dataclass(frozen=True)
class Published:
    """A number that a source printed, and how ours is computed.

    Attributes:
        what: in words.
        value: as printed.
        unit: bit/s, km, or nothing for a ratio.
        origin: where it is printed.
        ours: computes the same quantity from the preset.
        length_km: of the fibre; None where it is no rate at a distance.
    """

    what: str
    value: float
    unit: str
    origin: str
    ours: Callable[[Preset], float]
    length_km: float | None = None


@dataclasses.dataclass(frozen=True)
class Preset:
    """A published system.

    Attributes:
        name: on the command line.
        about: what it is.
        source: who published it.
        protocols: what it ran, or what its authors plotted: the default of `evelab rate`.
        parameters: its values.
        published: what it achieved.
        distances_km: from where to where, and the step: the default of `evelab rate`.
    """

    name: str
    about: str
    source: str
    protocols: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    published: tuple[Published, ...] = ()
    distances_km: tuple[float, float, float] = (0.0, 200.0, 5.0)

    def settings(self) -> dict[str, str]:
        """Values by path."""
        return {parameter.path: parameter.value for parameter in self.parameters}

    def overrides(self) -> list[str]:
        """The preset as a scenario's overrides, `path=value`."""
        return [f"{p.path}={p.value}" for p in self.parameters if p.path.startswith("link.")]

    def system(self, changes: Mapping[str, str] | None = None) -> tuple[LinkModel, Conditions]:
        """The link and the conditions, with some values changed.

        Raises:
            ScenarioError: as `system`.
        """
        return system(self.settings() | dict(changes or {}))


def system(settings: Mapping[str, str]) -> tuple[LinkModel, Conditions]:
    """A link and its conditions from values by path.

    Raises:
        ScenarioError: every path that is not known and every value that is wrong.
    """
    faults: list[str] = []
    values: dict[str, Any] = {}
    readers = {path: reader for path, (_, reader) in (*_FIELDS.items(), *_CONDITIONS.items())} | dict(_SOURCE)
    for path, text in settings.items():
        if path not in readers:
            faults.append(f"{path}: a rate has no such parameter{suggestion(path, PATHS)}")
            continue
        try:
            values[path] = readers[path].read(text)
        except ValueError as error:
            faults.append(f"{path}: {error}")
    if faults:
        raise ScenarioError(faults)
    try:
        model = LinkModel(
            _source(values), **{field: values[path] for path, (field, _) in _FIELDS.items() if path in values}
        )
        conditions = Conditions(
            **{field: values[path] for path, (field, _) in _CONDITIONS.items() if path in values}
        )
    except ValueError as error:
        raise ScenarioError([f"link: {error}"]) from None
    return model, conditions


def _source(values: Mapping[str, Any]) -> Source:
    """The source; a kind that was not told follows from what was."""
    kind = values.get("link.source.kind")
    if kind == "weak-coherent" or (kind is None and "link.source.intensities" in values):
        intensities = values.get("link.source.intensities", (0.5,))
        probabilities = values.get("link.source.probabilities", (1.0,))
        return WeakPulses(intensities, probabilities)
    if kind == "spdc":
        return PairSource(
            values.get("link.source.pair_mean", 0.05), values.get("link.source.position", "middle")
        )
    return SinglePhotons()


def rate_at(
    preset: Preset,
    protocol: str,
    length_km: float,
    changes: Mapping[str, str] | None = None,
    *,
    optimise: bool = False,
    held: Collection[str] = (),
) -> Rate:
    """The rate of a preset at a distance.

    Args:
        preset: the system.
        protocol: an id.
        length_km: of the fibre.
        changes: values to change, by path.
        optimise: whether the protocol's settings are chosen for the distance, instead of taken from the preset.
        held: free settings that are taken from the preset nevertheless.
    """
    model, conditions = preset.system(changes)
    model = dataclasses.replace(model, length_km=length_km)
    chosen = PROTOCOLS[protocol]
    if optimise:
        return optimised(chosen, model, conditions, held=held)
    return chosen.rate(chosen.fitted(model), conditions)


def _bps(
    protocol: str, length_km: float, changes: Mapping[str, str] | None = None, held: Collection[str] = ()
) -> Callable[[Preset], float]:
    """The rate at a distance; what was not published of the settings is the optimiser's."""
    return lambda preset: (
        rate_at(preset, protocol, length_km, changes, optimise=True, held=held).per_second_bps
    )


def reach_km(protocol: Protocol, model: LinkModel, conditions: Conditions) -> float:
    """The distance at which the rate of a link, with its settings as they are, falls to nothing; 0 where there never is key."""
    low, high = 0.0, 2000.0
    model = protocol.fitted(model)
    while high - low > 1e-3:
        middle = (low + high) / 2.0
        key = protocol.rate(dataclasses.replace(model, length_km=middle), conditions).surplus > 0
        low, high = (middle, high) if key else (low, middle)
    return low


def _reach(protocol: str) -> Callable[[Preset], float]:
    return lambda preset: reach_km(PROTOCOLS[protocol], *preset.system())


def _lim_ratio(preset: Preset) -> float:
    """Optimised rate at 100 km of blocks of 1e9 bits over that of 1e7; ε_sec is 1e-15 of the key length, as in the paper."""
    rates = []
    for block_bits in (1e9, 1e7):
        eps_sec = 1e-9
        for _ in range(4):
            rate = rate_at(
                preset,
                "bb84-decoy2",
                100.0,
                {"block_bits": repr(block_bits), "link.security.epsilon_sec": repr(eps_sec)},
                optimise=True,
            )
            eps_sec = 1e-15 * rate.per_pulse * rate.block_pulses
        rates.append(rate.per_pulse)
    return rates[0] / rates[1]


_MA = "Ma, Qi, Zhao & Lo, Phys. Rev. A 72, 012326 (2005), table I"
_LIM = "Lim et al. 2014, section IV"

_REFERENCE = Preset(
    "ghz",
    "A plain gigahertz link with fair detectors, of nobody in particular.",
    "assumed: round numbers within what is published",
    ("bb84-decoy2", "bb84-decoy1", "decoy-asymptotic"),
    (
        Parameter("link.pulse_rate", "1 GHz", "assumed: the clock of several published systems"),
        Parameter("link.attenuation", "0.2 dB/km", "assumed: standard fibre at 1550 nm"),
        Parameter("link.misalignment", "1 %", "assumed"),
        Parameter("link.detector.efficiency", "20 %", "assumed: a gated InGaAs diode"),
        Parameter("link.detector.dark_counts", "1e-6", "assumed: 1 kHz at 1 GHz"),
        Parameter("f", "1.05", "assumed: what our Cascade measures, 1.04 to 1.066"),
        Parameter("link.security.epsilon_sec", "1e-10", "assumed: a scenario's default"),
        Parameter("link.security.epsilon_cor", "1e-10", "assumed: a scenario's default"),
        Parameter("block_bits", "1e7", "assumed: what finite-key security really needs"),
    ),
)

_GYS = Preset(
    "gys-2004",
    "The 122 km link of Gobby, Yuan and Shields, as Ma et al. used its parameters for decoy states.",
    "Gobby, Yuan & Shields, Appl. Phys. Lett. 84, 3762 (2004); " + _MA,
    ("decoy-asymptotic", "vacuum-weak"),
    (
        Parameter("link.pulse_rate", "2 MHz", _MA),
        Parameter("link.attenuation", "0.21 dB/km", _MA),
        Parameter("link.misalignment", "3.3 %", _MA + ", e_detector"),
        Parameter("link.detector.efficiency", "4.5 %", _MA + ", η_Bob: optics and detector"),
        Parameter("link.detector.dark_counts", "8.5e-7", _MA + ": half of Y0 = 1.7e-6, per detector"),
        Parameter("link.source.kind", "weak-coherent", "Gobby et al. 2004: attenuated laser"),
        Parameter("link.source.intensities", "[0.48, 0.05, 0]", "Ma et al. 2005, section IV: µ and ν"),
        Parameter(
            "link.source.probabilities",
            "[0.9998, 1e-4, 1e-4]",
            "assumed: endless blocks spare nearly nothing for decoys",
        ),
        Parameter("link.key_basis", "50 %", "Ma et al. 2005: q = 1/2"),
        Parameter("f", "1.22", "Ma et al. 2005, section IV"),
        Parameter("formulas", "ma-2005", "Ma et al. 2005, equations 10 and 11"),
    ),
    (
        Published(
            "reach, infinite decoys",
            142.05,
            "km",
            "Ma et al. 2005, figure 3",
            _reach("decoy-asymptotic"),
        ),
        Published("reach, vacuum + weak", 140.55, "km", "Ma et al. 2005, figure 3", _reach("vacuum-weak")),
    ),
    (0.0, 150.0, 5.0),
)

_LIM_2014 = Preset(
    "lim-2014",
    "The model that Lim et al. plot their two-decoy bound for.",
    "Lim, Curty, Walenta, Xu & Zbinden, Phys. Rev. A 89, 022307 (2014)",
    ("bb84-decoy2",),
    (
        Parameter("link.pulse_rate", "1 GHz", "assumed: the paper's rates are per pulse"),
        Parameter("link.attenuation", "0.2 dB/km", _LIM),
        Parameter("link.misalignment", "0.5 %", _LIM),
        Parameter("link.detector.efficiency", "10 %", _LIM + ", η_Bob"),
        Parameter("link.detector.dark_counts", "6e-7", _LIM),
        Parameter("link.detector.afterpulse", "4 %", _LIM),
        Parameter("link.source.kind", "weak-coherent", _LIM),
        Parameter(
            "link.source.intensities",
            "[0.5, 0.15, 2e-4]",
            _LIM + " for the last; assumed: the others, the paper optimises",
        ),
        Parameter("link.source.probabilities", "[0.6, 0.3, 0.1]", "assumed: the paper optimises"),
        Parameter("link.key_basis", "90 %", "assumed: the paper optimises"),
        Parameter("f", "1.16", _LIM),
        Parameter("link.security.epsilon_sec", "1e-9", "assumed: the paper takes 1e-15 of the key length"),
        Parameter("link.security.epsilon_cor", "1e-15", _LIM),
        Parameter("block_bits", "1e7", _LIM + ": one of its block sizes"),
        Parameter("formulas", "lim-2014", _LIM),
    ),
    (Published("rate at 1e9 bits a block over 1e7, 100 km", 1.75, "", _LIM, _lim_ratio),),
)


def _boaron(  # a row of the table, in its own order
    length_km: float, loss_db: float, mu1: float, mu2: float, block_bits: float, rate_bps: float
) -> Published:
    return Published(
        f"key rate at {length_km:g} km, {loss_db:g} dB",
        rate_bps,
        "bit/s",
        _BOARON_TABLE,
        _bps(
            "bb84-decoy1",
            length_km,
            {
                "link.attenuation": f"{loss_db / length_km:.9f} dB/km",
                "link.source.intensities": f"[{mu1:g}, {mu2:g}]",
                "block_bits": f"{block_bits:g}",
            },
            held=("signal", "decoy"),
        ),
        length_km,
    )


_BOARON_TABLE = "Boaron et al. 2018, table I; the paper was not at hand, one independent transcription agrees"
_BOARON = Preset(
    "boaron-2018",
    "421 km of ultra-low-loss fibre: three time-bin states, one decoy, superconducting detectors.",
    "Boaron et al., Phys. Rev. Lett. 121, 190502 (2018)",
    ("bb84-decoy1", "decoy-asymptotic"),
    (
        Parameter("link.pulse_rate", "2.5 GHz", "Boaron et al. 2018, abstract"),
        Parameter("link.attenuation", "0.171 dB/km", _BOARON_TABLE + ": 71.9 dB over 421.1 km"),
        Parameter("link.misalignment", "0.4 %", _BOARON_TABLE + ": the least QBER in it"),
        Parameter(
            "link.detector.efficiency",
            "40 %",
            "assumed: superconducting nanowires of 50 %, and 1 dB of optics before them",
        ),
        Parameter(
            "link.detector.dark_counts",
            "8e-11",
            "assumed: 0.2 Hz at 2.5 GHz, as filtered nanowires have; the QBER printed at 421.1 km needs about as much",
        ),
        Parameter("link.source.kind", "weak-coherent", "Boaron et al. 2018: one decoy"),
        Parameter("link.source.intensities", "[0.35, 0.15]", _BOARON_TABLE + ", at 404.9 km"),
        Parameter("link.source.probabilities", "[0.7, 0.3]", "assumed: near the optimum of our bound"),
        Parameter("link.key_basis", "90 %", "assumed: near the optimum of our bound"),
        Parameter("f", "1.16", "assumed: as Lim et al. 2014"),
        Parameter("link.security.epsilon_sec", "1e-9", "assumed: as its authors' bound (Rusca et al. 2018)"),
        Parameter("link.security.epsilon_cor", "1e-15", "assumed: as its authors' bound (Rusca et al. 2018)"),
        Parameter("block_bits", "4.1e5", _BOARON_TABLE + ", at 404.9 km"),
    ),
    (
        _boaron(251.7, 42.7, 0.49, 0.18, 8.2e6, 4900.0),
        _boaron(302.1, 51.3, 0.48, 0.18, 8.2e6, 790.0),
        _boaron(354.5, 60.6, 0.35, 0.15, 6.2e6, 62.0),
        _boaron(404.9, 69.3, 0.35, 0.15, 4.1e5, 6.5),
        _boaron(421.1, 71.9, 0.30, 0.13, 2.0e5, 0.25),
    ),
    (200.0, 450.0, 10.0),
)

_LI = Preset(
    "li-2023",
    "The highest rate: an integrated transmitter and a multi-pixel superconducting detector.",
    "Li et al., Nat. Photon. 17, 416 (2023)",
    ("bb84-decoy1", "decoy-asymptotic"),
    (
        Parameter(
            "link.pulse_rate",
            "2.5 GHz",
            "secondary: quoted of the paper; its abstract says a high clock rate",
        ),
        Parameter("link.attenuation", "0.2 dB/km", "assumed: the abstract says 10 km of standard fibre"),
        Parameter("link.misalignment", "0.5 %", "assumed: the abstract says low error"),
        Parameter(
            "link.detector.efficiency", "60 %", "assumed: a fast nanowire near saturation, with its optics"
        ),
        Parameter(
            "link.detector.dark_counts", "4e-8", "assumed: 100 Hz at 2.5 GHz; does not matter at 10 km"
        ),
        Parameter(
            "link.detector.dead_time",
            "1.6 ns",
            "assumed: pixels that recover in some 25 ns, sixteen of them sharing the light",
        ),
        Parameter("link.source.kind", "weak-coherent", "secondary: decoy states"),
        Parameter("link.source.intensities", "[0.5, 0.15]", "assumed: near the optimum of our bound"),
        Parameter("link.source.probabilities", "[0.9, 0.1]", "assumed: near the optimum of our bound"),
        Parameter("link.key_basis", "95 %", "assumed: near the optimum of our bound"),
        Parameter("f", "1.16", "assumed: as Lim et al. 2014"),
        Parameter("link.security.epsilon_sec", "1e-10", "assumed"),
        Parameter("link.security.epsilon_cor", "1e-15", "assumed"),
        Parameter("block_bits", "1e8", "assumed: less than a second of its sifted key"),
    ),
    (
        Published(
            "key rate at 10 km", 115.8e6, "bit/s", "Li et al. 2023, abstract", _bps("bb84-decoy1", 10.0), 10.0
        ),
    ),
)

_TOSHIBA_PAGE = "Toshiba Research Europe, web page on QKD bit rates (2010)"
_TOSHIBA = Preset(
    "toshiba",
    "Toshiba's gigahertz BB84 with self-differencing InGaAs detectors: the Tokyo field link, and the product made of it.",
    _TOSHIBA_PAGE,
    ("bb84-decoy2", "bb84-decoy1", "decoy-asymptotic"),
    (
        Parameter(
            "link.pulse_rate",
            "1 GHz",
            "assumed: its clock is some 1 GHz; the page says detectors beyond 2 GHz",
        ),
        Parameter("link.attenuation", "0.2 dB/km", "assumed: standard fibre"),
        Parameter("link.misalignment", "2 %", "assumed"),
        Parameter("link.detector.efficiency", "15 %", "assumed: an InGaAs diode of 20 %, and 1 dB of optics"),
        Parameter("link.detector.dark_counts", "1e-5", "assumed: a fast InGaAs diode"),
        Parameter("link.detector.dead_time", "2 ns", _TOSHIBA_PAGE + ": at most 500 MHz of counts"),
        Parameter("link.detector.afterpulse", "4 %", "assumed"),
        Parameter("link.detector.afterpulse_lifetime", "10 ns", "assumed"),
        Parameter("link.source.kind", "weak-coherent", "assumed: decoy states"),
        Parameter("link.source.intensities", "[0.5, 0.1, 2e-4]", "assumed: a usual choice"),
        Parameter("link.source.probabilities", "[0.9, 0.06, 0.04]", "assumed: a usual choice"),
        Parameter("link.key_basis", "90 %", "assumed: efficient BB84"),
        Parameter("f", "1.16", "assumed: as Lim et al. 2014"),
        Parameter("link.security.epsilon_sec", "1e-10", "assumed"),
        Parameter("link.security.epsilon_cor", "1e-10", "assumed"),
        Parameter("block_bits", "1e8", "assumed: some ten minutes of its sifted key"),
    ),
    (
        Published(
            "key rate in Tokyo, 45 km, 14.5 dB",
            304e3,
            "bit/s",
            _TOSHIBA_PAGE,
            _bps("bb84-decoy2", 45.0, {"link.attenuation": f"{14.5 / 45.0:.9f} dB/km"}),
            45.0,
        ),
        Published(
            "key rate of the product at 10 dB",
            300e3,
            "bit/s",
            "data sheet of the long-distance system, as quoted by others",
            _bps("bb84-decoy2", 50.0),
            50.0,
        ),
    ),
    (0.0, 120.0, 5.0),
)

PRESETS: Mapping[str, Preset] = {p.name: p for p in (_REFERENCE, _GYS, _LIM_2014, _BOARON, _LI, _TOSHIBA)}
"""Every preset by its name; the first is the default."""


def find(name: str) -> Preset:
    """The preset of this name.

    Raises:
        ScenarioError: there is none.
    """
    if name not in PRESETS:
        known: Iterable[str] = PRESETS
        raise ScenarioError(
            [f"--preset: got {shown(name)}, expected {listed(known)}{suggestion(name, known)}"]
        )
    return PRESETS[name]
