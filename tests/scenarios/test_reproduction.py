"""`evelab reproduce`: measurements that could come out otherwise, the same bytes for the same seed, and what is printed."""

from __future__ import annotations

import csv
import io
import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from netsim.errors import ScenarioError
from nodes.qml.duel import Duel, Estimate, Outcome
from scenarios.cli import app
from scenarios.reproduction import (
    accuracy,
    adversaries,
    command,
    duels,
    encryption,
    experiment,
    forgery,
    modes,
    modes_network,
    network,
    noise,
    pads,
    paper,
    resources,
)
from scenarios.reproduction.command import SUBJECTS, Subject, reproduce
from scenarios.reproduction.printed import WIDTH, folded
from scenarios.reproduction.study import Job, Part, Plan, Study, Table
from scenarios.reproduction.workers import Workers

SEED = 5
TINY = Plan(SEED, 6)


def measured(study: Study, plan: Plan = TINY) -> Part:
    """What a study finds, in this process."""
    return study.found(plan, [job() for job in study.jobs(plan)])


def claims(part: Part):
    """Its claims by id."""
    return {claim.id: claim for claim in part.claims}


def trial(part: Part, name: str, words: str):
    """The first trial of a claim whose condition has these words."""
    return next(one for one in claims(part)[name].trials if words in one.condition)


@pytest.fixture(scope="module")
def encrypted() -> Part:
    """The study of encrypted features."""
    return measured(encryption.STUDY)


@pytest.fixture(scope="module")
def padded() -> Part:
    """The study of padded states."""
    return measured(pads.STUDY)


@pytest.fixture(scope="module")
def noisy() -> Part:
    """The study of noise, on three data sets."""
    return measured(noise.STUDY, Plan(SEED, 3))


def test_scaling_decides_the_accuracy():
    """Near 92 % with features in [0, 1], near chance with standardised ones, and classical classifiers do as well."""
    part = measured(accuracy.STUDY)
    assert trial(part, "accuracy", "3.2σ apart, features [0, 1]").estimate.mean == pytest.approx(
        0.92, abs=0.05
    )
    assert trial(part, "accuracy", "3.2σ apart, features standardised").estimate.mean < 0.65
    assert claims(part)["accuracy"].verdict != "holds"
    assert all(one.estimate.mean > -0.06 for one in claims(part)["classical-baselines"].trials)


def test_the_machine_is_the_one_that_the_server_runs():
    """The experiment's machine says what `QuantumSVM` says of every row."""
    from nodes.qml.qsvm import QuantumSVM  # noqa: PLC0415  Qiskit takes seconds, and only this test needs it

    one = experiment.clusters(SEED, 0)
    ours = experiment.QuantumMachine(one.train.features, one.train.labels).decide(one.test.features)
    assert np.allclose(ours, QuantumSVM().fit(one.train).decide(one.test.features), atol=1e-6)


def test_ciphertexts_are_useless_unless_opened(encrypted):
    """XOR without decryption is chance, opened first it is bit for bit the plain answer."""
    assert trial(encrypted, "encrypted-accuracy", "fresh key").estimate.mean == pytest.approx(0.5, abs=0.1)
    assert trial(encrypted, "encrypted-accuracy", "opened by the server").estimate.mean > 0.85
    identical = [row for row in encrypted.tables[0].rows if row[1] == "identical/decrypted"]
    assert [row[2] for row in identical] == [1.0] * TINY.seeds
    assert trial(encrypted, "outputs-decorrelated", "opened by").estimate.mean == pytest.approx(
        1.0, abs=1e-12
    )


def test_what_keeps_the_accuracy_hides_little(encrypted):
    """Masks and shifts that keep 90 % leave little of the variance unknown; no server without key beats a listener."""
    assert trial(encrypted, "perturbation-hides", "low 13").estimate.mean < 0.1
    assert trial(encrypted, "perturbation-hides", "low 15").estimate.mean > 0.3
    assert claims(encrypted)["perturbation-hides"].verdict == "does not hold"
    assert claims(encrypted)["accurate-and-secret"].conditions == (
        "the server opens first, Eve has no key: advantage",
    )


def test_one_key_is_a_many_time_pad(encrypted):
    """c1 ⊕ c2 = x1 ⊕ x2 for every pair under one key, and for none under fresh ones."""
    assert [one.estimate.mean for one in claims(encrypted)["one-key"].trials] == [1.0, 0.0]


def test_residual_key_errors_cost_accuracy(encrypted):
    """The more bits of the key differ, the lower the accuracy."""
    means = [one.estimate.mean for one in claims(encrypted)["residual-key-errors"].trials]
    assert means == sorted(means, reverse=True)
    assert means[0] - means[-1] > 0.1


def test_noise_at_its_strongest(noisy):
    """Retrained exact kernels survive depolarising at 0.2, few shots and clean training do not."""
    exact = trial(noisy, "noise-0.2", "in the clear, retrained, exact").estimate.mean
    few = trial(noisy, "noise-0.2", "1024 shots").estimate.mean
    clean = trial(noisy, "noise-0.2", "trained without noise").estimate.mean
    assert exact > few > clean
    assert clean == pytest.approx(0.5, abs=0.1)


def test_depolarising_noise_commutes_with_the_pad():
    """A padded state loses what a plain one loses on a depolarising channel, and something else under damping."""
    one = experiment.clusters(SEED, 0)
    rows, asked = one.train.features[:20], one.test.features[:16]
    keys = np.array([[a, b] for a in range(4) for b in range(4)])
    for kind, same in (("depolarising", True), ("damping", False)):
        device = noise.Transit(noise.noise_of(kind, 0.2))
        clear, hidden = (device.arrived(asked, rows, pad, noisy_pads=False) for pad in (None, keys))
        assert np.allclose(clear, hidden, atol=1e-12) == same


def test_without_noise_a_channel_does_nothing():
    """At strength 0 what arrived is the exact kernel, padded or not."""
    one = experiment.clusters(SEED, 0)
    rows, asked = one.train.features[:5], one.test.features[:4]
    device = noise.Transit(noise.noise_of("damping", 0.0))
    exact = experiment.kernel(asked, rows)
    for keys in (None, np.array([[0, 1], [2, 3], [3, 3], [1, 2]])):
        assert np.allclose(device.arrived(asked, rows, keys), exact, atol=1e-12)


def test_the_printed_order_of_pad_and_map_breaks_the_kernel(padded):
    """Padded before the map entries are far off; after it under one key, or undone, they are exact."""
    errors = {one.condition: one.estimate.mean for one in claims(padded)["encrypted-kernel"].trials}
    assert errors[f"{pads.PRINTED_ONE}: largest error"] > 0.5
    assert errors[f"{pads.AFTER_ONE}: largest error"] < 1e-12
    assert errors[f"{pads.UNDONE}: largest error"] < 1e-12
    assert trial(padded, "padded-accuracy", pads.AFTER_FRESH).estimate.mean == pytest.approx(0.5, abs=0.15)


def test_independent_keys_leave_a_quarter(padded):
    """Over all pairs of keys every entry of two qubits averages 1/4."""
    table = next(one for one in padded.tables if one.name == "pads-every-key")
    averages = [row[table.columns.index("mean_independent_keys")] for row in table.rows]
    assert averages == pytest.approx([0.25, 0.25], abs=1e-12)


def test_modes_keep_what_they_should():
    """Many copies of a state are as good as opened features, and what nobody opens is worth nothing."""
    bouts = [modes.bout(SEED, number) for number in range(4)]
    right = {name: np.mean([bout[name] for bout in bouts]) for name in bouts[0]}
    assert right["otp"] > 0.85
    assert abs(right["qotp/1024"] - right["otp"]) < 0.05
    assert right["qotp/16"] < right["qotp/1024"]
    assert right["masked"] == pytest.approx(0.5, abs=0.15)


def test_what_answers_a_query_knows_it():
    """Nothing of a question is on the line under fresh pads; the server that opens has all of it, under same-pad so has the line."""
    told = modes.leaks(SEED)
    line, server = ({mode: bits[number] for mode, bits in told.items()} for number in (0, 1))
    assert line["otp"] == line["qotp"] == line["masked"] == server["masked"] == 0.0
    assert server["otp"] == pytest.approx(4.0)
    assert line["same-pad"] == server["same-pad"] > 1.0


def test_a_mode_that_nobody_acts_on_is_refused():
    """Runs that cannot be told from the one-time pad's are no measurement of another mode."""
    otp = {"consumed_bits": 5520, "answered": 10, "like_plain": 10}
    with pytest.raises(ValueError, match="as otp does"):
        modes_network.told_apart("qotp", dict(otp), otp)
    modes_network.told_apart("qotp", {**otp, "consumed_bits": 13_000}, otp)
    modes_network.told_apart("masked", {**otp, "like_plain": 5}, otp)


def test_a_hash_is_forged_and_a_mac_is_not():
    """Every forgery passes the hash, in the clear or padded; none passes the one-time MAC."""
    found = forgery.bout(SEED, 0)
    assert found["hash in the clear"] == found["hash under the pad"] == found["pad alone"] == found["tries"]
    assert found["one-time MAC"] == 0


def test_few_moves_and_few_questions_suffice():
    """Rows moved further are wrong more often, and 16 exact scores give the model away, 8 do not."""
    moved = adversaries.evasion(SEED, 0)
    assert moved["qsvm/0"] > moved["qsvm/0.1"] > moved["qsvm/0.2"]
    copied = adversaries.extraction(SEED, 0)
    assert copied["error/exact scores, 16 questions"] < 1e-6
    assert copied["error/exact scores, 8 questions"] > 1e-3


def test_targeted_flips_hurt_and_random_ones_hardly():
    """A fifth of labels flipped at random costs less than a fifth that is aimed."""
    bouts = [adversaries.poisoning(SEED, number) for number in range(4)]
    loss = {
        name: np.mean([bout["plain/0"] - bout[name] for bout in bouts])
        for name in ("random/0.25", "targeted/0.2")
    }
    assert loss["random/0.25"] < 0.06 < loss["targeted/0.2"]


def test_resources_are_held_against_the_printed_ranges():
    """The experiment of two features needs two qubits, far below what is printed; ranges are read from its words."""
    part = measured(resources.STUDY)
    proposed = claims(part)["resources-proposed"]
    assert proposed.ours.startswith("2 qubits")
    assert proposed.trials[0].outcome == "no"
    assert claims(part)["resources-review"].verdict == "cannot be tested"
    assert resources.printed_ranges("100+ qubits, depth 1000+") == ((100.0, math.inf), (1000.0, math.inf))
    with pytest.raises(ValueError, match="expected as in"):
        resources.printed_ranges("some qubits")


@pytest.mark.slow
def test_the_algorithms_run_through_the_network():
    """Sealed answers are the plain model's, a changed answer passes without a MAC and not with one, Eve makes blocks abort."""
    wanted = ("algorithm-1", "algorithm-2", "forged", "forged-mac")
    texts = {one.name: one.text for one in network.settings(TINY)}
    runs = {name: network.measured(1, texts[name]) for name in wanted}
    two = runs["algorithm-2"]
    assert two["like_plain"] == two["answered"] > 200
    assert network.bits_a_query(two) == pytest.approx(552, abs=1)
    assert runs["forged"]["rejected"] == 0 < runs["forged"]["answered"]
    assert runs["forged-mac"]["answered"] == 0 < runs["forged-mac"]["rejected"]
    one = runs["algorithm-1"]
    assert one["aborted_under_attack"] == one["blocks_under_attack"] > 20
    assert one["aborted_before"] == 0 < one["blocks_before"]


def test_every_setting_is_a_scenario():
    """All texts load, quick and full, and no two have one name."""
    from scenarios.loader import load_text  # noqa: PLC0415  pydantic and SimPy, which other tests do without

    for full in (False, True):
        plan = Plan(1, 2, full)
        asked = [*network.settings(plan), *modes_network.settings(plan)]
        assert len({one.name for one in asked}) == len(asked)
        for one in asked:
            assert load_text(one.text, one.name).name == one.name


def fake_study() -> Study:
    """A study of a moment, with a claim, a table and nothing to draw."""

    def jobs(plan: Plan) -> list[Job]:
        return [Job(accuracy.bout, (plan.seed, number, (3.2,))) for number in range(plan.seeds)]

    def found(_: Plan, results) -> Part:
        values = [bout[0][3] for bout in results]
        base = measured_claim(values)
        return Part("Fake", "About.", (base,), (Table("fake", ("bout", "value"), tuple(enumerate(values))),))

    return Study("fake", jobs, found)


def measured_claim(values):
    """A claim about the mean of some values."""
    from scenarios.reproduction.verdicts import Claim, Trial, mean  # noqa: PLC0415  beside what uses it

    return Claim("fake", "§0", "It is.", "0.5", (Trial("always", mean(values), low=0.0),), "It is.")


@pytest.fixture
def fake(monkeypatch) -> None:
    """`paper` is a study of a moment."""
    subject = Subject("paper", "Fake", "Lead.", lambda: [fake_study()], (3, 4))
    monkeypatch.setitem(SUBJECTS, "paper", subject)
    monkeypatch.setattr(command, "SUBJECTS", SUBJECTS)


def content(place: Path) -> dict[str, bytes]:
    """Name → bytes of every file."""
    return {path.name: path.read_bytes() for path in place.iterdir()}


@pytest.mark.usefixtures("fake")
def test_the_same_seed_gives_the_same_folder(tmp_path):
    """Every file of it, byte for byte; another seed gives other tables."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        reproduce("paper", seed=seed, out=tmp_path / name, workers=0)
    a, b, c = (content(tmp_path / name) for name in "abc")
    assert a == b
    assert a["fake.csv"] != c["fake.csv"]
    assert str(tmp_path).encode() not in b"".join(a.values())


@pytest.mark.slow
@pytest.mark.usefixtures("fake")
def test_the_number_of_processes_changes_nothing(tmp_path):
    """No process, one or two: the same bytes."""
    for count in (0, 1, 2):
        reproduce("paper", out=tmp_path / str(count), workers=count)
    assert content(tmp_path / "0") == content(tmp_path / "1") == content(tmp_path / "2")


@pytest.mark.slow
def test_an_error_in_a_process_ends_the_others():
    """What a job raises comes out, soon, and no process is left."""
    import multiprocessing  # noqa: PLC0415  beside what uses it

    before = set(multiprocessing.active_children())

    def failing() -> None:
        with Workers(2) as pool:
            pool.submit([Job(accuracy.bout, ("too", "many", "of", "them")), Job(experiment.circuit)])[
                0
            ].result()

    with pytest.raises(TypeError):
        failing()
    for process in set(multiprocessing.active_children()) - before:
        process.join(10)
    assert set(multiprocessing.active_children()) <= before


@pytest.mark.usefixtures("fake")
def test_a_failed_measurement_leaves_the_old_folder(tmp_path, monkeypatch):
    """An interrupt while measuring, or while writing, keeps what an earlier call made."""
    place = tmp_path / "paper"
    reproduce("paper", out=place, workers=0)
    before = content(place)

    def interrupted(*_args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(accuracy, "bout", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reproduce("paper", out=place, workers=0)
    with monkeypatch.context() as patch:
        patch.setattr(command, "manifest", interrupted)
        with pytest.raises(KeyboardInterrupt):
            reproduce("paper", seed=9, out=place, workers=0)
    assert content(place) == before


def test_a_wrong_call_is_refused_before_anything_runs(tmp_path, monkeypatch):
    """Unknown subjects, a single seed, negative seeds and foreign folders are said at once."""
    monkeypatch.setattr(command, "_measured", lambda *_: pytest.fail("it ran"))
    (tmp_path / "mine.txt").write_text("", encoding="utf-8")
    for call in (
        {"what": "nothing"},
        {"seeds": 1},
        {"seed": -1},
        {"out": tmp_path},
    ):
        with pytest.raises(ScenarioError):
            reproduce(**call)


@pytest.mark.usefixtures("fake")
def test_the_command_prints_a_table_or_one_object(tmp_path, monkeypatch):
    """80 columns on standard output, progress on the other stream, and exactly one JSON object with --json."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command.os, "sched_getaffinity", lambda _: ())
    plain = CliRunner().invoke(app, ["reproduce"])
    assert plain.exit_code == 0, plain.stderr
    assert max(map(len, plain.stdout.splitlines())) <= WIDTH
    assert "1 claims: 1 holds." in plain.stdout
    assert "[ 1/1] fake" in plain.stderr
    assert (tmp_path / "results/reproduction/paper/claims.csv").is_file()
    told = CliRunner().invoke(app, ["reproduce", "--json", "--out", "other", "--seed", "3"])
    data = json.loads(told.stdout)
    assert data["reproduction"] == "paper"
    assert (data["seed"], data["mode"]) == (3, "quick")
    assert data["claims"][0]["verdict"] == "holds"
    wrong = CliRunner().invoke(app, ["reproduce", "everything"])
    assert wrong.exit_code == 2
    assert "expected one of" in wrong.stderr


def test_reports_are_one_page_that_loads_nothing(encrypted, padded, noisy):
    """The page has every claim with its verdict, each figure for both widths, and no address to load from."""
    subject, plan = SUBJECTS["paper"], Plan(1, 6)
    made = command.files(subject, plan, [encrypted, padded, noisy])
    page = made["report.html"]
    for claim in (*encrypted.claims, *padded.claims, *noisy.claims):
        assert f'id="claim-{claim.id}"' in page
    assert page.count('class="wide"') == page.count('class="narrow"') == len(noisy.figures)
    assert not re.search(r'(?:src|href)="(?!#)', page)
    assert "<script" not in page
    assert 'name="viewport"' in page


def test_figures_are_files_of_their_own(noisy):
    """An SVG is well formed, carries its style, and has a title for who cannot see it."""
    made = command.files(SUBJECTS["paper"], Plan(1, 3), [noisy])
    drawn = [name for name in made if name.endswith(".svg")]
    assert len(drawn) == len(noisy.figures)
    for name in drawn:
        root = ET.fromstring(made[name])  # noqa: S314  our own file
        assert root.attrib["role"] == "img"
        assert root.find("{http://www.w3.org/2000/svg}style") is not None
        assert "nan" not in made[name]


def test_tables_are_tidy(encrypted):
    """Every row has the columns of its head; floats have at most ten digits; nothing is not a number."""
    for name, text in command.files(SUBJECTS["paper"], Plan(1, 6), [encrypted]).items():
        if name.endswith(".csv"):
            rows = list(csv.reader(io.StringIO(text)))
            assert len({len(row) for row in rows}) == 1
            assert "nan" not in {cell for row in rows for cell in row}
            assert "-0" not in {cell for row in rows for cell in row}


def test_cells_fold_within_their_columns():
    """A long cell goes on below itself, and columns too wide for the terminal are refused."""
    table = folded(("a", "b"), [("one two three", "x")], (5, 3))
    assert table.splitlines()[2:] == ["one    x", "two", "three"]
    with pytest.raises(ValueError, match="wider than 80"):
        folded(("a", "b"), [], (40, 40))


def test_defences_are_judged_by_their_interval():
    """A benefit is one only if the interval leaves 0 out; nothing measured is nothing told."""
    assert duels.judged(Estimate(0.1, 0.01, 0.2)) == "benefit"
    assert duels.judged(Estimate(0.1, -0.01, 0.2)) == "no benefit shown"
    assert duels.judged(Estimate(0.0, 0.0, 0.0)) == "no benefit shown"
    assert duels.judged(Estimate(-0.1, -0.2, -0.01)) == "makes it worse"
    assert duels.judged(Estimate(math.nan, math.nan, math.nan)) == "cannot be told"
    assert duels.charged(Estimate(0.1, 0.01, 0.2)) == "cost"
    assert duels.charged(Estimate(0.0, -0.1, 0.1)) == "no cost shown"


def test_duels_are_replayed_from_their_bouts(monkeypatch):
    """Outcomes fought elsewhere give the record that they would have given here, and the table says what helps."""
    helps = Duel("attack", "wall", "share", lambda rng: Outcome(0.5 + 0.01 * rng.random(), 0.1, 0.9, 0.8))
    idle = Duel(
        "attack", "prayer", "share", lambda rng: Outcome(0.5, 0.5 + 0.1 * (rng.random() - 0.5), 0.9, 0.9)
    )
    alone = Duel("attack", "none", "share", lambda _: Outcome(0.5, 0.5, 0.9, 0.9))
    monkeypatch.setattr(duels, "duels_of", lambda _: (helps, idle, alone))
    results = [duels.bouts("queries", 1, number) for number in range(4)]
    found = duels.records("queries", results)
    assert [duels.judged(record.benefit) for record in found] == [
        "benefit",
        "no benefit shown",
        "no benefit shown",
    ]
    assert found[0].cost.mean == pytest.approx(0.1)
    part = duels.STUDIES[1].found(Plan(1, 4), results)
    assert "no benefit shown" in part.printed
    assert max(map(len, part.printed.splitlines())) <= WIDTH


def test_every_duel_is_fought():
    """The catalogue of pairs that the command fights is the whole of the modules', attack alone included."""
    from nodes.qml.query_duels import QUERY_DUELS  # noqa: PLC0415  seconds of imports, for this test only
    from nodes.qml.training_duels import TRAINING_DUELS  # noqa: PLC0415  likewise

    assert duels.duels_of("queries") == tuple(QUERY_DUELS)
    assert duels.duels_of("training") == tuple(TRAINING_DUELS)


def test_studies_have_names_of_their_own():
    """Progress and files cannot be taken for one another's."""
    names = [study.name for study in paper.STUDIES]
    assert len(set(names)) == len(names)
