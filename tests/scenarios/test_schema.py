"""The schema: defaults, the timeline made from the catalogue, contradictions, and both ways out of it."""

from __future__ import annotations

import copy
import dataclasses
import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from nodes.attacks.catalogue import CATALOGUE
from nodes.attacks.channel import InterceptResend
from nodes.attacks.classical import Tamper
from nodes.attacks.environment import AddedDelay
from scenarios.loader import LIBRARY, load, load_text
from scenarios.schema import Scenario, TimelineEntry, json_schema, resolved
from scenarios.sections import PROTOCOLS

E91 = {"name": "x", "duration": "10 s", "link": {"protocol": "e91"}}
BB84 = {"name": "x", "duration": "10 s", "link": {"protocol": "bb84"}}

DECOYS = {
    **BB84,
    "link": {
        "protocol": "bb84",
        "grain": "sampled",
        "block_pulses": 10**9,
        "source": {
            "kind": "weak-coherent",
            "intensities": [0.5, 0.1, 0.0002],
            "probabilities": [0.6, 0.3, 0.1],
        },
    },
}

MDI = {
    **BB84,
    "link": {"protocol": "mdi", "grain": "sampled", "source": DECOYS["link"]["source"]},
}
WEAK = {**BB84, "link": {"protocol": "bb84", "source": {"kind": "weak-coherent", "intensities": [0.1]}}}
EVERY_PROTOCOL = [
    *({**BB84, "name": protocol, "link": {"protocol": protocol}} for protocol in ("bbm92", "six-state")),
    {**MDI, "name": "mdi"},
    {**E91, "name": "spdc", "link": {"protocol": "bbm92", "source": {"kind": "spdc", "pair_mean": 0.02}}},
    {**BB84, "name": "biased", "link": {"protocol": "bb84", "key_basis": "95 %"}},
    {
        **DECOYS,
        "name": "one-decoy",
        "link": {
            "protocol": "bb84",
            "source": {"kind": "weak-coherent", "intensities": [0.5, 0.15], "probabilities": [0.7, 0.3]},
            "detector": {
                "dead_time": "100 ns",
                "afterpulse": "2 %",
                "jitter": "50 ps",
                "gate": "200 ps",
                "mismatch": "90 %",
                "timing_mismatch": "80 %",
                "basis_choice": "passive",
            },
            "background": 1e-5,
        },
        "defences": {"attenuated_share": "10 %", "alarm": {"abort": True, "tolerance": "10 %"}},
    },
]

EVERYTHING: dict[str, Any] = {
    "name": "all-of-it",
    "about": "every key away from its default",
    "seed": 7,
    "duration": "20 s",
    "fabric": "direct",
    "link": {
        "protocol": "e91",
        "grain": "qubit",
        "pulse_rate": "333 kHz",
        "block_pulses": 5000.0,
        "length": "12.345 km",
        "attenuation": "0.17 dB/km",
        "misalignment": "0.7 %",
        "test_fraction": 0.123456789,
        "source": {"position": "middle", "visibility": "97.3 %"},
        "detector": {"efficiency": "57 %", "dark_counts": 3e-7},
        "security": {"epsilon_sec": 1e-9, "epsilon_cor": 1e-15, "proof": "device-independent"},
    },
    "classical": {
        "bandwidth": "1 Gbit/s",
        "latency": "1.5 ms",
        "jitter": "30 us",
        "loss": "0.01 %",
        "timeout": "0.3 s",
    },
    "eve": {"position": "500 m"},
    "keys": {"preshared": "8192 bit", "request_latency": "2 ms"},
    "queries": {"clients": 3, "arrivals": "periodic", "rate": "2 Hz", "start": "1 s", "timeout": "1 min"},
    "server": {
        "workers": 2,
        "service_time": "3 ms",
        "queue": 0,
        "lan_latency": "0 s",
        "training": {"samples": 50, "distance": 2},
    },
    "defences": {
        "authentication": False,
        "query_mac": False,
        "abort_above_qber": None,
        "abort_below_chsh": None,
        "patience": "100 ms",
        "query_budget": 50,
    },
    "timeline": [
        {"at": "0 s", "action": "model.flip_labels", "fraction": "10 %", "how": "targeted"},
        {"at": "1 s", "until": "2 s", "action": "eve.tamper", "messages": ["query", "answer"], "bits": 3},
        {"at": "1 s", "action": "network.delay", "delay": "7 ms", "hop": "bob-server"},
    ],
    "expect": ["qber during 3 s..6 s > 15 %", "eve.detected == true"],
}


def faults(data: Any) -> dict[str, str]:
    """Dotted path → message of every fault in `data`."""
    with pytest.raises(ValidationError) as caught:
        Scenario.model_validate(data)
    return {".".join(map(str, error["loc"])): error["msg"] for error in caught.value.errors()}


def with_values(base: dict[str, Any], **values: Any) -> dict[str, Any]:
    """A copy of `base` with values at paths whose dots are written as double underscores."""
    data = json.loads(json.dumps(base))
    for path, value in values.items():
        *sections, key = path.split("__")
        place = data
        for section in sections:
            place = place.setdefault(section, {})
        place[key] = value
    return data


def test_defaults():
    """A scenario of the two required values has the documented defaults, in canonical units."""
    scenario = Scenario.model_validate(BB84)
    assert (scenario.seed, scenario.duration, scenario.fabric, scenario.about) == (1, 10.0, "qunetsim", "")
    link = scenario.link
    assert (link.grain, link.pulse_rate, link.block_pulses, link.length) == ("pulse", 4e6, 1_000_000, 25.0)
    assert (link.attenuation, link.misalignment, link.test_fraction) == (0.2, 0.01, 0.2)
    assert (link.detector.efficiency, link.detector.dark_counts) == (0.8, 1e-6)
    security = link.security
    assert (security.epsilon_sec, security.epsilon_cor, security.proof) == (1e-10, 1e-10, "trusted")
    assert (link.source.position, link.source.visibility) == ("alice", 0.98)
    classical = scenario.classical
    assert (classical.bandwidth, classical.latency, classical.jitter, classical.loss) == (1e8, 0.0, 0.0, 0.0)
    assert classical.timeout == 1.0
    assert (scenario.eve.position, scenario.keys.preshared, scenario.keys.request_latency) == (
        0.0,
        4096,
        1e-3,
    )
    assert (scenario.queries, scenario.timeline, scenario.expect) == (None, (), ())
    defences = scenario.defences
    assert (defences.authentication, defences.query_mac, defences.patience) == (True, True, 2.0)
    assert (defences.abort_above_qber, defences.abort_below_chsh, defences.query_budget) == (0.11, 2.0, None)


def test_defaults_of_queries():
    """An empty queries section means one client, and a server with its defaults."""
    scenario = Scenario.model_validate({**BB84, "queries": {}})
    queries, server = scenario.queries, scenario.server
    assert queries is not None
    assert (queries.clients, queries.arrivals, queries.rate) == (1, "poisson", 5.0)
    assert (queries.start, queries.timeout) == (0.0, 2.0)
    assert (server.workers, server.service_time, server.queue, server.lan_latency) == (1, 2e-3, 100, 1e-4)
    assert (server.training.samples, server.training.distance) == (200, 3.2)


def test_timeline_entries_hold_built_actions():
    """An entry holds its times in seconds and the catalogue's dataclass, in canonical units."""
    timeline = Scenario.model_validate(EVERYTHING).timeline
    assert timeline[1] == TimelineEntry(1.0, 2.0, Tamper(messages=("query", "answer"), bits=3, fraction=1.0))
    assert timeline[2] == TimelineEntry(1.0, None, AddedDelay(delay=0.007, jitter=0.0, hop="bob-server"))


def place_for(name: str) -> dict[str, Any]:
    """A scenario in which an action finds what it needs."""
    needs = CATALOGUE[name].needs
    if "relay" in needs:
        return MDI
    if "passive basis choice" in needs:
        return with_values(BB84, link__detector__basis_choice="passive")
    if "timing mismatch" in needs:
        return with_values(BB84, link__detector__timing_mismatch="90 %")
    if "weak pulses" in needs:
        return DECOYS
    return BB84 if "prepared" in needs else E91


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_action_of_the_catalogue_can_be_used(name: str):
    """Each action builds from its required parameters alone, and every default is within its own limits."""
    example = {"s": "1 ms", "fraction": "1 %", "number": 2, "bit": "8 bit", "flag": True}
    required = {
        field.name: unit.choices[0] if unit.choices else example[unit.dimension]
        for field, unit in CATALOGUE[name].parameters()
        if field.default is dataclasses.MISSING
    }
    data = {**place_for(name), "queries": {}, "timeline": [{"at": "0 s", "action": name, **required}]}
    scenario = Scenario.model_validate(data)
    assert type(scenario.timeline[0].action) is CATALOGUE[name]
    assert (
        Scenario.model_validate(resolved(scenario)) == scenario
    )  # reads every default as a file would give it


def test_is_immutable():
    """A scenario cannot be changed after it was judged."""
    scenario = Scenario.model_validate(BB84)
    with pytest.raises(ValidationError, match="frozen"):
        scenario.link.length = 3.0


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("duration", "0 s", "got 0 s, expected more than 0 s"),
        ("seed", -1, "got -1, expected an integer, at least 0"),
        ("seed", 1.5, "got 1.5, expected an integer"),
        ("seed", "5", "got 5, expected an integer, at least 0 (write it without quotes)"),
        ("seed", True, "got true, expected an integer, at least 0"),
        ("name", "Two Words", "got Two Words, expected a name of small letters, digits and hyphens"),
        ("name", 5, "got 5, expected a name of small letters, digits and hyphens: put it in quotes"),
        ("about", ["x"], "got a list, expected text"),
        ("link", None, "got nothing, expected a mapping with protocol"),
        (
            "eve",
            None,
            "got nothing, expected a mapping with keys such as position (write {} for its defaults",
        ),
        ("link__block_pulses", 15, "expected an integer, at least 16 and at most 1e+13"),
        ("link__pulse_rate", "0 Hz", "got 0 Hz, expected more than 0 Hz"),
        ("link__length", "-1 km", "got -1 km, expected at least 0 km"),
        ("link__misalignment", "51 %", "got 51 %, expected at least 0 % and at most 50 %"),
        ("link__test_fraction", 1, "got 1, expected more than 0 % and less than 100 %"),
        ("link__detector__efficiency", 0, "got 0, expected more than 0 % and at most 100 %"),
        ("link__detector__dark_counts", 1, "got 1, expected at least 0 % and less than 100 %"),
        ("link__source__visibility", "101 %", "got 101 %, expected"),
        ("classical__loss", "100 %", "got 100 %, expected at least 0 % and less than 100 %"),
        ("keys__preshared", "600.5 bit", "expected a whole number"),
        ("queries__clients", 1001, "expected an integer, at least 1 and at most 1000"),
        ("queries__rate", "0 /s", "got 0 /s, expected more than 0 /s"),
        ("server__training__distance", 0, "got 0, expected a number, more than 0"),
        ("defences__abort_above_qber", 0.6, "got 0.6, expected at least 0 % and at most 50 %"),
        ("defences__abort_below_chsh", "2", "(write it without quotes)"),
        ("defences__query_mac", "off", "got off, expected a boolean: write true or false"),
        ("timeline", {}, "got a mapping, expected a list"),
        ("timeline", "x", "got x, expected a list"),
        ("expect", "qber < 1 %", "got qber < 1 %, expected a list"),
    ],
)
def test_values_out_of_range_or_of_the_wrong_type(path: str, value: Any, message: str):
    """A value outside its limits, or of another type, is a fault at its own path and the only one."""
    base = {**E91, "queries": {}} if path.startswith("server") else E91
    found = faults(with_values(base, **{path: value}))
    assert list(found) == [path.replace("__", ".")]
    assert message in found[path.replace("__", ".")]


def link_of(protocol: str, **values: Any) -> dict[str, Any]:
    """A scenario of a protocol, with values in its link."""
    base = {**BB84, "link": {"protocol": protocol}}
    return with_values(base, **{f"link__{path}": value for path, value in values.items()})


USELESS = "of no use with {}: remove it"
CONTRADICTIONS = [
    # the source
    *(
        (
            link_of(protocol, source__kind="weak-coherent"),
            {},
            "link.source.kind",
            f"got weak-coherent with {protocol}, expected protocol: bb84 for it",
        )
        for protocol in ("e91", "bbm92", "six-state")
    ),
    *(
        (
            link_of(protocol, source__kind="spdc"),
            {},
            "link.source.kind",
            f"got spdc with {protocol}, which prepares its pulses one by one, expected e91 or bbm92 for it",
        )
        for protocol in ("bb84", "six-state")
    ),
    *(
        (base, {f"link__source__{name}": value}, f"link.source.{name}", USELESS.format(what))
        for base, what, values in (
            (BB84, "bb84", {"position": "alice", "visibility": "90 %", "pair_mean": 0.05}),
            (BB84, "bb84", {"intensities": [0.1], "probabilities": [1], "fluctuation": "1 %"}),
            (
                E91,
                "e91",
                {"intensities": [0.1], "fluctuation": "1 %", "isolation": "50 dB", "pair_mean": 0.05},
            ),
            (link_of("bbm92"), "bbm92", {"isolation": "50 dB", "pair_mean": 0.05}),
            (link_of("six-state"), "six-state", {"visibility": "90 %", "intensities": [0.1]}),
            (DECOYS, "bb84 and a weak-coherent source", {"pair_mean": 0.05, "visibility": 1}),
            (
                link_of("bbm92", source__kind="spdc"),
                "bbm92 and a spdc source",
                {"intensities": [0.1], "isolation": "50 dB"},
            ),
        )
        for name, value in values.items()
    ),
    # intensities and probabilities
    *(
        (
            link_of(
                "bb84", source__kind="weak-coherent", source__probabilities=[0.7, 0.2, 0.1][: len(means)]
            ),
            {"link__source__intensities": means, "link__source__probabilities": shares},
            f"link.source.{where}",
            message,
        )
        for means, shares, where, message in (
            ([0.1, 0.5], [0.5, 0.5], "intensities", "got [0.1, 0.5], expected falling mean photon numbers"),
            ([0.5, 0.5], [0.5, 0.5], "intensities", "expected falling mean photon numbers, the signal first"),
            ([0.5, 0.0, 0.1], [0.7, 0.2, 0.1], "intensities", "expected falling mean photon numbers"),
            (
                [0.5, 0.3, 0.2],
                [0.7, 0.2, 0.1],
                "intensities",
                "expected the first above the sum of the others",
            ),
            ([0], [1], "intensities", "got [0.0], expected a signal above 0"),
            ([0.1], [0.5], "probabilities", "got [0.5], expected none, or [1], with one intensity"),
            ([0.1], [0.5, 0.5], "probabilities", "expected none, or [1], with one intensity"),
            ([0.5, 0.1], [0.7, 0.2, 0.1], "probabilities", "got 3 of them, expected one for each of the 2"),
            ([0.5, 0.1, 0], [0.7, 0.3], "probabilities", "got 2 of them, expected one for each of the 3"),
            ([0.5, 0.1], [0.7, 0.2], "probabilities", "which add up to 0.9, expected 1"),
            ([0.5, 0.1, 0], [0.7, 0.2, 0.2], "probabilities", "which add up to 1.1, expected 1"),
        )
    ),
    # what the protocol has
    *(
        (
            link_of(protocol),
            {"link__security__proof": "device-independent"},
            "link.security.proof",
            "which needs protocol: e91",
        )
        for protocol in ("bbm92", "six-state")
    ),
    *(
        (
            link_of(protocol),
            {"defences__abort_below_chsh": 2.5},
            "defences.abort_below_chsh",
            f"{protocol} measures no CHSH value: remove it, or use protocol: e91",
        )
        for protocol in ("bbm92", "six-state")
    ),
    *(
        (
            link_of(protocol),
            {"link__key_basis": "90 %"},
            "link.key_basis",
            f"{protocol} uses all its settings alike: remove it",
        )
        for protocol in ("e91", "six-state")
    ),
    *(
        (base, {"link__security__multiphoton": "ignored"}, "link.security.multiphoton", USELESS.format(what))
        for base, what in (
            (BB84, "bb84"),
            (DECOYS, "bb84 and a weak-coherent source"),
            (link_of("bbm92", source__kind="spdc"), "bbm92 and a spdc source"),
        )
    ),
    # the grain
    (link_of("six-state"), {"link__grain": "qubit"}, "link.grain", "expected pulse or sampled for six-state"),
    (
        WEAK,
        {"link__grain": "qubit"},
        "link.grain",
        "single photons in the X-Z plane, expected pulse or sampled",
    ),
    (
        link_of("bbm92", source__kind="spdc"),
        {"link__grain": "qubit"},
        "link.grain",
        "expected pulse or sampled for spdc",
    ),
    (
        BB84,
        {"link__block_pulses": 10**9},
        "link.block_pulses",
        "got 1000000000, expected at most 50000000 with grain: pulse (use grain: sampled)",
    ),
    (
        with_values(E91, link__security__proof="device-independent"),
        {"link__grain": "sampled"},
        "link.grain",
        "expected pulse: device-independent counts every pulse, detected or not",
    ),
    # the channel
    (
        BB84,
        {"link__satellite": {}, "link__loss_profile": [["0 s", "3 dB"]]},
        "link.loss_profile",
        "a satellite's pass has its own",
    ),
    (
        BB84,
        {"link__satellite": {}, "link__coexistence": {"forward": "1 mW"}},
        "link.coexistence",
        "there are no other channels on the way to a satellite",
    ),
    *(
        (
            BB84,
            {"link__grain": "qubit", f"link__{name}": value},
            "link.grain",
            "a channel that changes over time",
        )
        for name, value in (
            ("drift", {"rate": 0.01}),
            ("satellite", {}),
            ("loss_profile", [["0 s", "3 dB"]]),
        )
    ),
    # the detector
    (
        BB84,
        {"link__detector__dead_time": "250 ms"},
        "link.detector.dead_time",
        "got 250 ms, expected less than a block takes (250 ms)",
    ),
    (
        BB84,
        {"link__detector__gate": "251 ns"},
        "link.detector.gate",
        "got 251 ns, expected at most a pulse's slot (250 ns)",
    ),
    (BB84, {"link__detector__jitter": "1 ns"}, "link.detector.jitter", "set link.detector.gate too"),
    (
        E91,
        {"link__detector__basis_choice": "passive"},
        "link.detector.basis_choice",
        "got passive, expected active",
    ),
    # the relay
    *(
        (MDI, {"link__grain": grain}, "link.grain", f"got {grain}, expected sampled for mdi")
        for grain in ("pulse", "qubit")
    ),
    (
        MDI,
        {"link__source__intensities": [0.1], "link__source__probabilities": [1]},
        "link.source.intensities",
        "expected two or three with mdi",
    ),
    *(
        (MDI, {f"link__detector__{name}": value}, f"link.detector.{name}", "modelled without a memory")
        for name, value in (("dead_time", "50 ns"), ("afterpulse", "1 %"))
    ),
    (
        MDI,
        {"link__detector__basis_choice": "passive"},
        "link.detector.basis_choice",
        "the relay chooses no basis",
    ),
    (MDI, {"defences__attenuated_share": "10 %"}, "defences.attenuated_share", "no detectors to defend"),
    *(
        (MDI, {f"link__{name}": value}, f"link.{name}", "not modelled for two ways to a relay")
        for name, value in (
            ("loss_profile", [["0 s", "3 dB"]]),
            ("satellite", {}),
            ("coexistence", {"forward": "1 mW"}),
        )
    ),
    (
        MDI,
        {"link__security__proof": "device-independent"},
        "link.security.proof",
        "which needs protocol: e91",
    ),
    # what attacks need
    *(
        (
            base,
            {"timeline": [{"at": "0 s", "action": action, **more}]},
            "timeline.0.action",
            f"needs {message}",
        )
        for base, action, more, message in (
            (BB84, "eve.photon_number_splitting", {}, "a source that emits several photons"),
            (WEAK, "eve.intensity_leak", {}, "decoys (two or three source.intensities)"),
            (BB84, "eve.time_shift", {}, "detectors that differ at the edges of the gate"),
            (with_values(BB84, link__grain="qubit"), "eve.noise_masked", {}, "trains of pulses"),
            (E91, "eve.noise_masked", {}, "pulses that Alice prepares"),
            (E91, "eve.intercept_resend", {"basis": "y"}, "pulses that Alice prepares"),
            (
                with_values(BB84, link__grain="qubit"),
                "eve.intercept_resend",
                {"resend": "coherent"},
                "trains of pulses",
            ),
        )
    ),
]


@pytest.mark.parametrize(
    ("base", "values", "path", "message"),
    [
        (
            BB84,
            {"eve__position": "26 km"},
            "eve.position",
            "got 26 km, expected at most the link's length (25 km)",
        ),
        (
            BB84,
            {"defences__abort_below_chsh": 2.5},
            "defences.abort_below_chsh",
            "bb84 measures no CHSH value",
        ),
        (
            BB84,
            {"link__security__proof": "device-independent"},
            "link.security.proof",
            "expected trusted: that proof rests on a violated CHSH inequality, which needs protocol: e91",
        ),
        *CONTRADICTIONS,
        (BB84, {"keys__preshared": "511 bit"}, "keys.preshared", "got 511 bit, expected at least 512 bit"),
        (BB84, {"server": {}}, "server", "without queries there is no server"),
        (
            BB84,
            {"queries__start": "10 s"},
            "queries.start",
            "expected before the end of the run (duration: 10 s)",
        ),
        (
            BB84,
            {"expect": ["qber during 3 s..11 s > 1 %"]},
            "expect.0",
            "got 11 s, expected at most the run's duration",
        ),
        (BB84, {"expect": ["qber during 10 s..end > 1 %"]}, "expect.0", "got 10 s, expected before the end"),
    ],
)
def test_contradictions(base: dict[str, Any], values: dict[str, Any], path: str, message: str):
    """Values that are right alone and wrong together are a fault at the value to change, and the only one."""
    found = faults(with_values(base, **values))
    assert list(found) == [path]
    assert message in found[path]


@pytest.mark.parametrize(
    ("entry", "key", "message"),
    [
        (
            {"at": "10 s", "action": "eve.cut"},
            "at",
            "got 10 s, expected before the end of the run (duration: 10 s)",
        ),
        (
            {"at": "3 s", "until": "3 s", "action": "eve.cut"},
            "until",
            "got 3 s, expected later than the entry's at (3 s)",
        ),
        (
            {"at": "3 s", "until": "11 s", "action": "eve.cut"},
            "until",
            "got 11 s, expected at most the run's duration",
        ),
        ({"at": "0 s", "action": "model.flip_labels"}, "action", "needs a queries section"),
        ({"at": "0 s", "action": "server.slow", "factor": 2}, "action", "needs a queries section"),
        ({"at": "0 s", "action": "eve.replay"}, "action", "needs a queries section"),
        ({"at": "0 s", "action": "eve.tamper"}, "messages", "got query, which needs a queries section"),
        (
            {"at": "0 s", "action": "network.loss", "fraction": 0.1, "hop": "bob-server"},
            "hop",
            "there is no server",
        ),
        (
            {"at": "0 s", "action": "network.loss", "fraction": 0.1, "hop": "alice-carol"},
            "hop",
            "no node is called carol",
        ),
        (
            {"at": "0 s", "action": "network.loss"},
            "fraction",
            "missing, expected a fraction, like 30 % or 0.3",
        ),
        (
            {"at": "0 s", "action": "eve.cut", "chanel": "quantum"},
            "chanel",
            "unknown key chanel: did you mean channel?",
        ),
        ({"at": "0 s", "action": "eve.cutt", "x": 1}, "action", "did you mean eve.cut?"),
        ({"at": "0 s"}, "action", "missing, expected eve.intercept_resend"),
        ({"at": "0 s", "action": ["eve.cut"]}, "action", "got a list, expected eve.intercept_resend"),
        ({"action": "eve.cut"}, "at", "missing, expected a time with its unit"),
        (
            {"at": "0 s", "action": "eve.tamper", "messages": []},
            "messages",
            "got a list, expected a list of detections",
        ),
        (
            {"at": "0 s", "action": "eve.tamper", "messages": ["tag", "tag"]},
            "messages",
            "got tag more than once",
        ),
        ({"at": "0 s", "action": "eve.tamper", "messages": ["tags"]}, "messages", "did you mean tag?"),
        (
            {"at": "0 s", "action": "eve.tamper", "messages": ["tag"], "bits": 65},
            "bits",
            "at least 1 and at most 64",
        ),
    ],
)
def test_wrong_timeline_entries(entry: dict[str, Any], key: str, message: str):
    """A wrong entry is a fault at the entry's key, also where it contradicts the rest of the scenario."""
    found = faults({**BB84, "timeline": [entry]})
    assert list(found) == [f"timeline.0.{key}"]
    assert message in found[f"timeline.0.{key}"]


def test_labels_are_flipped_before_the_run():
    """The model is trained at the start: labels cannot be flipped later, nor for a while."""
    entry = {"at": "1 s", "until": "2 s", "action": "model.flip_labels"}
    found = faults({**BB84, "queries": {}, "timeline": [entry]})
    assert sorted(found) == ["timeline.0.at", "timeline.0.until"]
    assert all("trained" in message for message in found.values())


def test_contradictions_and_single_faults_come_together():
    """A fault of one value hides no contradiction between others, and makes up none of its own."""
    data = with_values(
        BB84, seed="x", eve__position="30 km", link__source={"visibility": 1}, queries=5, defences__patience=3
    )
    data["timeline"] = [
        {"at": "11 s", "action": "eve.cutt"},
        {"at": "1 s", "until": "0 s", "action": "eve.cut"},
        5,
    ]
    assert sorted(faults(data)) == [
        "defences.patience",
        "eve.position",
        "link.source.visibility",
        "queries",
        "seed",
        "timeline.0.action",
        "timeline.0.at",
        "timeline.1.until",
        "timeline.2",
    ]
    assert sorted(faults({**data, "link": 3, "duration": 3})) == [
        "defences.patience",
        "duration",
        "link",
        "queries",
        "seed",
        "timeline.0.action",
        "timeline.1.until",
        "timeline.2",
    ]


def test_every_contradiction_of_a_link_at_once():
    """All that is wrong with a link is said in one go, each at its own place."""
    data = with_values(
        BB84,
        link__protocol="six-state",
        link__grain="qubit",
        link__key_basis="90 %",
        link__source={
            "kind": "weak-coherent",
            "intensities": [0.1, 0.5],
            "probabilities": [0.7, 0.3],
            "visibility": 1,
        },
        link__security={"proof": "device-independent", "multiphoton": "counted"},
        link__detector={"dead_time": "1 s", "gate": "1 us", "efficiency": 2},
        defences__abort_below_chsh=2,
    )
    assert sorted(faults(data)) == [
        "defences.abort_below_chsh",
        "link.detector.dead_time",
        "link.detector.efficiency",
        "link.detector.gate",
        "link.grain",
        "link.key_basis",
        "link.security.multiphoton",
        "link.security.proof",
        "link.source.intensities",
        "link.source.kind",
        "link.source.visibility",
    ]


GARBAGE: tuple[Any, ...] = (
    None,
    "",
    "x",
    -1,
    5,
    1e300,
    math.nan,
    math.inf,
    True,
    [],
    {},
    [[]],
    [None],
    {"x": 1},
    "nan",
)


def places_in(data: Any, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value in a tree."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [place for key, value in items for place in [(*above, key), *places_in(value, (*above, key))]]


def altered(data: dict[str, Any], place: tuple[Any, ...], *value: Any) -> dict[str, Any]:
    """A copy with one value replaced, or left out if there is none in its stead."""
    data = copy.deepcopy(data)
    inner: Any = data
    for key in place[:-1]:
        inner = inner[key]
    if value:
        inner[place[-1]] = value[0]
    else:
        del inner[place[-1]]
    return data


ATTACKED = with_values(
    {
        **resolved(Scenario.model_validate(EVERY_PROTOCOL[-1])),
        "timeline": [
            {"at": "0 s", "until": "1 s", "action": "eve.intensity_leak"},
            {"at": "0 s", "action": "eve.time_shift", "fraction": "50 %"},
            {"at": "0 s", "action": "eve.intercept_resend", "basis": "three", "resend": "coherent"},
        ],
    },
    expect=["link.qber < 5 %"],
)


@pytest.mark.parametrize(
    "data",
    [ATTACKED, resolved(Scenario.model_validate(MDI)), resolved(Scenario.model_validate(EVERYTHING))],
    ids=["decoys", "mdi", "everything"],
)
def test_any_garbled_value_loads_or_is_refused(data: dict[str, Any]):
    """Each value of a scenario left out, or replaced by any of fifteen kinds of rubbish: it loads, or the faults are told."""
    Scenario.model_validate(data)
    refused = 0
    for place in places_in(data):
        for value in ((), *((rubbish,) for rubbish in GARBAGE)):
            try:
                Scenario.model_validate(altered(data, place, *value))
            except ValidationError as error:
                refused += 1
                told = [fault["msg"] for fault in error.errors(include_input=False)]
                assert told
                assert not any(
                    "nan" in message.replace("nano", "").split() for message in told if value != ("nan",)
                )
    assert refused > 500


CONTENTS = [
    DECOYS,
    MDI,
    WEAK,
    EVERY_PROTOCOL[-1],
    ATTACKED,
    link_of("bbm92", source__kind="spdc"),
    EVERYTHING,
]


@pytest.mark.parametrize("data", CONTENTS, ids=lambda data: f"{data['name']}-{data['link']['protocol']}")
def test_a_fault_of_one_value_makes_up_no_other(data: dict[str, Any]):
    """Whatever word or number of a good scenario is misspelt, that is the one fault, and no contradiction follows from it."""
    for place in places_in(data):
        value: Any = data
        for key in place:
            value = value[key]
        if isinstance(value, dict | list) or place[0] in ("expect", "name", "about"):
            continue
        if place[-1] == "action":
            continue
        path = ".".join(map(str, place))
        found = faults(altered(data, place, "m\u0000isspelt"))
        assert len(found) == 1, found
        assert path.startswith(next(iter(found)))


@pytest.mark.parametrize("data", [None, [], "x", 5, {}])
def test_no_scenario_at_all(data: Any):
    """Something else than a mapping, or an empty one, is told what a scenario needs."""
    assert all("missing" in message or "expected a mapping" in message for message in faults(data).values())


def test_reserved_keys():
    """`sweep` and `replications` are refused as reserved, not as unknown."""
    found = faults({**BB84, "sweep": {}, "replications": 3})
    assert set(found.values()) == {"reserved: sweeps come in a later release"}


@pytest.mark.parametrize(
    "data",
    [
        BB84,
        E91,
        {**BB84, "queries": {}},
        DECOYS,
        with_values(DECOYS, link__source__intensities=[0.1], link__source__probabilities=[1]),
        with_values(BB84, link__source__kind="weak-coherent", link__source__intensities=[0.1]),
        EVERYTHING,
        *EVERY_PROTOCOL,
    ],
    ids=lambda data: data["name"],
)
def test_resolved_loads_to_the_same_scenario(data: dict[str, Any]):
    """`resolved` names every value, with its unit, and reads back as the very same scenario."""
    scenario = Scenario.model_validate(data)
    assert load_text(json.dumps(resolved(scenario)), "again.yaml") == scenario


@pytest.mark.parametrize("file", sorted(LIBRARY.glob("*.yaml")), ids=lambda file: file.stem)
def test_what_ships_survives_being_resolved(file: Path):
    """Each scenario that ships reads back as itself, and conforms to the JSON Schema."""
    scenario, schema = load(file), json_schema()
    spelled = resolved(scenario)
    assert load_text(json.dumps(spelled), "again.yaml") == scenario
    assert conforms(spelled, schema, schema)


def test_resolved_spells_units():
    """Values of the resolved scenario are written as a person would."""
    spelled = resolved(Scenario.model_validate(EVERYTHING))
    assert spelled["link"]["length"] == "12.345 km"
    assert spelled["classical"]["bandwidth"] == "1 Gbit/s"
    assert spelled["queries"]["timeout"] == "60 s"
    assert spelled["timeline"][2] == {
        "at": "1 s",
        "action": "network.delay",
        "delay": "7 ms",
        "jitter": "0 s",
        "hop": "bob-server",
    }
    assert spelled["expect"] == EVERYTHING["expect"]


def test_json_schema_structure():
    """The JSON Schema knows every section, required key, unit, choice and action."""
    schema = json_schema()
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert schema["required"] == ["duration", "link"]
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) == set(Scenario.model_fields)
    link = schema["$defs"]["Link"]["properties"]
    assert link["protocol"]["enum"] == list(PROTOCOLS)
    assert link["source"]["$ref"].endswith("/Source")
    source = schema["$defs"]["Source"]["properties"]
    assert source["intensities"]["items"]["type"] == "number"
    assert source["intensities"]["maxItems"] == 3
    assert link["length"]["default"] == "25 km"
    assert re.search(link["length"]["pattern"], "0.5 km")
    assert not re.search(link["length"]["pattern"], "0.5")
    actions = schema["properties"]["timeline"]["items"]["oneOf"]
    assert [action["properties"]["action"]["const"] for action in actions] == list(CATALOGUE)
    assert all({"at", "action"} <= set(action["required"]) for action in actions)
    delay = next(action for action in actions if action["properties"]["action"]["const"] == "network.delay")
    assert "delay" in delay["required"]
    assert delay["properties"]["hop"]["enum"] == ["alice-bob", "bob-server"]
    json.dumps(schema)


TYPES = {
    "object": dict,
    "array": list | tuple,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": int | float,
    "integer": int | float,
}


def conforms(value: Any, schema: dict[str, Any], root: dict[str, Any]) -> bool:
    """Whether a value conforms to the part of JSON Schema that ours uses."""

    def all_conform(pairs: Any) -> bool:
        return all(conforms(item, part, root) for item, part in pairs)

    def properties() -> bool:
        known = schema["properties"]
        named = set(schema.get("required", ())) <= set(value) <= set(known)
        return named and all_conform((value[key], known[key]) for key in value)

    keywords = {
        "$ref": lambda name: conforms(value, root["$defs"][name.rsplit("/", 1)[1]], root),
        "anyOf": lambda options: any(conforms(value, option, root) for option in options),
        "oneOf": lambda options: sum(conforms(value, option, root) for option in options) == 1,
        "enum": lambda words: value in words,
        "const": lambda word: value == word,
        "minimum": lambda bound: value >= bound,
        "maximum": lambda bound: value <= bound,
        "pattern": lambda pattern: re.search(pattern, value) is not None,
        "items": lambda part: all_conform((item, part) for item in value),
        "properties": lambda _: properties(),
    }
    kind = TYPES.get(schema.get("type", ""), object)
    return isinstance(value, kind) and all(
        keywords[key](part) for key, part in schema.items() if key in keywords
    )


@pytest.mark.parametrize("data", [BB84, DECOYS, EVERYTHING, *EVERY_PROTOCOL], ids=lambda data: data["name"])
def test_json_schema_accepts_what_the_loader_accepts(data: dict[str, Any]):
    """Scenarios that load, written out or not, conform to the JSON Schema."""
    schema = json_schema()
    assert conforms(data, schema, schema)
    assert conforms(resolved(Scenario.model_validate(data)), schema, schema)


def test_json_schema_refuses():
    """The JSON Schema sees a missing unit, an unknown key and another action's parameter."""
    schema = json_schema()
    cut = {"at": "0 s", "action": "eve.cut", "basis": "z"}
    for values in ({"link__length": 25}, {"lenght": "25 km"}, {"timeline": [cut]}, {"fabric": "x"}):
        assert not conforms(with_values(BB84, **values), schema, schema)


def test_built_entries_pass_through():
    """An entry that is built already is taken as it is, so that a program may make scenarios too."""
    entry = TimelineEntry(0.0, None, InterceptResend(fraction=0.5))
    assert Scenario.model_validate({**BB84, "timeline": [entry]}).timeline == (entry,)
