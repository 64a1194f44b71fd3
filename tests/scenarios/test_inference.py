"""The inference side of a run: what the model learns, who attacks it, and what the referee says of it."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from netsim.errors import ScenarioError
from netsim.messages import Envelope, Query
from netsim.random_streams import RandomStreams
from nodes.delivery import algorithms
from nodes.playbook import ACTIONS
from nodes.qml.models import MODELS, trained
from nodes.qml.query_modes import QUERY_MODES
from scenarios import inference_sections
from scenarios.inference import lesson
from scenarios.loader import load
from scenarios.range import build, fabric_of
from scenarios.runner import run

LINK = """
duration: 3 s
link:
  protocol: bb84
  grain: sampled
  pulse_rate: 4 MHz
  block_pulses: 1000000
  detector: {efficiency: 40 %}
queries: {clients: 1, rate: 10 /s, start: 1 s}
"""


@pytest.fixture
def scenario_of(tmp_path):
    """Writes a scenario with more text at its end and loads it."""

    def loaded(more, overrides=(), base=LINK):
        path = tmp_path / "some.yaml"
        path.write_text(base + more)
        return load(path, overrides)

    return loaded


def measured(scenario, seed=1):
    """The summary of a run in memory; it is what JSON can hold."""
    summary = run(scenario, seed=seed, fabric="direct", write=False).summary
    json.dumps(summary, allow_nan=False)
    return summary


def faults(scenario_of, more, base=LINK):
    """What loading complains of."""
    with pytest.raises(ScenarioError) as error:
        scenario_of(more, base=base)
    return "\n".join(error.value.faults)


def test_names_are_those_of_the_nodes():
    """What a scenario may choose from is what the nodes have."""
    assert set(inference_sections.MODELS) == set(MODELS)
    assert set(inference_sections.SUITES) == set(algorithms.SUITES)
    assert set(inference_sections.SIGNATURES) == set(algorithms.SCHEMES)
    assert set(inference_sections.CIPHERS) == set(algorithms.CIPHERS)
    assert set(inference_sections.PLAYBOOK_ACTIONS) == set(ACTIONS)
    assert inference_sections.MODES == QUERY_MODES


def test_a_quiet_run_says_how_right_the_model_is_beside_others(scenario_of):
    """Without attack the served model is the untouched one, classical ones stand beside it, and all four checks are there."""
    summary = measured(scenario_of(""))
    model = summary["model"]
    assert model["accuracy"]["served"] == model["accuracy"]["untouched"] == model["accuracy"]["qsvm"] > 0.8
    assert {"rbf-svm", "logistic"} < set(model["accuracy"])
    assert model["attacks"] == {}
    assert model["training"] == {"rows": 140, "poisoned": 0, "removed": 0, "removed_poisoned": 0}
    assert set(summary["algorithm_2"]) == {"composability", "refresh", "leakage", "resources"}
    assert summary["algorithm_2"]["resources"]["evidence"]["qubits"] == 2


def test_without_queries_there_is_no_model(scenario_of):
    """Nobody asks: the section is null, and only the link's checks are made."""
    summary = measured(scenario_of("", base=LINK.split("queries", maxsplit=1)[0]))
    assert summary["model"] is None
    assert set(summary["algorithm_2"]) == {"composability", "refresh"}


def test_scores_give_the_model_away_and_the_check_says_so(scenario_of):
    """Sixteen exact scores across the network make a copy to nine digits; labels from as many queries do not."""
    attack = "\ntimeline:\n  - {at: 1 s, action: model.extract, queries: 16, rate: 40 /s}\n"
    told = measured(scenario_of(attack + "server: {answers: score}\n"))
    copy = told["model"]["attacks"]["extract"]
    assert copy["questions"] == copy["answers"] == 16
    assert copy["score_error"] < 1e-6
    assert told["algorithm_2"]["leakage"]["verdict"] == "leakage"
    shown = measured(scenario_of(attack))
    assert shown["model"]["attacks"]["extract"]["score_error"] > 0.01


def test_poison_is_counted_where_it_was_put_and_where_it_was_found(scenario_of):
    """A flipped row that sanitising gives back its label counts as found; nothing is found where nothing was put."""
    flips = "\ntimeline:\n  - {at: 0 s, action: model.flip_labels, fraction: 20 %}\n"
    poisoned = lesson(scenario_of(flips + "defences: {model: {sanitise: knn}}\n"), RandomStreams(1))
    assert poisoned.poisoned == 28
    assert 15 <= poisoned.removed_poisoned <= min(28, poisoned.removed)
    honest = lesson(scenario_of("defences: {model: {sanitise: knn}}\n"), RandomStreams(1))
    assert (honest.poisoned, honest.removed_poisoned) == (0, 0)
    assert np.array_equal(honest.honest.features, poisoned.honest.features)


def test_a_poisoned_set_with_no_honest_rows_of_a_class_is_served_all_the_same(scenario_of):
    """All rows with a trigger have one label: the server says that label, and nobody dies."""
    summary = measured(scenario_of("\ntimeline:\n  - {at: 0 s, action: model.backdoor, fraction: 100 %}\n"))
    assert summary["model"]["accuracy"]["served"] == pytest.approx(0.5, abs=0.02)
    assert summary["queries"]["answered"] > 10


def test_answers_are_rounded_and_their_epsilons_add_up(scenario_of):
    """With noise the summary tells what the answers have spent together, by the client that got most."""
    more = "server: {answers: score}\ndefences: {model: {decimals: 1, noise: 2}}\n"
    summary = measured(scenario_of(more))
    assert summary["model"]["privacy_epsilon"] == pytest.approx(2.0 * summary["queries"]["answered"], rel=0.1)


def test_a_hostile_host_is_isolated_and_others_are_not(scenario_of):
    """Attack traffic of one client sets the playbook off for it alone, and it asks no more."""
    more = """
server: {answers: score, training: {data: flows, samples: 400, features: 4}}
timeline:
  - {at: 1.5 s, action: host.compromise, client: 1}
defences: {playbook: {threshold: 0.2, count: 5, within: 1 s, actions: [isolate-host, rotate-key]}}
"""
    base = LINK.replace("clients: 1, rate: 10", "clients: 2, rate: 20")
    result = run(scenario_of(more, base=base), fabric="direct", write=False)
    playbook = result.summary["model"]["playbook"]
    assert list(playbook["isolated_s"]) == ["client-1"]
    assert 1.5 < playbook["isolated_s"]["client-1"] < 2.8
    assert playbook["discarded_bits"] > 0
    last = max(query.created_s for query in result.findings.queries if query.client == 1)
    assert last <= playbook["isolated_s"]["client-1"]
    assert result.summary["keys"]["reused_bits"] == 0


def test_a_model_is_delivered_before_it_serves(scenario_of):
    """Queries before the model is there are rejected and counted; after, they are answered."""
    summary = measured(scenario_of("server: {delivery: {}}\n", base=LINK.replace("start: 1 s", "start: 0 s")))
    delivery = summary["model"]["delivery"]
    assert (delivery["status"], delivery["security"], delivery["qkd_bits"]) == ("installed", "hybrid", 256)
    assert 0 < delivery["installed_s"] < 1
    assert summary["queries"]["answered"] > 10


def test_same_seed_same_findings_whatever_the_fabric(scenario_of):
    """Attackers, canaries and deliveries draw from streams of their own: byte for byte the same on both fabrics."""
    more = """
server: {answers: score, early_stopping: true, delivery: {}}
defences: {model: {canaries: 10 /s, decimals: 2, noise: 5}}
timeline:
  - {at: 1 s, action: model.extract, queries: 20, rate: 20 /s}
  - {at: 1 s, action: model.evade, rows: 1, rate: 20 /s}
  - {at: 1 s, until: 2 s, action: data.drift}
"""
    results = [
        run(scenario_of(more), fabric=fabric, write=False).summary for fabric in ("direct", "qunetsim")
    ]
    assert results[0]["model"] == results[1]["model"]
    assert results[0]["algorithm_2"] == results[1]["algorithm_2"]


def test_an_attacker_who_runs_out_of_time_keeps_what_it_has(scenario_of):
    """A thousand questions do not fit into two seconds; what was answered is used."""
    attack = "\ntimeline:\n  - {at: 1 s, action: model.extract, queries: 1000, rate: 40 /s}\n"
    copy = measured(scenario_of(attack + "server: {answers: score}\n"))["model"]["attacks"]["extract"]
    assert 60 < copy["answers"] <= copy["questions"] < 90
    assert copy["agreement"] > 0.95


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("server: {training: {data: table}}\n", "server.training.file: missing"),
        ("server: {training: {data: xor, features: 3}}\n", "expected 2 with data: xor"),
        ("server: {training: {data: flows, distance: 2}}\n", "of no use with data: flows"),
        ("defences: {model: {decimals: 2}}\n", "of no use with answers: label"),
        ("server: {answers: score}\ndefences: {model: {noise: 2}}\n", "set defences.model.decimals too"),
        ("defences: {model: {constant_time: true}}\n", "of no use without server.early_stopping"),
        ("server: {model: logistic}\ndefences: {model: {ensemble: 5}}\n", "expected server.model: qsvm"),
        ("defences: {model: {suspected: 10 %}}\n", "of no use with sanitise: none"),
        ("defences: {playbook: {detour_latency: 1 ms}}\n", "of no use with no action re-route"),
        ("server: {delivery: {suite: ml-kem-768, patience: 1 s}}\n", "takes no QKD key"),
        (
            "server: {answers: score}\ndefences: {model: {decimals: 12, noise: 0.01}}\n",
            "expected fewer decimals",
        ),
        ("timeline:\n  - {at: 1 s, action: model.backdoor}\n", "expected 0 s"),
        (
            "timeline:\n  - {at: 0 s, action: model.backdoor, column: 5}\n",
            "expected below the number of features (2)",
        ),
        (
            "timeline:\n  - {at: 0 s, action: host.compromise, client: 7}\n",
            "expected at most queries.clients (1)",
        ),
    ],
)
def test_what_makes_no_sense_together_is_said(scenario_of, more, says):
    """Each contradiction names its key and what was expected."""
    assert says in faults(scenario_of, more)


@pytest.mark.parametrize(
    ("queries", "more", "says"),
    [
        ("mode: same-pad, copies: 16385", "", "expected at most 16384 with per_pad: 1"),
        ("mode: same-pad", "server: {training: {features: 6}}\n", "expected at most 5 with mode: same-pad"),
        (
            "mode: qotp, estimator: kernel",
            "defences: {model: {adversarial_training: 10 %}}\n",
            "not with estimator: kernel",
        ),
    ],
)
def test_what_a_quantum_mode_cannot_carry_is_said(scenario_of, queries, more, says):
    """More key than a KME hands out at once, gates beyond any memory, a machine without what is compared: faults, at once."""
    assert says in faults(scenario_of, more, base=LINK.replace("start: 1 s", f"start: 1 s, {queries}"))


@pytest.mark.parametrize(
    "queries",
    [
        "mode: same-pad, copies: 3",
        "mode: same-pad, estimator: kernel, copies: 3",
        "mode: qotp, estimator: kernel, copies: 1",
    ],
)
def test_too_few_registers_for_the_trained_model_are_a_clear_error(scenario_of, queries):
    """How many it takes only training tells; then the key is named, and what it takes."""
    scenario = scenario_of("", base=LINK.replace("start: 1 s", f"start: 1 s, {queries}"))
    with pytest.raises(ScenarioError, match=r"queries\.copies: got \d, expected at least \d+: one for each"):
        measured(scenario)


@pytest.mark.parametrize(
    "more",
    [
        "server: {training: {data: table, features: 99, columns: [a, b], file: x}}\n",
        "server: {training: {data: xor, features: 99}}\n",
        "defences: {playbook: {actions: [bogus], detour_latency: 1 ms}}\n",
    ],
)
def test_one_wrong_value_is_one_fault(scenario_of, more):
    """What is at fault by itself is compared with nothing else."""
    assert len(faults(scenario_of, more).splitlines()) == 1


def test_answers_without_a_mac_may_be_anything_and_nobody_dies(scenario_of):
    """Flipped bits make scores of all sizes, NaN among them: the playbook passes over those, and so does an attacker."""
    more = """
server: {answers: score, training: {samples: 20}}
defences: {query_mac: false, playbook: {threshold: 0}}
timeline:
  - {at: 1 s, action: eve.tamper, messages: [answer], bits: 8}
  - {at: 1 s, action: model.extract, queries: 20, rate: 40 /s}
  - {at: 1 s, action: model.evade, rows: 1, rate: 40 /s}
"""
    summary = measured(scenario_of(more, base=LINK.replace("rate: 10", "rate: 400")))
    assert summary["model"]["attacks"]["extract"]["answers"] == 20
    assert summary["model"]["playbook"]["actions"]["alarm"] >= 1


def test_hostile_hosts_drift_as_all_do(scenario_of):
    """Traffic of a scenario with a hostile host wanders as any other: the benign kind is taken for benign even more."""
    drift = "\ntimeline:\n  - {at: 1 s, until: 1.1 s, action: data.drift, amount: 1}\n"
    hostile = "  - {at: 1 s, action: host.compromise, client: 1}\n"
    base = LINK.replace("rate: 10", "rate: 60")
    assert measured(scenario_of(drift + hostile, base=base))["queries"]["accuracy"] < 0.3
    assert measured(scenario_of("\ntimeline:\n" + hostile, base=base))["queries"]["accuracy"] > 0.8


def test_attacks_on_a_model_need_somebody_who_asks(scenario_of):
    """Without queries there is no model to attack: all such entries are faults, at once."""
    more = """
timeline:
  - {at: 0 s, action: model.backdoor}
  - {at: 0 s, action: model.extract}
  - {at: 0 s, action: data.drift}
"""
    assert (
        faults(scenario_of, more, base=LINK.split("queries", maxsplit=1)[0]).count("needs a queries section")
        == 3
    )


def test_a_table_that_is_not_there_is_a_clear_error(scenario_of, tmp_path):
    """The file's name and what was expected, and nothing has run."""
    more = (
        f"server: {{training: {{data: table, file: {tmp_path}/no.csv, columns: [a, b], positive: [bad]}}}}\n"
    )
    with pytest.raises(ScenarioError, match=r"no\.csv"):
        measured(scenario_of(more))


def test_a_users_table_is_served(scenario_of, tmp_path):
    """A CSV's columns become features; its labels classes."""
    rng = np.random.default_rng(5)
    rows = [
        f"{rng.normal(3 * (i % 2)):.4f},x,{rng.normal():.4f},{'bad' if i % 2 else 'fine'}" for i in range(240)
    ]
    (tmp_path / "flows.csv").write_text("\n".join(["size,name,rest,verdict", *rows]) + "\n")
    more = (
        f"server: {{training: {{data: table, file: {tmp_path}/flows.csv, columns: [size, rest], label: verdict, "
        "positive: [bad]}}\n"
    )
    summary = measured(scenario_of(more))
    assert summary["model"]["training"]["rows"] == 140
    assert summary["model"]["accuracy"]["served"] > 0.75
    assert math.isfinite(summary["model"]["accuracy"]["rbf-svm"])


def table_of(tmp_path, labels):
    """Writes a table of such labels; the text that makes it the training data."""
    rng = np.random.default_rng(5)
    rows = [f"{rng.normal(3 * (label == 'bad')):.4f},{rng.normal():.4f},{label}" for label in labels]
    (tmp_path / "some.csv").write_text("\n".join(["a,b,label", *rows]) + "\n")
    return f"server: {{training: {{data: table, file: {tmp_path}/some.csv, columns: [a, b], positive: [bad]}}}}\n"


def test_a_table_with_one_row_of_a_class_is_a_clear_error(scenario_of, tmp_path):
    """There must be one to learn and one to ask about."""
    with pytest.raises(
        ScenarioError, match=r"some\.csv: of 9 rows .* 1 are of one class, expected at least 2"
    ):
        measured(scenario_of(table_of(tmp_path, ["bad"] + ["fine"] * 8)))


def test_an_attackers_own_rows_of_a_table_are_not_among_those_it_is_to_judge(scenario_of, tmp_path):
    """Whoever has a row of its own that the model has not learnt would know at once that it is none of the model's."""
    learnt = lesson(scenario_of(table_of(tmp_path, ["bad", "fine"] * 100)), RandomStreams(1))
    own = {tuple(row) for row in learnt.own("eve/data").features}
    judged = {tuple(row) for row in learnt.candidates().features}
    assert len(own) == 30
    assert len(judged) == 60
    assert not own & judged
    assert set(learnt.own("eve/data").labels) == {0, 1}


def test_a_model_and_what_it_would_be_untouched_begin_alike(scenario_of):
    """A variational circuit starts at random: both start at the same point, whichever is trained first."""
    more = """
server: {model: vqc, training: {samples: 20}}
timeline:
  - {at: 0 s, action: model.flip_labels, fraction: 20 %}
"""
    learnt = lesson(scenario_of(more), RandomStreams(1))
    rows = learnt.test.features
    alone = trained("vqc", learnt.honest, RandomStreams(1)("server/model"))
    assert not np.array_equal(learnt.served.decide(rows), alone.decide(rows))
    assert np.array_equal(learnt.untouched.decide(rows), alone.decide(rows))


def test_an_ensemble_can_be_delivered(scenario_of):
    """Its members travel in one model file, and it answers on the other side as it did here."""
    more = "server: {delivery: {}}\ndefences: {model: {ensemble: 5}}\n"
    summary = measured(scenario_of(more))
    assert summary["model"]["delivery"]["status"] == "installed"
    assert summary["queries"]["answered"] > 10
    assert summary["model"]["delivery"]["refused"] == {}


@pytest.mark.parametrize(
    ("more", "detected"),
    [
        ("timeline:\n  - {at: 0 s, action: model.flip_labels, fraction: 40 %, how: targeted}\n", True),
        (
            "timeline:\n  - {at: 1 s, action: model.extract, rate: 10 /s}\n  - {at: 1 s, action: data.drift, amount: 0.9, until: 1.1 s}\n",
            False,
        ),
    ],
)
def test_canaries_are_the_sign_of_poison_and_of_nothing_else(scenario_of, more, detected):
    """The same alarm tells of poisoned labels; where only the traffic has drifted, an extraction is not what it noticed."""
    base = LINK.replace("clients: 1, rate: 10", "clients: 1, rate: 5")
    summary = measured(scenario_of(more + "defences: {model: {canaries: 60 /s}}\n", base=base))
    assert summary["model"]["canaries"]["alarm_s"] is not None
    assert summary["eve"]["detected"] is detected


def test_a_copy_gives_its_gradient_away(scenario_of):
    """Sixty-four questions make a copy whose exact gradient evades with as many rows as one likes, and no more questions."""
    more = "server: {answers: score}\ntimeline:\n  - {at: 1 s, action: model.evade, method: copy, rows: 60, rate: 50 /s}\n"
    evaded = measured(scenario_of(more))["model"]["attacks"]["evade"]
    assert evaded["questions"] == evaded["answers"] == 64
    assert evaded["error"] > evaded["error_before"] + 0.1
    assert evaded["largest_shift"] <= 0.1 + 1e-6


def test_a_masked_query_of_another_length_is_rejected_and_counted(scenario_of):
    """Nothing vouches for a masked query's length: what has not the model's is rejected, and the server goes on."""
    scenario = scenario_of("", base=LINK.replace("start: 1 s", "start: 1 s, mode: masked"))
    streams = RandomStreams(1)
    with fabric_of(scenario, streams) as fabric:
        world = build(scenario, fabric, streams)
        world.env.run(until=0.5)  # there is a model by now
        for number, size in enumerate((0, 3, 6)):
            query = Query(9, number, bytes(16), bytes(size))
            world.server.on_envelope(Envelope("client-9", "server", Envelope.QUERIES, number, query.encode()))
        world.env.run(until=scenario.duration)
    assert world.server.rejections == {"malformed query": 3}
    assert sum(query.status == "answered" for query in world.clients[0].queries) > 10
