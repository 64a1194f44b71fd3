"""`evelab rate`: key rate against distance for protocols side by side, below the repeaterless bound.

The lines are formulas fed with expected counts (`netsim.rates`); `simulated_point` runs the same settings as a scenario.
"""

from __future__ import annotations

import dataclasses
import json
import math
import statistics
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from netsim.errors import ScenarioError
from netsim.key_length.asymptotic import plob
from netsim.rates.link_model import LinkModel, PairSource, SinglePhotons, WeakPulses
from netsim.rates.optimise import along
from netsim.rates.protocols import PROTOCOLS, Conditions, Protocol, Rate
from scenarios.presets import PATHS, Preset, find
from scenarios.units import listed, number_trap, shown, split_quantity, suggestion

MOST_DISTANCES = 2000
FARTHEST_KM = 2000.0
SIMULATED_SEEDS = 5
_DECOY_SAMPLE = 0.01  # of the key basis, only to tell reconciliation what to expect; the bounds need none
_DENSE_PULSES = 5_000_000  # larger blocks are sampled: only what is detected is drawn
_CONVERSATION_S = 1.0  # some hundred questions and answers over hundreds of kilometres

_Made = TypeVar("_Made")


@dataclasses.dataclass(frozen=True)
class Request:
    """What is asked for, checked.

    Attributes:
        preset: the system that it begins with.
        changes: values changed, by path.
        model: the link, of length 0.
        conditions: block, f and ε.
        protocols: to compare.
        distances_km: ascending.
        optimise: whether each protocol's settings are chosen for each distance.
        simulate_km: distances to simulate as well.
        seeds: simulations per distance and protocol.
    """

    preset: Preset
    changes: Mapping[str, str]
    model: LinkModel
    conditions: Conditions
    protocols: tuple[Protocol, ...]
    distances_km: tuple[float, ...]
    optimise: bool
    simulate_km: tuple[float, ...] = ()
    seeds: int = SIMULATED_SEEDS


@dataclasses.dataclass(frozen=True)
class SimulatedPoint:
    """The key rate of simulated runs at a distance.

    Attributes:
        protocol: its id.
        length_km: of the fibre.
        mean_bps: over the seeds.
        standard_error_bps: of the mean; 0 for a single seed, of which nothing is known.
        seeds: how many runs.
    """

    protocol: str
    length_km: float
    mean_bps: float
    standard_error_bps: float
    seeds: int


@dataclasses.dataclass(frozen=True)
class Beside:
    """A published number beside ours.

    Attributes:
        what: in words.
        published: as printed.
        ours: of the preset as it is.
        unit: of both.
        origin: where it is printed.
        length_km: of the fibre; None where it is no rate at a distance.
    """

    what: str
    published: float
    ours: float
    unit: str
    origin: str
    length_km: float | None = None

    @property
    def factor(self) -> float:
        """Ours over theirs."""
        return self.ours / self.published


@dataclasses.dataclass(frozen=True)
class Curves:
    """Rates of all protocols at all distances.

    Attributes:
        request: what was asked for.
        rates: by protocol id, one per distance.
        bound_bps: the repeaterless bound at each distance; infinite where nothing is lost.
        published: what the system achieved, and what we get.
        simulated: points from runs.
    """

    request: Request
    rates: Mapping[str, tuple[Rate, ...]]
    bound_bps: tuple[float, ...]
    published: tuple[Beside, ...]
    simulated: tuple[SimulatedPoint, ...] = ()


def asked(
    *,
    preset: str = "ghz",
    protocols: Sequence[str] = (),
    distances: str | None = None,
    block: str | None = None,
    optimise: bool = True,
    settings: Sequence[str] = (),
    simulate: str | None = None,
    seeds: int = SIMULATED_SEEDS,
    csv: Path | None = None,
    svg: Path | None = None,
) -> Request:
    """The request that options spell.

    Args:
        preset: its name.
        protocols: ids; none for the preset's.
        distances: in km, `0:200:5` or `10,50,100`; None for the preset's.
        block: `1e7` sifted bits, or `1e10 pulses`; None for the preset's.
        optimise: whether settings are chosen for each distance.
        settings: `path=value` each.
        simulate: distances in km to simulate, as `distances`.
        seeds: simulations per distance and protocol.
        csv: where the numbers are to be written; checked only.
        svg: where the figure is to be written; checked only.

    Raises:
        ScenarioError: everything that is wrong with the options.
    """
    faults: list[str] = [
        f"--{option} {path}: there is no folder {path.parent}"
        for option, path in (("csv", csv), ("svg", svg))
        if path is not None and not path.parent.is_dir()
    ]
    if svg is not None and svg.suffix not in (".svg", ".html"):
        faults.append(f"--svg {svg}: expected a name that ends in .svg or .html")

    def tried(make: Callable[[], _Made]) -> _Made | None:
        try:
            return make()
        except ScenarioError as error:
            faults.extend(error.faults)
            return None

    found = tried(lambda: find(preset))
    changes = tried(lambda: _changes(settings))
    block_change = tried(lambda: _block(block))
    chosen = tried(lambda: _protocols(protocols or (found.protocols if found else ("bb84",))))
    along_km = tried(lambda: _distances(distances, "--distances")) if distances is not None else None
    simulate_km = tried(lambda: _distances(simulate, "--simulate")) if simulate is not None else ()
    if seeds < 1:
        faults.append(f"--seeds: got {seeds}, expected at least 1")
    made = tried(lambda: found.system(changes)) if found and changes is not None else None
    if faults or not (found and made and chosen and block_change is not None):
        raise ScenarioError(faults)
    model, conditions = made
    return Request(
        found,
        changes or {},
        model,
        dataclasses.replace(conditions, **block_change),
        chosen,
        along_km or _steps(*found.distances_km),
        optimise,
        simulate_km or (),
        seeds,
    )


def _changes(settings: Sequence[str]) -> dict[str, str]:
    changes, faults = {}, []
    for setting in settings:
        path, equals, value = setting.partition("=")
        if not equals or not path.strip():
            faults.append(f"--set: got {shown(setting)}, expected PATH=VALUE, like link.misalignment=2 %")
        elif path.strip() == "link.length":
            faults.append("--set: link.length is what the rates are plotted against: use --distances")
        elif path.strip() not in PATHS:
            faults.append(f"--set: a rate has no {shown(path.strip())}{suggestion(path.strip(), PATHS)}")
        else:
            changes[path.strip()] = value.strip()
    if faults:
        raise ScenarioError(faults)
    return changes


def _protocols(ids: Sequence[str]) -> tuple[Protocol, ...]:
    faults = [
        f"--protocol: got {shown(name)}, expected {listed(PROTOCOLS)}{suggestion(name, PROTOCOLS)}"
        for name in ids
        if name not in PROTOCOLS
    ]
    if faults:
        raise ScenarioError(faults)
    return tuple(PROTOCOLS[name] for name in dict.fromkeys(ids))


def _number(text: str) -> float | None:
    """A plain number; None for anything else."""
    if number_trap(text):
        return None
    parts = split_quantity(text)
    return float(parts[0]) if parts and not parts[1] else None


def _block(text: str | None) -> dict[str, float]:
    """A block's size, as a change of the conditions."""
    if text is None:
        return {}
    parts = split_quantity(text)
    units = {"": "block_bits", "bit": "block_bits", "bits": "block_bits", "pulses": "block_pulses"}
    number = float(parts[0]) if parts else math.nan
    if parts is None or parts[1] not in units or not 1 <= number < math.inf:
        raise ScenarioError(
            [f"--block: got {shown(text)}, expected sifted bits, like 1e7, or pulses, like 1e10 pulses"]
        )
    return {units[parts[1]]: number}


def _distances(text: str, option: str) -> tuple[float, ...]:
    ranged = ":" in text
    numbers = [_number(part) for part in text.split(":" if ranged else ",")]
    wrong = f"{option}: got {shown(text)}, expected kilometres, like 0:200:5 or 10,50,100"
    if any(number is None or not 0 <= number <= FARTHEST_KM for number in numbers):
        raise ScenarioError([f"{wrong}, between 0 and {FARTHEST_KM:g}"])
    known = [number for number in numbers if number is not None]
    if not ranged:
        return tuple(sorted(set(known)))
    if len(known) != 3 or known[2] <= 0 or known[1] < known[0]:
        raise ScenarioError([f"{wrong}: begin, end and step, the step more than 0"])
    if (known[1] - known[0]) / known[2] >= MOST_DISTANCES:
        raise ScenarioError([f"{wrong}: at most {MOST_DISTANCES} distances"])
    return _steps(*known)


def _steps(begin: float, end: float, step: float) -> tuple[float, ...]:
    return tuple(begin + number * step for number in range(math.floor((end - begin) / step + 1e-9) + 1))


def curves(request: Request) -> Curves:
    """Compute what was asked for."""
    rates = {protocol.id: tuple(_rates(request, protocol)) for protocol in request.protocols}
    models = [dataclasses.replace(request.model, length_km=length) for length in request.distances_km]
    bound = tuple(plob(model.fibre_transmittance) * model.pulse_rate_hz for model in models)
    beside = tuple(
        Beside(p.what, p.value, p.ours(request.preset), p.unit, p.origin, p.length_km)
        for p in request.preset.published
    )
    simulated = tuple(
        simulated_point(rate, request.conditions, seeds=range(1, request.seeds + 1))
        for protocol in request.protocols
        for rate in _rates(dataclasses.replace(request, distances_km=request.simulate_km), protocol)
    )
    return Curves(request, rates, bound, beside, simulated)


def _rates(request: Request, protocol: Protocol) -> Iterable[Rate]:
    models = [dataclasses.replace(request.model, length_km=length) for length in request.distances_km]
    if request.optimise:
        return along(protocol, models, request.conditions)
    return (protocol.rate(protocol.fitted(model), request.conditions) for model in models)


Settings: TypeAlias = Mapping[str, Any]
Runner: TypeAlias = Callable[[str, int], Mapping[str, Any]]
"""Runs a scenario's text with a seed, and answers with the `link` part of its summary."""


def simulated_point(
    rate: Rate, conditions: Conditions, *, seeds: Sequence[int], runner: Runner | None = None
) -> SimulatedPoint:
    """The rate of a link's simulated twin, over seeds.

    Args:
        rate: whose link, settings and block are simulated.
        conditions: ε of the blocks.
        seeds: one run each, of one block.
        runner: runs the scenario; None for `scenarios.run` with the direct fabric, nothing written.

    Raises:
        ScenarioError: a scenario cannot say this link or this block, or no block was finished.
    """
    text = scenario_text(rate, conditions)
    link = [(runner or _run)(text, seed) for seed in seeds]
    if not all(one["pulses_sent"] for one in link):
        raise ScenarioError(
            [f"--simulate: at {rate.model.length_km:g} km no block was finished; expected a smaller --block"]
        )
    rates = [one["secret_bits"] / one["pulses_sent"] * rate.model.pulse_rate_hz for one in link]
    error = statistics.stdev(rates) / math.sqrt(len(rates)) if len(rates) > 1 else 0.0
    return SimulatedPoint(rate.protocol, rate.model.length_km, statistics.fmean(rates), error, len(rates))


def scenario_text(rate: Rate, conditions: Conditions) -> str:
    """The scenario of one block on a link without an eavesdropper and without queries.

    Raises:
        ScenarioError: blocks are endless, or the protocol is none that is simulated.
    """
    model = rate.model
    faults = []
    if not math.isfinite(rate.block_pulses):
        faults.append(f"--simulate: {rate.protocol} has endless blocks; expected a protocol with finite ones")
    if model.formulas != "threshold":
        faults.append(
            f"--simulate: got formulas={model.formulas}, expected threshold: the others are approximations"
        )
    if faults:
        raise ScenarioError(faults)
    pulses = math.ceil(rate.block_pulses)
    detector: dict[str, Any] = {
        "efficiency": model.detector_efficiency,
        "dark_counts": model.dark_counts,
    }
    if model.dead_time_s:
        detector["dead_time"] = f"{model.dead_time_s!r} s"
    if model.afterpulse:
        detector["afterpulse"] = model.afterpulse
        detector["afterpulse_lifetime"] = f"{model.afterpulse_lifetime_s!r} s"
    link: dict[str, Any] = {
        "protocol": "bb84",
        "grain": "sampled" if pulses > _DENSE_PULSES else "pulse",
        "pulse_rate": f"{model.pulse_rate_hz!r} Hz",
        "block_pulses": pulses,
        "length": f"{model.length_km!r} km",
        "attenuation": f"{model.attenuation_db_per_km!r} dB/km",
        "misalignment": model.misalignment,
        "detector": detector,
        "security": {"epsilon_sec": conditions.eps_sec, "epsilon_cor": conditions.eps_cor},
    }
    if model.background:
        link["background"] = model.background
    match model.source:
        case SinglePhotons():
            link["test_fraction"] = model.test_fraction
        case WeakPulses(intensities, probabilities):
            link["key_basis"] = model.key_basis
            link["test_fraction"] = _DECOY_SAMPLE
            link["source"] = {
                "kind": "weak-coherent",
                "intensities": list(intensities),
                "probabilities": list(probabilities),
            }
        case PairSource():
            raise ScenarioError([f"--simulate: {rate.protocol} is not simulated from here"])
    # One block and the conversation about it, which a second block would only make longer.
    light_s = pulses / model.pulse_rate_hz
    duration_s = max(1.9 * light_s, light_s + _CONVERSATION_S)
    scenario = {
        "duration": f"{duration_s!r} s",
        "fabric": "direct",
        "link": link,
        "classical": {
            "bandwidth": "10 Gbit/s"
        },  # so that the conversation about a large block takes no minutes
    }
    return json.dumps(scenario, indent=2)  # JSON is YAML


def _run(text: str, seed: int) -> Mapping[str, Any]:
    from scenarios.runner import run  # noqa: PLC0415  most rates simulate nothing, and need none of what a run needs

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rate.yaml"
        path.write_text(text, encoding="utf-8")
        link: Mapping[str, Any] = run(path, seed=seed, fabric="direct", write=False).summary["link"]
    return link
