"""The composition root: every value of a link's sections reaches the thing it is about."""

from __future__ import annotations

import dataclasses

import pytest

from netsim.random_streams import RandomStreams
from scenarios.loader import load_text
from scenarios.range import build, fabric_of, protocol_of, reconciliation_of, topology_of
from scenarios.schema import Scenario
from scenarios.sections import Defences, Detector, Link, Source

BASE = {
    "bb84": "duration: 1 s\nfabric: direct\nlink:\n  protocol: bb84\n",
    "weak": "duration: 1 s\nfabric: direct\nlink:\n  protocol: bb84\n  source:\n    kind: weak-coherent\n",
    "pairs": "duration: 1 s\nfabric: direct\nlink:\n  protocol: e91\n",
    "spdc": "duration: 1 s\nfabric: direct\nlink:\n  protocol: bbm92\n  source:\n    kind: spdc\n",
}

ACTS = {
    ("bb84", "link.protocol=six-state"),
    ("bb84", "link.grain=sampled"),
    ("bb84", "link.pulse_rate=5 MHz"),
    ("bb84", "link.block_pulses=500000"),
    ("bb84", "link.key_basis=70 %"),
    ("bb84", "link.length=30 km"),
    ("bb84", "link.attenuation=0.3 dB/km"),
    ("bb84", "link.misalignment=2 %"),
    ("bb84", "link.background=0.001"),
    ("bb84", "link.drift={rate: 0.1}"),
    ("bb84", "link.drift={rate: 0.1, tracking: 1 s}"),
    ("bb84", "link.drift={rate: 0.1, residual: 0.1}"),
    ("bb84", "link.coexistence={forward: 1 mW}"),
    ("bb84", "link.coexistence={backward: 1 mW}"),
    ("bb84", "link.coexistence={forward: 1 mW, cross_section: 1e-9}"),
    ("bb84", "link.coexistence={forward: 1 mW, filter_nm: 0.1}"),
    ("bb84", "link.loss_profile=[[0 s, 3 dB]]"),
    ("bb84", "link.satellite={altitude: 400 km}"),
    ("bb84", "link.satellite={elevation: 60}"),
    ("bb84", "link.satellite={begin: 5 s}"),
    ("bb84", "link.satellite={transmitter: 0.2 m}"),
    ("bb84", "link.satellite={receiver: 0.5 m}"),
    ("bb84", "link.satellite={optics: 3 dB}"),
    ("bb84", "link.test_fraction=10 %"),
    ("bb84", "link.detector.efficiency=50 %"),
    ("bb84", "link.detector.dark_counts=1e-5"),
    ("bb84", "link.detector.mismatch=90 %"),
    ("bb84", "link.detector.timing_mismatch=50 %"),
    ("bb84", "link.detector.dead_time=1 us"),
    ("bb84", "link.detector.afterpulse=1 %"),
    ("bb84", "link.detector.afterpulse_lifetime=2 us"),
    ("bb84", "link.detector.gate=100 ns"),
    ("bb84", "link.detector={gate: 100 ns, jitter: 60 ns}"),
    ("bb84", "link.detector.basis_choice=passive"),
    ("bb84", "link.reconciliation=ldpc"),
    ("bb84", "link.reconciliation=cascade-original"),
    ("bb84", "link.security.epsilon_sec=1e-9"),
    ("bb84", "link.security.epsilon_cor=1e-9"),
    ("bb84", "link.source.isolation=80 dB"),
    ("weak", "link.source={kind: weak-coherent, intensities: [0.4], probabilities: [1]}"),
    ("weak", "link.source.intensities=[0.6, 0.2, 0.0]"),
    ("weak", "link.source.probabilities=[0.5, 0.3, 0.2]"),
    ("weak", "link.source.fluctuation=5 %"),
    ("pairs", "link.source.position=middle"),
    ("pairs", "link.source.visibility=90 %"),
    ("pairs", "link.security.proof=device-independent"),
    ("spdc", "link.source.pair_mean=0.1"),
    ("bb84", "defences.authentication=false"),
    ("bb84", "defences.query_mac=false"),
    ("bb84", "defences.abort_above_qber=5 %"),
    ("pairs", "defences.abort_below_chsh=2.2"),
    ("bb84", "defences.attenuated_share=10 %"),
    ("bb84", "defences={attenuated_share: 10 %, attenuation: 20 %}"),
    ("bb84", "defences.power_monitor=true"),
    ("bb84", "defences.alarm={}"),
    ("bb84", "defences.alarm={false_alarm_rate: 1e-5}"),
    ("bb84", "defences.alarm={calibration_blocks: 7}"),
    ("bb84", "defences.alarm={tolerance: 1 %}"),
    ("bb84", "defences.alarm={abort: true}"),
}


def built(scenario: Scenario) -> tuple[object, ...]:
    """All that the link is made of, comparable."""
    streams = RandomStreams(1)
    with fabric_of(scenario, streams) as fabric:
        world = build(scenario, fabric, streams)
    link = world.alice.link
    knows = world.eve.knows
    graph = topology_of(scenario).graph
    alarm = world.bob.post.alarm
    return (
        type(link.protocol),
        dataclasses.astuple(protocol_of(scenario.link)) if dataclasses.is_dataclass(link.protocol) else (),
        dataclasses.replace(link, protocol=None),
        sorted((near, far, repr(data)) for near, far, data in graph.edges(data=True)),
        (knows.isolation_db, knows.behind, knows.efficiency),
        type(world.alice.post.pool),
        world.alice.post.entrance is not None,
        None if alarm is None else alarm.parameters,
        world.server is not None,
        scenario.defences.query_mac,
    )


@pytest.mark.parametrize(("base", "change"), sorted(ACTS))
def test_every_value_acts(base, change):
    """A scenario that differs in one value builds a different link."""
    usual = load_text(BASE[base], "usual.yaml")
    if change.startswith("link.drift={rate: 0.1,"):
        usual = load_text(BASE[base], "usual.yaml", ["link.drift={rate: 0.1}"])
    elif change.startswith("link.coexistence={forward: 1 mW,"):
        usual = load_text(BASE[base], "usual.yaml", ["link.coexistence={forward: 1 mW}"])
    elif change.startswith("link.satellite"):
        usual = load_text(BASE[base], "usual.yaml", ["link.satellite={}"])
    elif "jitter" in change:
        usual = load_text(BASE[base], "usual.yaml", ["link.detector.gate=100 ns"])
    elif "attenuation: 20" in change:
        usual = load_text(BASE[base], "usual.yaml", ["defences.attenuated_share=10 %"])
    elif change.startswith("defences.alarm={") and change != "defences.alarm={}":
        usual = load_text(BASE[base], "usual.yaml", ["defences.alarm={}"])
    assert built(load_text(BASE[base], "usual.yaml", [change])) != built(usual)


@pytest.mark.parametrize("base", sorted(BASE))
def test_the_same_scenario_builds_the_same_link(base):
    """What is compared above differs for no other reason."""
    for change in ([], ["defences.alarm={}"]):
        one, other = (built(load_text(BASE[base], "usual.yaml", change)) for _ in range(2))
        assert one == other


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("classical.latency=0 s", "cascade"),
        ("classical.latency=100 ms", "ldpc"),
        ("classical.jitter=500 ms", "ldpc"),
        ("link.length=20 km", "cascade"),
        ("link.block_pulses=1000", "ldpc"),
    ],
)
def test_the_code_is_chosen_by_latency(change, code):
    """Where rounds of Cascade take longer than a block's light, `auto` takes one-way LDPC; a code by name stays."""
    usual = ["link.length=1 km", "link.block_pulses=1000000", "link.pulse_rate=4 MHz"]
    assert (
        reconciliation_of(load_text(BASE["bb84"], "x", [*usual, "link.reconciliation=auto", change])).code
        == code
    )
    assert reconciliation_of(load_text(BASE["bb84"], "x", [*usual, change])).code == "cascade"


def test_no_value_is_forgotten():
    """Every key of the link, its source, its detectors and the defences is in the list above, but those of queries."""
    named = {change.partition("=")[0] for _, change in ACTS} | {
        f"{change.partition('=')[0]}.{key.partition(':')[0].strip(' {')}"
        for _, change in ACTS
        if "={" in change
        for key in change.partition("=")[2].split(",")
    }
    sections = {"link": Link, "link.source": Source, "link.detector": Detector, "defences": Defences}
    other = {"link.source", "link.detector", "link.security", "defences.patience", "defences.query_budget"}
    other |= {"defences.model", "defences.playbook"}  # the server's: see test_inference.py
    for path, section in sections.items():
        for name in section.model_fields:
            assert f"{path}.{name}" in named | other, f"{path}.{name}"
