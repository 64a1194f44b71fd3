"""MDI-QKD from a scenario file: what is refused, what is built, and what comes out over either fabric."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from scenarios.range import protocol_of, topology_of
from scenarios.runner import run
from scenarios.schema import Scenario, resolved

IDEAL: dict[str, Any] = {
    "name": "relay",
    "duration": "0.8 s",
    "link": {
        "protocol": "mdi",
        "grain": "sampled",
        "pulse_rate": "1 MHz",
        "block_pulses": 200_000,
        "length": "10 km",
    },
}
WEAK: dict[str, Any] = {"kind": "weak-coherent"}


def scenario(link: dict[str, Any] | None = None, **sections: Any) -> Scenario:
    """The scenario with other values."""
    return Scenario.model_validate({**IDEAL, **sections, "link": {**IDEAL["link"], **(link or {})}})


@pytest.mark.parametrize(
    ("link", "where", "message"),
    [
        ({"grain": "pulse"}, ("link", "grain"), "expected sampled for mdi"),
        ({"source": {"kind": "spdc"}}, ("link", "source", "kind"), "prepares its pulses one by one"),
        (
            {"source": {**WEAK, "intensities": [0.5]}},
            ("link", "source", "intensities"),
            "two or three with mdi",
        ),
        ({"source": {"position": "middle"}}, ("link", "source", "position"), "of no use with mdi"),
        ({"detector": {"dead_time": "1 us"}}, ("link", "detector", "dead_time"), "without a memory"),
        ({"detector": {"afterpulse": "1 %"}}, ("link", "detector", "afterpulse"), "without a memory"),
        ({"detector": {"basis_choice": "passive"}}, ("link", "detector", "basis_choice"), "chooses no basis"),
        ({"security": {"proof": "device-independent"}}, ("link", "security", "proof"), "needs protocol: e91"),
    ],
)
def test_what_a_relay_cannot_do_is_refused(link, where, message):
    """Each value that has no meaning with a relay is refused where it stands, with the reason."""
    with pytest.raises(ValidationError) as refused:
        scenario(link)
    (fault,) = refused.value.errors()
    assert fault["loc"] == where
    assert message in fault["msg"]


def test_defences_of_a_receiver_are_refused():
    """Bob has no detectors whose efficiency he could turn down."""
    with pytest.raises(ValidationError, match="no detectors to defend"):
        scenario(defences={"attenuated_share": "10 %"})


def test_the_grain_must_be_asked_for():
    """The default grain is another one, so that a scenario without any says sampled."""
    with pytest.raises(ValidationError, match="expected sampled"):
        Scenario.model_validate({**IDEAL, "link": {k: v for k, v in IDEAL["link"].items() if k != "grain"}})


def test_charlie_stands_in_the_middle():
    """The fibre leads over Charlie, half-way, wherever Eve is."""
    for eve_km, route in (
        ("2 km", ("alice", "eve", "charlie", "bob")),
        ("7 km", ("alice", "charlie", "eve", "bob")),
    ):
        topology = topology_of(scenario(eve={"position": eve_km}))
        assert topology.route("alice", "bob") == route
        assert topology.length_km("alice", "charlie") == topology.length_km("charlie", "bob") == 5.0


def test_source_and_key_basis_reach_the_protocol():
    """Intensities are those of both senders; the interference's visibility is spelled out with the rest."""
    weak = scenario({"source": WEAK, "key_basis": "60 %"})
    protocol = protocol_of(weak.link)
    assert protocol.intensities[1] == "decoy signal"
    assert protocol.alice_choice.probabilities[0] == 0.6
    assert protocol_of(scenario().link).intensities == ("",)
    spelled = resolved(weak)["link"]
    assert "visibility" in spelled["source"]
    assert Scenario.model_validate(resolved(weak)) == weak


def test_both_fabrics_give_the_same_key():
    """Single photons to Charlie, cut for a while: key before and after, the same over QuNetSim."""
    cut = [{"at": "0.3 s", "until": "0.5 s", "action": "eve.cut"}]
    found = [
        run(scenario(timeline=cut), fabric=fabric, write=False).findings for fabric in ("direct", "qunetsim")
    ]
    here, there = found
    assert [row.status for row in here.blocks] == ["accepted", "accepted", "accepted", "unfinished"]
    assert here.summary["link"]["secret_bits"] > 5000
    assert here.summary["keys"]["mismatched_bits"] == 0
    assert 0 < here.blocks[1].ledger.detections < 0.8 * here.blocks[0].ledger.detections
    assert there.summary == here.summary
    assert [row.ledger for row in there.blocks] == [row.ledger for row in here.blocks]


def test_eve_on_either_arm_is_seen_and_knows():
    """Intercept-resend on Alice's half of the fibre or on Bob's: errors as in BB84, and she knows half of the sifted bits."""
    for position in ("2 km", "8 km"):
        timeline = [{"at": "0 s", "action": "eve.intercept_resend"}]
        summary = run(
            scenario(timeline=timeline, eve={"position": position}, duration="0.3 s"),
            fabric="direct",
            write=False,
        ).summary
        assert 0.2 < summary["link"]["qber"] < 0.3
        assert summary["link"]["abort_reasons"] == {"qber": 1}
        assert summary["eve"]["known_sifted_bits"] > 5000
        assert summary["eve"]["known_key_bits"] == 0
