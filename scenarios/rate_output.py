"""What `evelab rate` prints and writes: tables for 80 columns, JSON, CSV, and presets in full."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import textwrap
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from netsim.rates.link_model import PairSource, SinglePhotons, WeakPulses
from netsim.rates.protocols import Rate
from scenarios.presets import Preset
from scenarios.rate import Curves, Request
from scenarios.units import BIT_RATE, FREQUENCY, format_quantity


def compact(value: float) -> str:
    """Three digits and a prefix: 2.06M, 54.3k, 880, 250m; a dash for nothing."""
    if value <= 0:
        return "-"
    if not math.isfinite(value):
        return "inf"
    for scale, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u")):
        if value >= scale * 0.9995:
            return f"{value / scale:#.3g}".rstrip(".") + prefix
    return f"{value:.1e}"


def spelled(value: float, unit: str) -> str:
    """A published number, with all its digits."""
    return format_quantity(value, BIT_RATE) if unit == "bit/s" else f"{value:g} {unit}".strip()


def as_data(made: Curves) -> dict[str, Any]:
    """Everything, as JSON takes it: what is infinite is null."""
    request = made.request
    return {
        "preset": request.preset.name,
        "settings": request.preset.settings() | dict(request.changes),
        "optimised": request.optimise,
        "conditions": {
            name: _finite(value) for name, value in dataclasses.asdict(request.conditions).items()
        },
        "pulse_rate_hz": request.model.pulse_rate_hz,
        "rows": [
            {
                "distance_km": length,
                "plob_bps": _finite(made.bound_bps[number]),
                "rates": {name: _rate_data(rates[number]) for name, rates in made.rates.items()},
            }
            for number, length in enumerate(request.distances_km)
        ],
        "published": [{**dataclasses.asdict(beside), "factor": beside.factor} for beside in made.published],
        "simulated": [dataclasses.asdict(point) for point in made.simulated],
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _rate_data(rate: Rate) -> dict[str, Any]:
    model = rate.model
    settings: dict[str, Any] = {}
    match model.source:
        case WeakPulses(intensities, probabilities):
            settings = {"intensities": list(intensities), "probabilities": list(probabilities)}
            settings["key_basis"] = model.key_basis
        case PairSource(half_mean_pairs=pairs):
            settings = {"pair_mean": pairs}
        case SinglePhotons() if rate.protocol == "bb84":
            settings = {"test_fraction": model.test_fraction}
    return {
        "per_pulse": rate.per_pulse,
        "per_second_bps": rate.per_second_bps,
        "qber": rate.qber,
        "phase_error": rate.phase_error,
        "block_pulses": _finite(rate.block_pulses),
        "block_s": _finite(rate.block_s),
        "settings": settings,
        "account": rate.account,
    }


def as_csv(made: Curves) -> str:
    """One row per distance and protocol; an empty cell is infinite or not there."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        [
            "kind",
            "protocol",
            "distance_km",
            "per_pulse",
            "per_second_bps",
            "standard_error_bps",
            "qber",
            "phase_error",
            "block_pulses",
        ]
    )
    rate_hz = made.request.model.pulse_rate_hz
    for length, bound in zip(made.request.distances_km, made.bound_bps, strict=True):
        per_second = _finite(bound)
        per_pulse = None if per_second is None else per_second / rate_hz
        writer.writerow(["bound", "plob", length, per_pulse, per_second, None, None, None, None])
    for name, rates in made.rates.items():
        for rate in rates:
            key = (rate.per_pulse, rate.per_second_bps, None)
            proof = (rate.qber, rate.phase_error, _finite(rate.block_pulses))
            writer.writerow(["analytic", name, rate.model.length_km, *key, *proof])
    for point in made.simulated:
        measured = (point.mean_bps / rate_hz, point.mean_bps, point.standard_error_bps)
        writer.writerow(["simulated", point.protocol, point.length_km, *measured, None, None, None])
    return text.getvalue()


def write(path: Path, text: str) -> None:
    """Write a file whole or not at all.

    Raises:
        OSError: it could not be written; what was there is as it was.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8", newline="\n")
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def printed(made: Curves) -> str:
    """The tables for a terminal of 80 columns."""
    request = made.request
    lines = [*_heading(request), ""]
    columns = [("PLOB", [compact(bound) for bound in made.bound_bps])]
    columns += [
        (name, [compact(rate.per_second_bps) for rate in rates]) for name, rates in made.rates.items()
    ]
    lines += _distance_table(request.distances_km, columns)
    silent = [
        (name, rates) for name, rates in made.rates.items() if not any(rate.per_pulse for rate in rates)
    ]
    if silent:
        why = [f"{name} at {rates[0].model.length_km:g} km: {rates[0].account}" for name, rates in silent]
        lines += ["", *_wrapped(why)]
    if made.simulated:
        lines += ["", "simulated, bit/s: mean ± standard error over the seeds"]
        for point in made.simulated:
            spread = f"{compact(point.mean_bps)} ± {compact(point.standard_error_bps)}"
            lines.append(f"{point.protocol:<18}{point.length_km:>7g} km  {spread} ({point.seeds} seeds)")
    if made.published:
        lines += [
            "",
            f"published, and ours with {request.preset.name}'s values (settings not told: the best)",
        ]
        lines.append(f"{'':<42}{'printed':>10}{'ours':>10}{'factor':>9}")
        for one in made.published:
            what = f"{one.what}{', ' + one.unit if one.unit else ''}"
            theirs, ours = (
                (compact(value) if one.unit == "bit/s" else f"{value:.5g}")
                for value in (one.published, one.ours)
            )
            lines.append(f"{what:<42}{theirs:>10}{ours:>10}{one.factor:>9.2f}")
    assumed = sum(parameter.assumed for parameter in request.preset.parameters)
    if assumed:
        preset = request.preset
        seen = f"{assumed} of {len(preset.parameters)} values are assumed"
        lines += ["", f"{seen}: evelab rate --preset {preset.name} --show"]
    return "\n".join(lines)


def shown_preset(preset: Preset) -> str:
    """A preset's values, each with where it is from, and what was published; for 80 columns."""
    lines = [f"{preset.name}: {preset.about}", preset.source, ""]
    for p in preset.parameters:
        lines += [f"{p.path:<36}{p.value}", f"    {p.origin}"]
    for one in preset.published:
        lines += [
            "",
            f"published: {one.what}, {spelled(one.value, one.unit)}",
            f"    {one.origin}",
        ]
    return "\n".join(_wrapped(lines))


def _wrapped(lines: Iterable[str]) -> list[str]:
    folded: list[str] = []
    for line in lines:
        indent = " " * (len(line) - len(line.lstrip()))
        folded += textwrap.wrap(line, 79, subsequent_indent=indent or "  ") or [""]
    return folded


def _heading(request: Request) -> list[str]:
    c, model = request.conditions, request.model
    block = (
        f"{c.block_pulses:.3g} pulses" if c.block_pulses is not None else f"{c.block_bits:.3g} sifted bits"
    )
    link = (
        f"{request.preset.name}: {format_quantity(model.pulse_rate_hz, FREQUENCY, 3)}, {model.attenuation_db_per_km:g} dB/km, "
        f"η_Bob {model.detector_efficiency:.3g}, dark {model.dark_counts:.2g}, e_d {model.misalignment:.3g}"
    )
    how = "settings optimised" if request.optimise else "settings as given"
    finite = any(protocol.finite for protocol in request.protocols)
    blocks = f"blocks of {block}, ε_sec = {c.eps_sec:g}" if finite else "endless blocks"
    return [link, f"{blocks}, f = {c.f:g}; {how}", "secret key rate, bit/s"]


def _distance_table(distances_km: Sequence[float], columns: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Rows of distances; headings are broken at hyphens, and columns that do not fit go into a further table."""
    widest = 80
    lines: list[str] = []
    rest = list(columns)
    while rest:
        taken: list[tuple[list[str], int, Sequence[str]]] = []
        room = widest - 6
        while rest:
            name, cells = rest[0]
            heads = name.replace("-", "-\n", 1).split("\n") if "-" in name else [name]
            width = 2 + max(len(word) for word in (*heads, *cells))
            if taken and width > room:
                break
            room -= width
            taken.append((heads, width, cells))
            rest.pop(0)
        for level in (0, 1):
            words = [(heads if len(heads) > 1 else ["", *heads])[level] for heads, _, _ in taken]
            line = f"{'km' if level else '':>6}" + "".join(
                f"{word:>{t[1]}}" for word, t in zip(words, taken, strict=True)
            )
            if line.strip():
                lines.append(line.rstrip())
        for number, length in enumerate(distances_km):
            lines.append(f"{length:>6g}" + "".join(f"{cells[number]:>{width}}" for _, width, cells in taken))
        if rest:
            lines.append("")
    return lines
