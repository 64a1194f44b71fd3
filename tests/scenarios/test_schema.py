"""The schema: defaults, the timeline made from the catalogue, contradictions, and both ways out of it."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import Any

import pytest
from pydantic import ValidationError

from nodes.attacks.catalogue import CATALOGUE
from nodes.attacks.channel import InterceptResend
from nodes.attacks.classical import Tamper
from nodes.attacks.environment import AddedDelay
from scenarios.loader import LIBRARY, load, load_text
from scenarios.schema import Scenario, TimelineEntry, json_schema, resolved

E91 = {"name": "x", "duration": "10 s", "link": {"protocol": "e91"}}
BB84 = {"name": "x", "duration": "10 s", "link": {"protocol": "bb84"}}

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


@pytest.mark.parametrize("name", sorted(CATALOGUE))
def test_every_action_of_the_catalogue_can_be_used(name: str):
    """Each action builds from its required parameters alone, and every default is within its own limits."""
    example = {"s": "1 ms", "fraction": "1 %", "number": 2, "bit": "8 bit", "flag": True}
    required = {
        field.name: unit.choices[0] if unit.choices else example[unit.dimension]
        for field, unit in CATALOGUE[name].parameters()
        if field.default is dataclasses.MISSING
    }
    data = {**E91, "queries": {}, "timeline": [{"at": "0 s", "action": name, **required}]}
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
        ("link__block_pulses", 15, "expected an integer, at least 16 and at most 50000000"),
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


@pytest.mark.parametrize(
    ("base", "values", "path", "message"),
    [
        (
            BB84,
            {"eve__position": "26 km"},
            "eve.position",
            "got 26 km, expected at most the link's length (25 km)",
        ),
        (BB84, {"link__source": {}}, "link.source", "Alice prepares every pulse herself"),
        (BB84, {"link__security__proof": "device-independent"}, "link.security.proof", "needs protocol: e91"),
        (
            BB84,
            {"defences__abort_below_chsh": 2.5},
            "defences.abort_below_chsh",
            "bb84 measures no CHSH value",
        ),
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
        BB84, seed="x", eve__position="30 km", link__source={}, queries=5, defences__patience=3
    )
    data["timeline"] = [
        {"at": "11 s", "action": "eve.cutt"},
        {"at": "1 s", "until": "0 s", "action": "eve.cut"},
        5,
    ]
    assert sorted(faults(data)) == [
        "defences.patience",
        "eve.position",
        "link.source",
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
        EVERYTHING,
        *(resolved(load(file)) for file in sorted(LIBRARY.glob("*.yaml"))),
    ],
    ids=lambda data: data["name"],
)
def test_resolved_loads_to_the_same_scenario(data: dict[str, Any]):
    """`resolved` names every value, with its unit, and reads back as the very same scenario."""
    scenario = Scenario.model_validate(data)
    assert load_text(json.dumps(resolved(scenario)), "again.yaml") == scenario


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
    assert link["protocol"]["enum"] == ["bb84", "e91"]
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


@pytest.mark.parametrize(
    "data", [BB84, EVERYTHING, *(resolved(load(file)) for file in LIBRARY.glob("*.yaml"))]
)
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
