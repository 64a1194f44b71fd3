"""A run's folder: tidy tables, a manifest that tells how to get them again, and nothing secret."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import math
from pathlib import Path

import numpy as np
import pytest

from netsim.keys.key_store import KeyStore
from nodes.link import BlockResult
from scenarios import results, runner
from scenarios.loader import load_text
from scenarios.referee import Referee
from scenarios.results import scenario_hash
from scenarios.runner import run

TEXT = """\
about: A little of everything.
seed: 3
duration: 120 ms
fabric: direct
link:
  protocol: bb84
  pulse_rate: 5 MHz
  block_pulses: 50000
  length: 1 km
queries:
  clients: 2
  rate: 200 /s
  start: 40 ms
server:
  training:
    samples: 40
timeline:
  - {at: 20 ms, until: 40 ms, action: eve.intercept_resend}
  - {at: 80 ms, action: eve.tamper}
expect:
  - eve.detected == true
"""
HEADERS = {
    "summary.csv": ["path", "value"],
    "blocks.csv": [
        *("block", "start_s", "end_s"),
        *("light_s", "announcement_s", "sifting_s", "reconciliation_s", "delivery_s"),
        *("status", "reason", "qber", "qber_Z", "qber_X"),
        *("chsh_s", "chsh_standard_error", "pulses", "detections", "sifted_bits", "test_bits", "key_bits"),
        *("disclosed_parities", "given_away_bits", "disclosed_counts", "verification_bits"),
        *("amplification_bits", "secret_bits"),
        *("authentication_spent_bits", "authentication_replenished_bits", "delivered_bits"),
        *("reconciliation_rounds", "corrected_bits", "reconciliation_efficiency", "phase_error_bound"),
        *("amplification_term_bits", "statistics_term_bits", "reconciliation_term_bits"),
        *("epsilon_term_bits", "no_key_for", "epsilon"),
        *("gates", "clicks", "double_clicks", "ones", "early", "late", "after_gate", "attenuated"),
        *("photocurrent", "mismatched_bits", "eve_sifted_bits", "eve_key_bits"),
    ],
    "queries.csv": [
        *("client", "sequence", "created_s", "sent_s", "answered_s", "latency_s", "status", "reason"),
        *("truth", "answer", "correct"),
    ],
    "metrics.csv": ["t_s", "node", "metric", "value", "unit"],
}


DECOYS = """\
duration: 150 ms
classical: {bandwidth: 10 Gbit/s}
link:
  protocol: bb84
  grain: sampled
  pulse_rate: 50 MHz
  block_pulses: 2000000
  length: 1 km
  source: {kind: weak-coherent, intensities: [0.5, 0.1, 0], probabilities: [0.7, 0.2, 0.1]}
"""


class Kept:
    """A run with its folder, and the world behind it."""

    def __init__(self, folder: Path) -> None:
        with pytest.MonkeyPatch.context() as patch:
            worlds = []

            class Overhearing(Referee):
                def __init__(self, world):
                    worlds.append(world)
                    super().__init__(world)

            self.made, self.handed_out = [], []
            forget_bits = BlockResult.forget_bits

            def remembered(result):
                self.made += [result.key, result.sifted_key]
                forget_bits(result)

            take_at = KeyStore.take_at

            def overseen(store, address, count):
                bits = take_at(store, address, count)
                self.handed_out.append(bits)
                return bits

            patch.setattr(runner, "Referee", Overhearing)
            patch.setattr(BlockResult, "forget_bits", remembered)
            patch.setattr(KeyStore, "take_at", overseen)
            self.scenario = load_text(TEXT, "kept.yaml")
            self.result = run(self.scenario, out=folder, command=["evelab", "run", "kept.yaml"])
        (self.world,) = worlds
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))

    def rows(self, name: str) -> list[dict[str, str]]:
        """The rows of a table."""
        return list(csv.DictReader(io.StringIO((self.folder / name).read_text(encoding="utf-8"))))


@pytest.fixture(scope="module")
def kept(tmp_path_factory) -> Kept:
    """One run of the scenario, for all tests to look at."""
    return Kept(tmp_path_factory.mktemp("kept") / "run")


def test_files_and_their_hashes(kept):
    """The folder holds the tables, the events, the report and the manifest, which has the hash of each table."""
    names = {path.name for path in kept.folder.iterdir()}
    assert names == {*HEADERS, "events.jsonl", "manifest.json", "report.html"}
    assert set(kept.manifest["files"]) == names - {"manifest.json", "report.html"}
    for name, digest in kept.manifest["files"].items():
        assert hashlib.sha256((kept.folder / name).read_bytes()).hexdigest() == digest


def test_headers(kept):
    """Each table has the columns that its readers expect, every row as many cells, and plain line ends."""
    for name, header in HEADERS.items():
        content = (kept.folder / name).read_bytes()
        assert b"\r" not in content
        rows = list(csv.reader(io.StringIO(content.decode())))
        assert rows[0] == header
        assert {len(row) for row in rows} == {len(header)}
        assert len(rows) > 5


def test_e91_blocks_have_a_column_for_each_key_angle(tmp_path):
    """With E91 the error rates by angle stand where those by basis do, and CHSH is filled in."""
    overrides = (
        "link: {protocol: e91, pulse_rate: 5 MHz, block_pulses: 50000, length: 1 km}\nduration: 60 ms\n"
    )
    run(load_text(overrides, "e91.yaml"), fabric="direct", out=tmp_path / "e91")
    text = (tmp_path / "e91" / "blocks.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    angles = [name for name in rows[0] if name.startswith("qber_")]
    assert len(angles) == 2
    assert all(name.isascii() for name in rows[0])
    assert 2 < float(rows[0]["chsh_s"]) < 3


def table(folder: Path, name: str) -> list[dict[str, str]]:
    """The rows of a table."""
    return list(csv.DictReader(io.StringIO((folder / name).read_text(encoding="utf-8"))))


def test_decoys_have_a_table_of_their_own(tmp_path):
    """A row for each block, basis and intensity, whose counts add up to those of blocks.csv; the same over any fabric."""
    folders = [
        run(load_text(DECOYS, "decoys.yaml"), fabric=fabric, out=tmp_path / fabric).out
        for fabric in ("direct", "qunetsim")
    ]
    names = sorted(path.name for path in folders[0].glob("*.csv"))
    assert names == sorted([*HEADERS, "intensities.csv"])
    assert all((folders[0] / name).read_bytes() == (folders[1] / name).read_bytes() for name in names)
    blocks, cells = table(folders[0], "blocks.csv"), table(folders[0], "intensities.csv")
    assert list(cells[0]) == ["block", "basis", "intensity", "mean_photons", "sifted", "tested", "errors"]
    assert list(blocks[0])[-5:] == [
        *("detected_signal", "detected_decoy", "detected_vacuum", "vacuum_events", "single_photon_events")
    ]
    assert [(cell["basis"], cell["intensity"], cell["mean_photons"]) for cell in cells[:6]] == [
        (basis, name, photons)
        for basis in "ZX"
        for name, photons in (("signal", "0.5"), ("decoy", "0.1"), ("vacuum", "0.0"))
    ]
    estimated = [block for block in blocks if block["qber"]]
    assert len(cells) == 6 * len(estimated) > 0
    for block in estimated:
        mine = [cell for cell in cells if cell["block"] == block["block"]]
        for column, total in (("sifted", "sifted_bits"), ("tested", "test_bits")):
            assert sum(int(cell[column]) for cell in mine) == int(block[total])
        detected = sum(int(block[f"detected_{name}"]) for name in ("signal", "decoy", "vacuum"))
        assert detected == int(block["detections"])


def test_one_decoy_has_no_column_for_a_second():
    """The columns follow the scenario, whatever the blocks came to."""
    one_decoy = DECOYS.replace("[0.5, 0.1, 0]", "[0.5, 0.1]").replace("[0.7, 0.2, 0.1]", "[0.7, 0.3]")
    header, _ = results._blocks([], load_text(one_decoy, "decoy.yaml"))
    assert header[-4:] == ["detected_signal", "detected_decoy", "vacuum_events", "single_photon_events"]


def test_terms_of_a_key_length_account_for_the_block(kept):
    """What the terms leave of the key bits, rounded down, is the final key; what ate it is told where there is none."""
    rows = [row for row in kept.rows("blocks.csv") if row["phase_error_bound"]]
    for row in rows:
        taken = sum(
            float(row[f"{term}_term_bits"])
            for term in ("amplification", "statistics", "reconciliation", "epsilon")
        )
        assert max(0, math.floor(int(row["key_bits"]) - taken)) == int(row["secret_bits"])
        assert (row["no_key_for"] == "") == (row["status"] == "accepted")
    assert any(row["status"] == "accepted" for row in rows)


def test_metrics_are_long_and_sorted(kept):
    """Metrics come a value a row, by time, node and name, each with one unit."""
    rows = kept.rows("metrics.csv")
    order = [(float(row["t_s"]), row["node"], row["metric"]) for row in rows]
    assert order == sorted(order)
    units = {(row["metric"], row["unit"]) for row in rows}
    assert units == {
        ("stored_bits", "bit"),
        ("qber", "1"),
        ("sifted_bits", "bit"),
        ("secret_bits", "bit"),
        ("latency", "s"),
    }
    assert all(math.isfinite(float(row["value"])) for row in rows)


def test_events_are_json_lines_in_order(kept):
    """Events are an object a line, with time, node and what happened, in order of time."""
    lines = (kept.folder / "events.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    times = [event["t_s"] for event in events]
    assert times == sorted(times)
    assert all(0 <= t_s <= 0.12 for t_s in times)
    assert {"block_accepted", "block_aborted", "query_rejected", "alarm"} <= {
        event["event"] for event in events
    }
    assert all(isinstance(event["node"], str) for event in events)


def test_tables_say_what_the_summary_says(kept):
    """The tables add up to the summary, and summary.csv is the summary without machine and moment."""
    summary, blocks, queries = kept.result.summary, kept.rows("blocks.csv"), kept.rows("queries.csv")
    done = [row for row in blocks if row["status"] != "unfinished"]
    accepted = [row for row in done if row["status"] == "accepted"]
    assert len(done) == summary["link"]["blocks"]
    assert sum(int(row["secret_bits"]) for row in accepted) == summary["link"]["secret_bits"] > 0
    assert sum(row["status"] == "answered" for row in queries) == summary["queries"]["answered"] > 0
    assert {row["correct"] for row in queries} <= {"", "true", "false"}
    flat = {row["path"]: row["value"] for row in kept.rows("summary.csv")}
    assert flat["verdict"] == "pass"
    assert float(flat["link.qber"]) == summary["link"]["qber"]
    assert flat["eve.attacks"] == "eve.intercept_resend eve.tamper"
    assert flat["eve.detected"] == "true"
    assert flat["link.chsh_s"] == ""
    assert not {"wall_s", "out", "fabric"} & set(flat)


def test_manifest_loads_again_as_the_same_scenario(kept):
    """The manifest's scenario, read by the loader, is the one that ran, with the same hash."""
    again = load_text(json.dumps(kept.manifest["scenario"]), "again.yaml")
    assert again == kept.scenario
    assert scenario_hash(again) == scenario_hash(kept.scenario) == kept.manifest["scenario_sha256"]


def test_manifest_says_what_made_the_run(kept):
    """Seed, command, versions, summary and verdicts are in the manifest; where it lay is not."""
    manifest = kept.manifest
    assert manifest["seed"] == 3
    assert manifest["command"] == ["evelab", "run", "kept.yaml"]
    assert {"evelab", "qunetsim", "numpy", "qiskit", "simpy"} <= set(manifest["versions"])
    assert all(manifest["versions"].values())
    summary = dict(kept.result.summary)
    del summary["out"]
    assert manifest["summary"] == summary
    assert manifest["expect"] == summary["expect"]
    assert str(kept.folder) not in (kept.folder / "manifest.json").read_text(encoding="utf-8")


def test_versions_of_what_is_not_installed_are_null(monkeypatch):
    """A package without metadata, as in a copied source tree, costs its version and not the run."""
    monkeypatch.setattr(results, "PACKAGES", ("numpy", "no-such-package"))
    assert results._versions() == {"numpy": np.__version__, "no-such-package": None}


def test_hash_is_of_what_a_scenario_says():
    """Name, text and fabric leave the hash as it is; seed, values and expectations do not."""
    plain = "duration: 1 s\nlink: {protocol: bb84}\n"
    same = (
        "about: x\nname: other\nfabric: direct\nlink: {length: 25000 m, protocol: bb84}\nduration: 1000 ms\n"
    )
    first = scenario_hash(load_text(plain, "a.yaml"))
    assert scenario_hash(load_text(same, "b.yaml")) == first
    for change in ("seed: 2\n", "keys: {preshared: 8192 bit}\n", "expect: [link.qber < 5 %]\n"):
        assert scenario_hash(load_text(plain + change, "a.yaml")) != first


def spellings(bits: np.ndarray) -> list[bytes]:
    """The first 96 bits of a key, in all the ways in which they might be written."""
    start = bits[:96]
    raw = np.packbits(start).tobytes()
    digits = "".join(map(str, start[:48]))
    return [
        raw,
        raw.hex().encode(),
        raw.hex().upper().encode(),
        base64.b64encode(raw),
        base64.urlsafe_b64encode(raw),
        digits.encode(),
        ",".join(digits).encode(),
        ", ".join(digits).encode(),
        " ".join(digits).encode(),
        json.dumps(raw.decode("latin-1"))[1:-1].encode(),
        start.tobytes(),
    ]


def test_no_key_is_written(kept):
    """Not a key, sifted, final, issued or for authentication, stands in any file in any spelling (chance: under 1e-12)."""
    world = kept.world
    blocks = [*world.alice.results.values(), *world.bob.results.values()]
    keys = [block.key for block in blocks] + [block.sifted_key for block in blocks]
    keys += kept.made + kept.handed_out
    keys += [stretch for pad in (world.alice, world.bob) for stretch in pad.post.pool.pads._stretches]
    secrets = {spelling for key in keys if len(key) >= 96 for spelling in spellings(key)}
    assert len(secrets) > 500
    contents = {path.name: path.read_bytes() for path in kept.folder.iterdir()}
    written = [
        (name, secret) for name, content in contents.items() for secret in secrets if secret in content
    ]
    assert written == []


def test_search_for_keys_finds_a_key():
    """The search above would find a key that is written as bytes, digits, hexadecimal or Base64."""
    key = np.random.default_rng(1).integers(0, 2, 200, dtype=np.uint8)
    raw = np.packbits(key).tobytes()
    digits = "".join(map(str, key)).encode()
    for content in (
        raw,
        digits,
        json.dumps({"key": key.tolist()}).encode(),
        raw.hex().encode(),
        base64.b64encode(raw),
    ):
        assert any(spelling in content for spelling in spellings(key))
