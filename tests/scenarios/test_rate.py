"""`evelab rate`: options, tables, files, the figure, and simulated points beside the lines."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
import re
import xml.etree.ElementTree as ET

import pytest
from typer.testing import CliRunner

from netsim.errors import ScenarioError
from netsim.key_length.asymptotic import plob
from netsim.rates.link_model import SinglePhotons, WeakPulses
from netsim.rates.protocols import PROTOCOLS, Conditions
from scenarios.cli import app
from scenarios.presets import PRESETS, system
from scenarios.rate import Curves, SimulatedPoint, asked, curves, scenario_text, simulated_point
from scenarios.rate_figure import figure, page, standalone
from scenarios.rate_output import as_csv, as_data, compact, printed, shown_preset

QUICK = {"protocols": ["decoy-asymptotic", "bb84"], "distances": "0:100:25"}
EVERY = {"protocols": list(PROTOCOLS), "distances": "0,50,150", "optimise": False}


@pytest.fixture(scope="module")
def quick() -> Curves:
    """Two protocols at five distances, optimised."""
    return curves(asked(**QUICK))


@pytest.fixture(scope="module")
def every() -> Curves:
    """All protocols, not optimised, with two simulated points."""
    made = curves(asked(**EVERY))
    points = (SimulatedPoint("bb84", 50.0, 7e6, 3e5, 5), SimulatedPoint("bb84-decoy2", 150.0, 0.0, 0.0, 5))
    return dataclasses.replace(made, simulated=points)


def evelab(*args: str):
    """The result of a command in this process."""
    return CliRunner().invoke(app, ["rate", *args])


def test_distances_are_ranges_or_lists():
    """A range takes in its end, a list is sorted and each distance taken once; presets have their own."""
    assert asked(distances="0:10:2.5").distances_km == (0.0, 2.5, 5.0, 7.5, 10.0)
    assert asked(distances="0:1:0.1").distances_km[-1] == pytest.approx(1.0)
    assert asked(distances="50,10,50").distances_km == (10.0, 50.0)
    assert asked(preset="boaron-2018").distances_km[0] == 200.0


def test_blocks_are_bits_or_pulses():
    """A bare number is sifted bits; pulses are said."""
    assert asked(block="1e6").conditions.block_bits == 1e6
    assert asked(block="1e6 bits").conditions.block_pulses is None
    assert asked(block="2e9 pulses").conditions.block_pulses == 2e9


def test_every_wrong_option_is_told_at_once(tmp_path):
    """Each wrong option has its line: what was got and what was expected."""
    with pytest.raises(ScenarioError) as caught:
        asked(
            protocols=["bb84", "bb48"],
            distances="5:1:1",
            block="many",
            settings=["link.misalignment", "link.length=5 km", "link.detector.efficency=1"],
            simulate="0,x",
            seeds=0,
            csv=tmp_path / "no" / "rates.csv",
            svg=tmp_path / "rates.png",
        )
    text = "\n".join(caught.value.faults)
    assert len(caught.value.faults) == 10
    for words in (
        "--protocol: got bb48",
        "did you mean bb84?",
        "--distances: got 5:1:1",
        "--block: got many, expected sifted bits",
        "expected PATH=VALUE",
        "link.length is what the rates are plotted against",
        "did you mean link.detector.efficiency?",
        "--simulate: got 0,x",
        "--seeds: got 0",
        "there is no folder",
        "ends in .svg or .html",
    ):
        assert words in text


@pytest.mark.parametrize(
    "distances", ["", "1:2", "0:1:0", "0:3000:1", "-5", "0:2000:0.5", "1e400", "nan", "5 km"]
)
def test_distances_that_cannot_be_are_refused(distances):
    """Nothing that is no distance gets through."""
    with pytest.raises(ScenarioError, match="--distances"):
        asked(distances=distances)


def test_the_bound_is_above_every_rate(quick):
    """The repeaterless bound is −log2(1 − η) times the pulse rate, and no rate exceeds it."""
    for number, length in enumerate(quick.request.distances_km):
        expected = plob(10 ** (-0.02 * length)) * 1e9
        assert quick.bound_bps[number] == pytest.approx(expected)
        assert all(rates[number].per_second_bps < expected for rates in quick.rates.values())


def test_optimised_is_never_less():
    """Chosen settings give at least what fixed ones give."""
    request = asked(preset="lim-2014", distances="0:100:50", block="1e6")
    best = curves(dataclasses.replace(request, optimise=True)).rates["bb84-decoy2"]
    fixed = curves(dataclasses.replace(request, optimise=False)).rates["bb84-decoy2"]
    assert all(a.surplus >= b.surplus for a, b in zip(best, fixed, strict=True))


def test_the_table_fits_eighty_columns(every):
    """No line is wider than a terminal, every distance has its row in each table, and no key is a dash with a reason."""
    lines = printed(every).splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split()[0] for line in lines if re.match(r" +\d+ ", line)] == ["0", "50", "150"]
    assert any(line.startswith("e91-di at 0 km: no key") for line in lines)
    assert any("7.00M ± 300k (5 seeds)" in line for line in lines)


@pytest.mark.parametrize("name", PRESETS)
def test_every_presets_tables_fit_eighty_columns(name):
    """Heading, rates and published numbers of each preset fit a terminal."""
    lines = printed(curves(asked(preset=name, distances="10,300", optimise=False))).splitlines()
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_in_full_fits_eighty_columns(name):
    """Every value is there with its origin, folded to the terminal."""
    text = shown_preset(PRESETS[name])
    assert max(map(len, text.splitlines())) <= 80
    for parameter in PRESETS[name].parameters:
        assert parameter.path in text
        assert parameter.origin[:40].split(";")[0] in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "-"),
        (2.06e6, "2.06M"),
        (1e9, "1.00G"),
        (999.9, "1.00k"),
        (54321, "54.3k"),
        (880, "880"),
        (0.25, "250m"),
        (math.inf, "inf"),
        (1e-9, "1.0e-09"),
    ],
)
def test_numbers_are_short(value, text):
    """Three digits and a prefix."""
    assert compact(value) == text


def test_json_is_one_finite_object(every):
    """All of it is JSON without infinities, with a row for each distance and a rate for each protocol."""
    data = json.loads(json.dumps(as_data(every), allow_nan=False))
    assert [row["distance_km"] for row in data["rows"]] == [0, 50, 150]
    assert data["rows"][0]["plob_bps"] is None
    assert all(set(row["rates"]) == set(PROTOCOLS) for row in data["rows"])
    assert data["rows"][1]["rates"]["bb84-decoy2"]["settings"]["intensities"] == [0.5, 0.15, 2e-4]
    assert data["simulated"][0]["standard_error_bps"] == 3e5


def test_csv_has_every_number(every):
    """The bound, the analytic rates and the simulated points are rows of one table."""
    rows = list(csv.DictReader(io.StringIO(as_csv(every))))
    kinds = [row["kind"] for row in rows]
    assert (kinds.count("bound"), kinds.count("analytic"), kinds.count("simulated")) == (
        3,
        3 * len(PROTOCOLS),
        2,
    )
    six = next(r for r in rows if r["protocol"] == "six-state" and r["distance_km"] == "50.0")
    assert float(six["per_second_bps"]) == every.rates["six-state"][1].per_second_bps


def test_the_figure_is_well_formed_and_alone(every):
    """The SVG parses, draws a curve for each protocol with key and a whiskered dot, and fetches nothing."""
    text = standalone(every)
    root = ET.fromstring(text)  # noqa: S314  our own output
    classes = [element.get("class", "") for element in root.iter()]
    keyed = [n for n, rates in enumerate(every.rates.values()) if any(r.per_pulse for r in rates)]
    for number in keyed:
        assert classes.count(f"curve s{number}") == 2  # the line, and its legend
    assert "dot s0" in classes
    assert "whisker s0" in classes
    assert "curve bound" in classes
    assert "no key" in text
    assert not re.search(r"(?:href|src|url\(|@import)", text)
    assert "prefers-color-scheme: dark" in text


def test_the_figure_draws_nothing_outside(every):
    """All points of all curves lie within the plot."""
    box = [float(n) for n in re.search(r'viewBox="([^"]+)"', figure(every))[1].split()]
    for d in re.findall(r'd="([^"]+)" class="curve', figure(every)):
        for x, y in re.findall(r"[ML](-?[\d.]+) (-?[\d.]+)", d):
            assert 0 <= float(x) <= box[2]
            assert 0 <= float(y) <= box[3]


@pytest.mark.parametrize(
    ("protocol", "distances", "settings"),
    [
        ("e91-di", "0,10", []),
        ("six-state", "0", []),
        ("six-state", "0:10:5", ["link.attenuation=0 dB/km"]),
        ("bb84-decoy1", "300", ["link.attenuation=5 dB/km"]),
    ],
)
def test_the_figure_does_without(protocol, distances, settings):
    """A figure of dead protocols, of one distance or of fibre without loss is still a figure."""
    made = curves(asked(protocols=[protocol], distances=distances, settings=settings, optimise=False))
    ET.fromstring(figure(made))  # noqa: S314  our own output
    assert max(map(len, printed(made).splitlines())) <= 80
    json.dumps(as_data(made), allow_nan=False)


def test_the_page_says_where_values_are_from():
    """The page has every parameter, marks what the call changed, and shows the published numbers."""
    made = curves(asked(preset="gys-2004", distances="0:100:50", settings=["link.misalignment=1 %"]))
    text = page(made)
    assert "changed in this call" in text
    assert "Phys. Rev. A 72, 012326" in text
    assert "142.05 km" in text


# Simulation.


def answering(bits):
    """A runner that gives these secret bits of a million pulses, seed by seed."""
    return lambda _, seed: {"secret_bits": bits[seed], "pulses_sent": 1_000_000}


def test_a_simulated_point_is_a_mean_with_its_error():
    """Mean and standard error are those of the seeds' rates; a single seed has no error."""
    rate = PROTOCOLS["bb84"].rate(system({"link.pulse_rate": "1 MHz"})[0], Conditions(block_pulses=1e6))
    point = simulated_point(rate, Conditions(), seeds=(0, 1, 2), runner=answering([100, 110, 120]))
    assert (point.mean_bps, point.seeds) == (pytest.approx(110), 3)
    assert point.standard_error_bps == pytest.approx(10 / math.sqrt(3))
    assert simulated_point(rate, Conditions(), seeds=(1,), runner=answering([1, 2])).standard_error_bps == 0


def test_the_scenario_says_the_link():
    """The twin's text has the rate's own settings, and a decoy link its intensities and bias."""
    model, conditions = PRESETS["ghz"].system(
        {
            "link.detector.dead_time": "10 ns",
            "link.detector.afterpulse": "2 %",
            "link.background": "1e-6",
        }
    )
    model = dataclasses.replace(
        model, length_km=50.0, key_basis=0.9, source=WeakPulses((0.5, 0.1), (0.8, 0.2))
    )
    link = json.loads(scenario_text(PROTOCOLS["bb84-decoy1"].rate(model, conditions), conditions))["link"]
    assert link["source"] == {"kind": "weak-coherent", "intensities": [0.5, 0.1], "probabilities": [0.8, 0.2]}
    assert (link["grain"], link["background"]) == ("sampled", 1e-6)
    assert (link["key_basis"], link["length"], link["detector"]["dead_time"]) == (0.9, "50.0 km", "1e-08 s")
    single = dataclasses.replace(model, source=SinglePhotons())
    link = json.loads(scenario_text(PROTOCOLS["bb84"].rate(single, conditions), conditions))["link"]
    assert "source" not in link
    assert link["test_fraction"] == 0.2


def test_what_cannot_be_simulated_is_refused():
    """Endless blocks and approximate formulas have no twin."""
    model, conditions = PRESETS["gys-2004"].system()
    rate = PROTOCOLS["vacuum-weak"].rate(model, conditions)
    with pytest.raises(ScenarioError, match=r"endless blocks.*\n.*formulas=ma-2005"):
        scenario_text(rate, conditions)


def test_a_run_without_a_finished_block_is_no_point():
    """Nothing is divided by no pulses: the call is refused instead."""
    rate = PROTOCOLS["bb84"].rate(system({})[0], Conditions(block_pulses=1e6))
    with pytest.raises(ScenarioError, match="no block was finished"):
        simulated_point(
            rate, Conditions(), seeds=(1,), runner=lambda *_: {"secret_bits": 0, "pulses_sent": 0}
        )


@pytest.mark.slow
def test_simulated_decoys_lie_on_their_line():
    """A sampled gigahertz link with one decoy gives the analytic rate within six per cent."""
    made = curves(asked(protocols=["bb84-decoy1"], distances="100", block="1e6", simulate="100", seeds=2))
    assert made.simulated[0].mean_bps == pytest.approx(made.rates["bb84-decoy1"][0].per_second_bps, rel=0.06)


@pytest.mark.slow
def test_simulated_bb84_lies_on_its_line():
    """A million simulated pulses give the analytic rate, within two per cent: reconciliation's f differs from run to run."""
    request = asked(
        protocols=["bb84"],
        distances="5",
        block="1e6 pulses",
        simulate="5",
        seeds=2,
        settings=["link.pulse_rate=1 MHz"],
    )
    made = curves(request)
    assert made.simulated[0].mean_bps == pytest.approx(made.rates["bb84"][0].per_second_bps, rel=0.02)


# The command.


def test_the_command_prints_and_writes(tmp_path):
    """Table on stdout, files where they were asked for, nothing else left behind."""
    table, picture = tmp_path / "rates.csv", tmp_path / "rates.html"
    result = evelab(
        "--protocol", "six-state", "--distances", "0:50:25", "--csv", str(table), "--svg", str(picture)
    )
    assert result.exit_code == 0
    assert "six-state" in result.stdout.replace("\n", "") or "state" in result.stdout
    assert table.read_text(encoding="utf-8").startswith("kind,protocol,distance_km")
    assert picture.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["rates.csv", "rates.html"]


def test_the_command_prints_one_json_object():
    """`--json` is one object; settings given win."""
    result = evelab(
        "--protocol", "six-state", "--distances", "10", "--json", "--set", "link.misalignment=3 %"
    )
    data = json.loads(result.stdout)
    assert data["settings"]["link.misalignment"] == "3 %"
    assert data["rows"][0]["rates"]["six-state"]["qber"] == pytest.approx(0.03, abs=1e-3)


def test_the_command_refuses_with_status_two():
    """Wrong options end with status 2 and every fault on its line."""
    result = evelab("--preset", "nobody", "--protocol", "x", "--block", "-1")
    assert result.exit_code == 2
    assert len(result.stderr.splitlines()) == 3


def test_the_command_shows_a_preset():
    """`--show` prints the preset and computes nothing."""
    result = evelab("--preset", "li-2023", "--show")
    assert result.exit_code == 0
    assert "115.8 Mbit/s" in result.stdout
