"""The report: what it says of a run, that it loads nothing and hides nothing, and what it refuses."""

from __future__ import annotations

import copy
import csv
import hashlib
import html.parser
import io
import json
import re

import numpy as np
import pytest

import scenarios
from netsim.errors import ScenarioError
from scenarios.loader import load_text
from scenarios.report import write_report
from scenarios.report.timeline import Act
from scenarios.report.wilson import wilson
from scenarios.schema import resolved

SCENARIO = """
about: A test of the report
duration: 3 s
link: {protocol: bb84, length: 10 km}
queries: {rate: 20 /s}
timeline:
  - {at: 1 s, until: 2 s, action: eve.intercept_resend}
expect:
  - qber during 1 s..2 s > 15 %
  - queries.latency_s.p95 < 100 ms
"""
SECTIONS = [
    "expectations",
    "errors",
    "key",
    "queries",
    "model",
    "eve",
    "ledger",
    "time",
    "conversation",
    "origin",
]
BLOCK = {
    "block": 0,
    "start_s": 0.0,
    "end_s": 0.4,
    "light_s": 0.25,
    "announcement_s": 0.008,
    "sifting_s": 0.012,
    "reconciliation_s": 0.125,
    "delivery_s": 0.005,
    "status": "accepted",
    "reason": "",
    "qber": 0.01,
    "qber_Z": 0.011,
    "qber_X": 0.009,
    "chsh_s": "",
    "chsh_standard_error": "",
    "pulses": 1_000_000,
    "detections": 504_851,
    "sifted_bits": 252_277,
    "test_bits": 50_455,
    "key_bits": 201_822,
    "disclosed_parities": 16_819,
    "given_away_bits": 0,
    "disclosed_counts": 0,
    "verification_bits": 40,
    "amplification_bits": 43_071,
    "secret_bits": 141_892,
    "authentication_spent_bits": 384,
    "authentication_replenished_bits": 768,
    "delivered_bits": 141_124,
    "reconciliation_rounds": 289,
    "reconciliation_efficiency": 1.0434,
    "amplification_term_bits": 40_000.3,
    "statistics_term_bits": 3_000.4,
    "reconciliation_term_bits": 16_819.0,
    "epsilon_term_bits": 110.0,
    "no_key_for": "",
    "gates": 1_000_000,
    "clicks": 504_851,
    "double_clicks": 0,
    "ones": 252_500,
    "early": 0,
    "late": 0,
    "after_gate": 0,
    "attenuated": 0,
    "photocurrent": 0,
    "eve_sifted_bits": 0.0,
    "eve_key_bits": 0.0,
    "a_column_of_later": "x",
}
ABORTED = {
    "status": "aborted",
    "reason": "qber",
    "qber": 0.25,
    "disclosed_parities": 0,
    "verification_bits": 0,
    "amplification_bits": 0,
    "secret_bits": 0,
    "authentication_replenished_bits": 0,
    "delivered_bits": 0,
    "reconciliation_rounds": 0,
    "amplification_term_bits": "",
    "statistics_term_bits": "",
    "reconciliation_term_bits": "",
    "epsilon_term_bits": "",
    "eve_sifted_bits": 100_911.0,
}
TOO_SHORT = ABORTED | {
    "reason": "too_short",
    "qber": 0.01,
    "disclosed_parities": 16_819,
    "amplification_term_bits": 100_000.0,
    "statistics_term_bits": 90_000.0,
    "epsilon_term_bits": 110.0,
    "no_key_for": "statistics",
}
DECOYS = """
duration: 3 s
link:
  protocol: bb84
  source: {kind: weak-coherent, intensities: [0.5, 0.1], probabilities: [0.7, 0.3]}
"""
LEDGER = (
    "detections",
    "sifted_bits",
    "test_bits",
    "key_bits",
    "disclosed_parities",
    "verification_bits",
    "amplification_bits",
    "secret_bits",
    "authentication_spent_bits",
    "authentication_replenished_bits",
    "delivered_bits",
)
QUERY = {
    "client": 1,
    "sequence": 0,
    "created_s": 0.5,
    "sent_s": 0.501,
    "answered_s": 0.51,
    "latency_s": 0.01,
    "status": "answered",
    "reason": "",
    "truth": 1,
    "answer": 1,
    "correct": "true",
}
STORED_ALICE, STORED_BOB = 74_000, 66_572  # of the 141,124 delivered, 552 are consumed


class Folder:
    """A run's folder in the making: rows and manifest to change, then to write."""

    def __init__(self, path, text=SCENARIO):
        self.path = path
        scenario = resolved(load_text(text, "a-run"))
        self.blocks = [dict(BLOCK)]
        self.queries = [dict(QUERY)]
        self.intensities = None
        self.metrics = [
            [0.4, "kme-alice", "stored_bits", 74_288, "bit"],
            [0.4, "kme-bob", "stored_bits", 66_836, "bit"],
            [0.501, "kme-alice", "stored_bits", STORED_ALICE, "bit"],
            [0.505, "kme-bob", "stored_bits", STORED_BOB, "bit"],
        ]
        self.events = [{"t_s": 0.4, "node": "alice", "event": "block_accepted", "block": 0, "reason": ""}]
        self.manifest = {
            "evelab": "0.1.0",
            "scenario": scenario,
            "scenario_sha256": "ab" * 32,
            "seed": 1,
            "command": ["evelab", "run", "a run.yaml"],
            "versions": {"evelab": "0.1.0", "numpy": np.__version__},
            "python": "3.11.7",
            "machine": "x86_64",
            "summary": {
                "scenario": "a-run",
                "seed": 1,
                "verdict": "fail",
                "simulated_s": 3.0,
                "wall_s": 1.5,
                "work_s": {"light": 0.3, "reconciliation": 0.6},
                "fabric": "direct",
                "link": {
                    "protocol": "bb84",
                    "proof": "a proof, to be found on the page",
                    "qber": 0.01,
                    "chsh_s": None,
                    "chsh_standard_error": None,
                    "abort_reasons": {},
                    "no_key_for": {},
                    "intensities": {},
                    "secret_bits": 141_892,
                    "secret_key_rate_bps": 47_297.3,
                    "net_key_rate_bps": 47_169.3,
                    "reconciliation": "cascade",
                    "reconciliation_efficiency": 1.0434,
                    "reconciliation_rounds": 289.0,
                    "epsilon": 2e-10,
                },
                "keys": {
                    "delivered_bits": 141_124,
                    "consumed_bits": 552,
                    "reused_bits": 0,
                    "mismatched_bits": 0,
                    "exhausted_events": 0,
                },
                "queries": {
                    "issued": 1,
                    "answered": 1,
                    "rejections": {},
                    "latency_s": {"p50": 0.01, "p95": 0.01, "p99": 0.01},
                    "accuracy": 1.0,
                },
                "eve": {
                    "attacks": ["eve.intercept_resend"],
                    "known_key_bits": 0,
                    "known_query_bits": 0,
                    "detected": True,
                    "detection_delay_s": 0.3515,
                    "false_alarms": 0,
                    "overheard": {"messages": 0, "clients": 0, "lengths": 0},
                },
                "model": {
                    "kind": "qsvm",
                    "data": "clusters",
                    "features": 2,
                    "mode": "otp",
                    "answers": "score",
                    "training": {"rows": 140, "poisoned": 14, "removed": 9, "removed_poisoned": 5},
                    "test_rows": 60,
                    "accuracy": {
                        "served": 0.9,
                        "untouched": 0.95,
                        "qsvm": 0.9,
                        "rbf-svm": 0.95,
                        "logistic": 0.95,
                    },
                    "attacks": {"extract": {"questions": 16.0, "score_error": 0.0, "agreement": None}},
                    "doubted": 3,
                    "canaries": {"asked": 20, "answered": 19, "wrong": 8, "alarm_s": 1.5},
                    "delivery": {"sentence": "it was late."},
                    "playbook": {"actions": {"alarm": 1}},
                    "privacy_epsilon": 40.0,
                    "leak": {
                        "questions_bits": 5.9,
                        "line_bits": 0.0,
                        "server_bits": 5.9,
                        "gram_error": None,
                        "key_bits": 552,
                    },
                },
                "algorithm_2": {
                    "leakage": {
                        "verdict": "leakage",
                        "sentence": "It leaks.",
                        "evidence": {"queries": 16, "gradient_error": 0.25, "program": None},
                    }
                },
            },
            "expect": [
                {"expression": expression, "value": value, "passed": value > 0.2}
                for expression, value in zip(scenario["expect"], (0.25475, 0.1926), strict=False)
            ],
            "files": {},
        }

    @property
    def summary(self):
        """The manifest's summary."""
        return self.manifest["summary"]

    def tables(self):
        """Each file's text."""
        decoys = {"intensities.csv": self.intensities} if self.intensities else {}
        return decoys | {
            "summary.csv": "path,value\nseed,1\n",
            "blocks.csv": table(list(self.blocks[0]), [list(block.values()) for block in self.blocks]),
            "queries.csv": table(list(QUERY), [list(query.values()) for query in self.queries]),
            "metrics.csv": table(["t_s", "node", "metric", "value", "unit"], self.metrics),
            "events.jsonl": "".join(json.dumps(event) + "\n" for event in self.events),
        }

    def write(self, **tables):
        """Write the folder, with other texts for some files (dots are underscores), and hashes that fit."""
        self.path.mkdir(exist_ok=True)
        texts = self.tables() | {name.replace("_", "."): text for name, text in tables.items()}
        for name, text in texts.items():
            (self.path / name).write_text(text, encoding="utf-8", newline="")
        manifest = copy.deepcopy(self.manifest)
        manifest["files"] = {
            name: hashlib.sha256(text.encode()).hexdigest() for name, text in texts.items()
        } | manifest["files"]
        (self.path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        return self.path

    def report(self):
        """The page that is made of it."""
        return write_report(self.write()).read_text(encoding="utf-8")


def table(header, rows):
    """A CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *rows])
    return text.getvalue()


class Reader(html.parser.HTMLParser):
    """Reads a page: its elements must nest; keeps its attributes and, by section, its text."""

    def __init__(self):
        super().__init__()
        self.open = []
        self.attributes = []
        self.section = "header"
        self.texts = {}
        self.tags = set()

    def handle_starttag(self, tag, attrs):
        """Enter an element."""
        self.tags.add(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        if tag == "section":
            self.section = dict(attrs)["id"]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Leave it: it must be the innermost."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Text; style and tooltips are none."""
        if not {"style", "title"} & set(self.open):
            self.texts[self.section] = self.texts.get(self.section, "") + " " + data.replace("\xa0", " ")


def read(page):
    """The page, read to its end."""
    reader = Reader()
    reader.feed(page)
    reader.close()
    assert reader.open == []
    return reader


def section(page, name):
    """The text of a section of the page, with single spaces."""
    return " ".join(read(page).texts[name].split())


@pytest.fixture
def folder(tmp_path):
    """A small run with one accepted block and one answered query."""
    return Folder(tmp_path / "run")


def test_the_page_has_its_sections_in_order(folder):
    """Headline first, then expectations, errors, key, queries, the model, Eve, ledger, time, conversation, origin."""
    page = folder.report()
    assert re.findall(r'<section id="(\w+)"', page) == SECTIONS
    assert page.startswith("<!DOCTYPE html>\n<html lang=")
    texts = read(page).texts
    assert set(texts) == {"header", *SECTIONS}


def test_the_headline_says_what_happened_from_the_numbers(folder):
    """Verdict, seed, time, key rate, whether Eve was noticed, and what she knows stand at the top."""
    head = section(folder.report(), "header")
    for words in (
        "a-run",
        "✗ FAIL",
        "seed 1",
        "3 s simulated",
        "1 of 2 expectations did not hold",
        "A test of the report",
        "The only block gave key: 141,892 bits of secret key, 47.3 kbit/s",
        "Eve (eve.intercept_resend) was noticed 352 ms after she began",
        "she knows nothing of the final key that the referee can tell from chance and read no query",
        "1 of 1 query got an answer, half of them within 10 ms",
    ):
        assert words in head
    assert "Warning" not in head


def test_expectations_are_told_with_the_units_of_what_they_measure(folder):
    """A fraction is told in per cent, a time in milliseconds, bits as bits, a count without decimals; each says whether it held."""
    folder.manifest["expect"].append(
        {"expression": "keys.consumed_bits > 1 kbit", "value": 552, "passed": False}
    )
    folder.manifest["expect"].append(
        {"expression": "queries.accuracy == null", "value": None, "passed": True}
    )
    folder.manifest["expect"].append({"expression": "eve.detected == true", "value": True, "passed": True})
    folder.manifest["expect"].append({"expression": "rejected > 10", "value": 67.0, "passed": True})
    text = section(folder.report(), "expectations")
    assert "qber during 1 s..2 s > 15 % 25.5 % ✓ held" in text
    assert "queries.latency_s.p95 < 100 ms 192.6 ms ✗ failed" in text
    assert "keys.consumed_bits > 1 kbit 552 bits ✗ failed" in text
    assert "queries.accuracy == null no value ✓ held" in text
    assert "eve.detected == true true ✓ held" in text
    assert "rejected > 10 67 ✓ held" in text


def test_the_page_loads_nothing_and_runs_nothing(folder):
    """No address, no script, no style or image from elsewhere: the file alone is the page."""
    page = folder.report()
    reader = read(page)
    assert not re.search(r"https?:|//[a-z]", page)
    assert not {"script", "link", "img", "iframe", "object", "embed", "base", "form"} & reader.tags
    assert {value for _, name, value in reader.attributes if name == "href"} == {
        f"#{name}" for name in SECTIONS
    }
    assert not {
        name for _, name, _ in reader.attributes if name.startswith("on") or name in ("src", "srcset")
    }
    assert "@import" not in page
    assert set(re.findall(r"url\(([^)]*)\)", page)) == {"#eve-stripes", "#environment-dots"}
    assert ("meta", "content", "default-src 'none'; style-src 'unsafe-inline'") in reader.attributes


def test_the_page_knows_dark_screens_telephones_and_paper(folder):
    """The style has its rules for each, and every chart is drawn for a wide and for a narrow page."""
    page = folder.report()
    for rule in ("prefers-color-scheme: dark", "@media print", "max-width: 620px"):
        assert rule in page
    assert page.count('class="wide"') == page.count('class="narrow"') > 4


@pytest.mark.parametrize(
    "place", ["about", "name", "expression", "command", "version", "reason", "node", "proof"]
)
def test_texts_of_a_scenario_cannot_become_markup(folder, place):
    """Whatever stands in a scenario or in a table is shown as it is."""
    hostile = "</style></title><script>alert('&')</script><img src=x onerror=y>"
    match place:
        case "about":
            folder.manifest["scenario"]["about"] = hostile
        case "name":
            folder.summary["scenario"] = hostile
        case "expression":
            folder.manifest["expect"][0]["expression"] = hostile
        case "command":
            folder.manifest["command"] = [hostile]
        case "version":
            folder.manifest["versions"][hostile] = hostile
        case "reason":
            folder.blocks = [BLOCK | ABORTED | {"reason": hostile}]
            folder.summary["link"]["abort_reasons"] = {hostile: 1}
        case "node":
            folder.metrics[0][1] = hostile
        case "proof":
            folder.summary["link"]["proof"] = hostile
    reader = read(folder.report())
    assert not {"script", "img"} & reader.tags
    assert "onerror=y" in " ".join(reader.texts.values())


def test_the_same_folder_gives_the_same_page(folder):
    """The page depends on nothing but the folder's other files."""
    assert folder.report() == folder.report()
    assert sorted(path.name for path in folder.path.iterdir()) == sorted(
        [*folder.tables(), "manifest.json", "report.html"]
    )


def test_a_large_run_stays_small_and_says_what_was_left_out(tmp_path):
    """5,000 blocks, 20,000 queries and 40,000 changes of the stores fit in 1 MB; the captions tell of the grouping."""
    folder = Folder(tmp_path / "run", SCENARIO.replace("duration: 3 s", "duration: 1250 s"))
    rng = np.random.default_rng(1)
    folder.blocks = [
        BLOCK
        | (ABORTED if number % 5 == 0 else {})
        | {"block": number, "start_s": number / 4, "end_s": number / 4 + 0.4}
        for number in range(5000)
    ]
    created = np.sort(rng.uniform(0, 1250, 20_000)).tolist()
    folder.queries = [
        QUERY | {"created_s": at, "sent_s": at, "answered_s": at + wait, "latency_s": wait}
        for at, wait in zip(created, rng.lognormal(-4, 1, 20_000).tolist(), strict=True)
    ]
    folder.metrics = [
        [at, f"kme-{site}", "stored_bits", int(bits), "bit"]
        for at, bits in zip(np.linspace(0, 1250, 20_000).tolist(), rng.uniform(0, 1e6, 20_000), strict=True)
        for site in ("alice", "bob")
    ]
    folder.events = [{"t_s": at, "node": "kme-alice", "event": "key_exhausted"} for at in created]
    page = folder.report()
    assert len(page.encode()) < 1_000_000
    assert "Too many blocks to draw each (5,000)" in section(page, "errors")
    assert "the area reaches from the least to the greatest" in section(page, "errors")
    assert "a bar is the mean of 32 neighbours" in section(page, "key")
    assert "first, least, greatest and last value in each 1/300 of the run" in section(page, "key")
    assert "Too many answers to draw each (20,000)" in section(page, "queries")


def test_blocks_that_were_aborted_look_different(folder):
    """An aborted block is a cross and has a tick in the row below; one that gave key is a point and a bar."""
    folder.blocks.append(BLOCK | ABORTED | {"block": 1, "start_s": 1.0, "end_s": 1.35})
    folder.blocks.append(
        BLOCK | {"block": 2, "start_s": 2.75, "end_s": "", "status": "unfinished", "qber": ""}
    )
    folder.summary["link"]["abort_reasons"] = {"qber": 1}
    page = folder.report()
    errors = page.split('<section id="errors">')[1].split("</section>")[0]
    one = errors.split('class="narrow"')[0]
    drawing = one.split('class="wide"')[1]
    assert drawing.count('class="point"') == 1
    assert drawing.count('class="cross"') == 1
    assert "block 1, 1 to 1.25 s, aborted: the error rate was above its threshold" in drawing
    assert 'class="shade eve"' in drawing
    assert "abort above 11" in drawing
    head = section(page, "header")
    assert "1 of 2 blocks gave key" in head
    assert "1 was aborted (the error rate was above its threshold)" in head
    assert "1 unfinished at the end" in head


def test_a_block_of_e91_shows_its_chsh_value_with_its_error(folder):
    """S has its own chart, from S minus to S plus its standard error, between its bounds."""
    e91 = SCENARIO.replace("protocol: bb84", "protocol: e91, source: {position: middle}")
    folder = Folder(folder.path, e91)
    folder.blocks[0] |= {"chsh_s": 2.75, "chsh_standard_error": 0.006}
    folder.summary["link"] |= {"chsh_s": 2.75, "chsh_standard_error": 0.006}
    page = folder.report()
    text = section(page, "errors")
    assert "CHSH value of each block" in text
    assert "2√2, the quantum limit" in text
    assert "abort below 2" in text
    assert "S = 2.750 ± 0.006" in page
    assert "Source" in section(page, "conversation")


def test_a_relay_measures_what_both_send(tmp_path):
    """The story has two beams of light and the relay's announcement; the ledger begins with what it announced."""
    mdi = DECOYS.replace("bb84", "mdi").replace("link:", "link:\n  grain: sampled")
    page = Folder(tmp_path / "run", mdi).report()
    text = section(page, "conversation")
    for words in ("Charlie", "which of them met", "which of these count", "504,851 of those announced"):
        assert words in text
    assert "announced by the relay 504,851" in section(page, "ledger")


def test_without_authentication_no_security_is_promised(tmp_path):
    """The headline warns, and the ledger does not quote a proof as if it held."""
    folder = Folder(tmp_path / "run", SCENARIO + "defences: {authentication: false}\n")
    folder.summary["link"]["epsilon"] = 1.0
    page = folder.report()
    assert "Warning: Authentication was off." in section(page, "header")
    assert "no security is promised" in section(page, "header")
    assert "Security: none: without authentication no proof applies" in section(page, "ledger")
    assert "an empty tag: authentication is off" in section(page, "conversation")


def test_an_epsilon_of_one_promises_nothing(folder):
    """Failure probabilities that add up to one are called what they are."""
    folder.summary["link"]["epsilon"] = 1.0
    page = folder.report()
    assert "add up to ε = 1, so no security is promised" in section(page, "header")
    assert "Security: none" in section(page, "ledger")


def test_without_key_there_is_nothing_to_promise(folder):
    """Where no block gave key there is no ε, and the page says why."""
    folder.blocks = [BLOCK | ABORTED]
    folder.summary["link"] |= {"epsilon": None, "secret_bits": 0, "abort_reasons": {"qber": 1}}
    page = folder.report()
    assert "no key was made" in section(page, "header")
    assert "Security: nothing is promised, for no key was made." in section(page, "ledger")


def test_epsilon_and_proof_stand_in_the_ledger(folder):
    """An ε below one is told with the proof that it rests on."""
    text = section(folder.report(), "ledger")
    assert "Security: ε = 2 × 10⁻¹⁰ for the final key as a whole" in text
    assert "a proof, to be found on the page" in text
    assert "289 rounds a block on average and disclosed 1.043 times" in text


def test_keys_that_differ_and_bits_used_twice_are_warned_of(folder):
    """What would make all other numbers worthless stands in the headline."""
    folder.summary["keys"] |= {"mismatched_bits": 70_000, "reused_bits": 1}
    head = section(folder.report(), "header")
    assert "Alice's and Bob's final keys differ in 70,000 bits" in head
    assert "1 bit of key was handed out more than once" in head


def test_what_eve_knows_is_told(folder):
    """Bits of the final key and of queries that she knows stand in the headline and the table, with their share."""
    folder.summary["eve"] |= {"known_key_bits": 70_946, "known_query_bits": 32, "detected": False}
    folder.summary["eve"]["detection_delay_s"] = None
    folder.blocks[0]["eve_sifted_bits"] = 100_911.0
    page = folder.report()
    head = section(page, "header")
    assert (
        "was not noticed; she knows 70,946 bits of the final key (50 %) and read 32 bits of queries" in head
    )
    text = section(page, "eve")
    assert "blocks that gave key 100,911 bits 201,822 bits 50 %" in text
    assert "final key 70,946 bits 141,892 bits 50 %" in text
    assert "Not noticed." in text


def test_alarms_are_told_with_who_raised_them_and_when(folder):
    """Each reason and node has a line; the first alarm that counted is named."""
    folder.events += [
        {"t_s": 1.3515, "node": "bob", "event": "alarm", "reason": "qber"},
        {"t_s": 1.6, "node": "alice", "event": "alarm", "reason": "qber"},
        {"t_s": 1.7, "node": "client-1", "event": "alarm", "reason": "answer: mac"},
    ]
    text = section(folder.report(), "eve")
    assert "Noticed 352 ms after she began (at 1 s) by bob (the error rate was above its threshold)." in text
    assert "the error rate was above its threshold 2 1.3515 s alice, bob" in text
    assert "answer: the tag did not fit 1 1.7000 s client-1" in text
    assert "False alarms" not in text


def test_the_ledger_adds_up_to_the_bit(folder):
    """From detections to delivered key every line is there, and the page says that they add up."""
    text = section(folder.report(), "ledger")
    for words in (
        "1 block that gave key",
        "detected 504,851",
        "bases that differed − 252,574",
        "sifted 252,277",
        "revealed to estimate the errors 20 % − 50,455",
        "reconciliation: disclosed to correct the errors 6.67 % − 16,819",
        "amplification: what Eve may know, by the rates seen 15.9 % − 40,000",
        "statistics: what she may know besides, as a block is finite 1.19 % − 3,000",
        "epsilon: the price of ε, and of the hash that verifies 0.044 % − 111",
        "final key 56.2 % 141,892",
        "kept to authenticate the next blocks − 768",
        "delivered to the key stores 141,124",
        "The lines add up to the bit.",
    ):
        assert words in text


def test_the_stacked_bar_shows_the_shares_of_the_ledger(folder):
    """Its parts are as wide as their shares of the sifted bits, and fill it."""
    page = folder.report()
    found = re.findall(r'style="width:([\d.]+)%" class="part (\w+)"', page)
    widths = {part: float(width) for width, part in found}
    assert widths == {
        "revealed": 20.0,
        "reconciliation": 6.67,
        "amplification": 15.86,
        "statistics": 1.19,
        "epsilon": 0.04,
        "secret": 56.24,
    }
    assert 'class="limit"' not in page


def test_blocks_too_short_for_key_show_what_ate_it(folder):
    """The terms are drawn beyond the end of what was sifted, what is missing is told, and why."""
    folder.blocks = [BLOCK | TOO_SHORT]
    folder.summary["link"] |= {
        "epsilon": None,
        "secret_bits": 0,
        "abort_reasons": {"too_short": 1},
        "no_key_for": {"statistics": 1},
    }
    page = folder.report()
    text = section(page, "ledger")
    assert "1 block that came too short" in text
    assert "statistics: what she may know besides, as a block is finite 35.7 % − 90,000" in text
    assert "missing: no key 2.02 % 5,107" in text
    assert 'class="limit" style="left:98.02%"' in page
    why = "the allowance for statistics took it all; a larger block would leave some"
    assert f"Too short: {why}." in text
    assert why in section(page, "header")


def test_intensities_show_their_gains_and_errors(tmp_path):
    """With decoys each has its line in both charts, and its rates over the whole run with the bits they rest on."""
    folder = Folder(tmp_path / "run", DECOYS)
    found = {"detected_signal": 40_000, "detected_decoy": 3_000}
    folder.blocks = [
        BLOCK | found | {"block": number, "start_s": number / 4, "double_clicks": number * 100}
        for number in range(3)
    ]
    folder.intensities = "block,basis,intensity,mean_photons,sifted,tested,errors\n" + "".join(
        f"{number},{basis},{name},0.5,20000,{tested},{tested // 50}\n"
        for number in range(3)
        for basis in "ZX"
        for name, tested in (("signal", 1000), ("decoy", 100))
    )
    folder.summary["link"]["intensities"] = {
        "signal": {"mean_photons": 0.5, "gain": 0.057, "qber": 0.02},
        "decoy": {"mean_photons": 0.1, "gain": 2.1e-6, "qber": None},
    }
    page = folder.report()
    text = section(page, "errors")
    assert "decoy-state BB84 (0.5, 0.1 photons)" in section(page, "header")
    assert "Gain and QBER of each intensity signal decoy" in text
    assert "signal 0.5 5.7 % 2 % 6,000" in text
    assert "decoy 0.1 2.1 × 10⁻⁶ – 600" in text
    # Two plots, each for a desk and a telephone, and the legend.
    assert page.count('class="line i0"') == page.count('class="line i1"') == 2 * 2 + 1
    assert "double clicks 300 0.0198 % of clicks both detectors at once" in text
    assert "detector 1 alone" not in text
    assert "1,000,000 weak pulses" in section(page, "conversation")
    assert "her bases, intensities, and her outcomes" in section(page, "conversation")


def test_instruments_that_saw_nothing_are_not_shown(folder):
    """Without a reading there is no table; an alarm of the telemetry brings up even the evenest of them."""
    assert "instruments" not in section(folder.report(), "errors")
    folder.events.append({"t_s": 1.5, "node": "bob", "event": "alarm", "reason": "telemetry: ones above"})
    page = folder.report()
    assert "ones 252,500 50 % of clicks detector 1 alone" in section(page, "errors")
    assert "something in the telemetry left what is usual" in section(page, "errors")
    assert "ones above what is usual 1 1.5000 s bob" in section(page, "eve")


def test_false_alarms_and_overheard_envelopes_are_told(folder):
    """How often the telemetry cried wolf, and what Eve learned from the outside of messages."""
    folder.summary["eve"] |= {
        "false_alarms": 2,
        "overheard": {"messages": 1234, "clients": 3, "lengths": 1},
    }
    text = section(folder.report(), "eve")
    assert "False alarms. The telemetry gave 2 alarms before she began." in text
    assert "envelopes, from outside 1,234 messages 3 clients, 1 length" in text
    folder.summary["eve"]["attacks"] = []
    assert "The telemetry gave 2 alarms though nobody attacked." in section(folder.report(), "eve")


def test_a_ledger_that_does_not_add_up_is_denounced(folder):
    """Three bits too few after amplification are three bits astray."""
    folder.blocks[0]["amplification_bits"] -= 3
    text = section(folder.report(), "ledger")
    assert "These lines do not add up: 3 bits are astray." in text


def test_queries_are_counted_by_what_became_of_them(folder):
    """Every status has its number and share, refusals their reasons, accuracy its interval."""
    fates = ["answered"] * 5 + ["rejected"] * 2 + ["lost", "gave up", "pending"]
    missing = {"sent_s": "", "answered_s": "", "latency_s": "", "correct": ""}
    folder.queries = [QUERY | {"status": fate} | (missing if fate != "answered" else {}) for fate in fates]
    folder.queries[0]["correct"] = "false"
    folder.summary["queries"] |= {
        "issued": 10,
        "answered": 5,
        "rejections": {"unknown or spent key": 3, "mac": 2},
    }
    text = section(folder.report(), "queries")
    assert "Accuracy 80 % : 4 of 5 answers were right; 95 % Wilson interval 37.6 % to 96.4 %." in text
    for words in ("answered 5 50 %", "rejected 2 20 %", "lost 1 10 %", "gave up 1 10 %", "pending 1 10 %"):
        assert words in text
    assert "its key was unknown or spent 3" in text
    assert "copies that Eve sent count too" in text
    assert "asked in all 10" in text


def test_latencies_over_more_than_a_decade_have_a_logarithmic_axis(folder):
    """The caption says so; within a decade the axis is linear."""
    assert "logarithmic" not in section(folder.report(), "queries")
    folder.queries.append(QUERY | {"created_s": 0.6, "latency_s": 0.5})
    assert "The latency axis is logarithmic." in section(folder.report(), "queries")


@pytest.mark.parametrize(
    ("right", "count", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_interval_is_the_published_one(right, count, low, high):
    """Newcombe, Statistics in Medicine 17 (1998), table I, method 3."""
    assert wilson(right, count) == pytest.approx((low, high), abs=5e-5)


def test_without_data_a_proportion_may_be_anything():
    """The interval of nothing is everything."""
    assert wilson(0, 0) == (0.0, 1.0)


def test_a_scenario_without_queries_says_so(tmp_path):
    """No tiles, no charts and no conversation about queries."""
    text = SCENARIO.replace("queries: {rate: 20 /s}\n", "").replace(
        "  - queries.latency_s.p95 < 100 ms\n", ""
    )
    folder = Folder(tmp_path / "run", text + "  - link.secret_bits > 0\n")
    folder.queries, folder.metrics = [], []
    page = folder.report()
    assert "Nobody asked anything" in section(page, "queries")
    assert "Latency" not in section(page, "header")
    assert "A query" not in section(page, "conversation")


def test_a_run_without_a_finished_block_has_a_page(folder):
    """Nothing is divided by nothing."""
    folder.blocks = [BLOCK | {"status": "unfinished", "end_s": "", "qber": ""} | dict.fromkeys(LEDGER, 0)]
    folder.queries, folder.metrics, folder.events = [], [], []
    folder.summary["link"] |= {"qber": None, "secret_bits": 0, "epsilon": 0, "reconciliation_rounds": None}
    folder.summary["queries"] |= {"issued": 0, "answered": 0, "accuracy": None}
    folder.summary["queries"]["latency_s"] = {"p50": None, "p95": None, "p99": None}
    page = folder.report()
    assert "No block was finished" in section(page, "header")
    assert "there is no final key for her to know" in section(page, "header")
    assert "No query was asked" in section(page, "queries")


@pytest.mark.parametrize(
    ("reason", "reached", "last", "never"),
    [
        ("authentication_key_exhausted", {}, "no key was left", "announces the block"),
        ("timeout", {}, "announces the block", "which clicked"),
        ("no_detections", {}, "his outcomes for the same sample", "parity questions"),
        ("qber", {"detections": 9}, "his outcomes for the same sample", "parity questions"),
        ("timeout", {"detections": 9, "reconciliation_rounds": 7}, "7 rounds of Cascade", "universal hash"),
        ("too_short", {"detections": 9, "verification_bits": 40}, "universal hash", "Toeplitz"),
        (
            "authentication",
            {"detections": 9, "verification_bits": 40, "secret_bits": 5},
            "tag over all that she said",
            "tag over all that he said",
        ),
    ],
)
def test_the_story_of_an_aborted_block_ends_where_it_stopped(folder, reason, reached, last, never):
    """The diagram goes as far as the ledger does, and says who gave the block up and why."""
    nothing = dict.fromkeys(LEDGER, 0) | {"reconciliation_rounds": 0, "qber": ""}
    folder.blocks = [BLOCK | nothing | {"status": "aborted", "reason": reason} | reached]
    folder.events = [{"t_s": 0.3, "node": "bob", "event": "block_aborted", "block": 0, "reason": reason}]
    folder.summary["link"] |= {"abort_reasons": {reason: 1}, "secret_bits": 0, "epsilon": 0}
    text = section(folder.report(), "conversation")
    assert last in text
    assert never not in text
    assert "Bob gives the block up" in text
    assert "No block gave key; this is the first, up to where it stopped." in text


@pytest.mark.parametrize(
    ("status", "reason", "sent", "stops"),
    [
        ("pending", "", "", "still waits for key"),
        ("gave up", "", "", "gives up: no key came in time"),
        ("lost", "", 0.6, "no answer came in time"),
        ("pending", "", 0.6, "the run ended before an answer"),
        ("rejected", "query: mac", 0.6, "refuses the query: the tag did not fit"),
        ("rejected", "answer: mac", 0.6, "refuses the answer: the tag did not fit"),
        ("from the future", "", 0.6, "opens"),
    ],
)
def test_the_story_of_an_unanswered_query_ends_where_it_stopped(folder, status, reason, sent, stops):
    """The diagram says how far it came."""
    unanswered = {"answered_s": "", "latency_s": "", "correct": ""}
    folder.queries = [QUERY | unanswered | {"status": status, "reason": reason, "sent_s": sent}]
    folder.summary["queries"] |= {"answered": 0, "accuracy": None}
    text = section(folder.report(), "conversation")
    assert stops in text
    assert "No query was answered; this is the first of those that came furthest" in text


def test_time_is_told_step_by_step(folder):
    """Simulated steps add up to the whole, with their shares; computing is told by step, and what is left over."""
    folder.blocks.append(BLOCK | {"block": 1, "start_s": 1.0, "end_s": 1.4, "reconciliation_s": 0.375})
    text = section(folder.report(), "time")
    for words in (
        "2 blocks that gave key",
        "the block's light leaves 250 ms 47.6 %",
        "until the keys are equal 250 ms 47.6 %",
        "from the first pulse to the key 525 ms",
        "reconciliation and verification 600 ms 40 %",
        "everything else: queries, the referee, setting up 600 ms 40 %",
        "the whole run 1.5 s",
    ):
        assert words in text


def test_time_of_blocks_that_were_given_up_is_told_as_far_as_they_came(folder):
    """Without key the steps that were reached are told, and without a finished block nothing."""
    folder.blocks = [BLOCK | ABORTED | {"reconciliation_s": "", "delivery_s": ""}]
    text = section(folder.report(), "time")
    assert "blocks, as far as they came" in text
    assert "until the keys are equal" not in text
    folder.blocks = [BLOCK | ABORTED | {"status": "unfinished"}]
    assert "No block was finished." in section(folder.report(), "time")


def test_frames_given_away_are_told_and_charged(folder):
    """What no code could mend stands in the conversation and among what reconciliation disclosed."""
    folder.blocks[0] |= {"given_away_bits": 640, "disclosed_parities": 16_819 - 640}
    page = folder.report()
    assert "their bits, in the open" in section(page, "conversation")
    assert "640 bits of frames that no code could mend were given away" in section(page, "ledger")
    assert "do not add up" not in page


@pytest.mark.parametrize(("rounds", "more"), [(0, False), (2, True)])
def test_the_story_of_one_way_reconciliation(folder, rounds, more):
    """With LDPC Alice's syndromes come unasked, and more of them where Bob asked."""
    folder.summary["link"]["reconciliation"] = "ldpc"
    folder.blocks[0]["reconciliation_rounds"] = rounds
    text = section(folder.report(), "conversation")
    assert "syndromes of her frames" in text
    assert ("frames he could not decode" in text) == more
    assert "parity questions" not in text


def test_the_story_is_told_of_a_block_that_eve_touched(folder):
    """Of two blocks that gave key, the one is chosen whose light passed Eve while she measured."""
    folder.blocks.append(BLOCK | {"block": 1, "start_s": 1.0, "end_s": 1.4})
    page = folder.report()
    assert "The first block that gave key although Eve was at work." in section(page, "conversation")
    assert '<circle cx="' in page
    assert page.count('class="touch acting"') == 2 + 2  # the light, wide and narrow, and two legends


@pytest.mark.parametrize(
    ("entry", "what", "touches"),
    [
        ({"action": "eve.intercept_resend"}, "light", True),
        ({"action": "eve.intercept_resend"}, "tag", False),
        ({"action": "eve.cut", "channel": "quantum"}, "light", True),
        ({"action": "eve.cut", "channel": "quantum"}, "query", False),
        ({"action": "eve.cut", "channel": "classical"}, "query", True),
        ({"action": "eve.tamper", "messages": ["query"]}, "query", True),
        ({"action": "eve.tamper", "messages": ["query"]}, "answer", False),
        ({"action": "eve.replay"}, "query", True),
        ({"action": "eve.replay"}, "answer", False),
        ({"action": "eve.replay", "messages": "link"}, "parities", True),
        ({"action": "eve.replay", "messages": "link"}, "query", False),
        ({"action": "eve.blinding"}, "light", True),
        ({"action": "eve.blinding"}, "query", False),
        ({"action": "eve.exhaust_keys"}, "query", False),
        ({"action": "eve.traffic_analysis"}, "answer", True),
        ({"action": "eve.traffic_analysis"}, "parities", False),
        ({"action": "eve.impersonate"}, "light", True),
        ({"action": "eve.impersonate"}, "answer", True),
        ({"action": "network.delay"}, "query", False),
        ({"action": "eve.of_the_future"}, "light", False),
    ],
)
def test_an_action_touches_what_the_catalogue_says(entry, what, touches):
    """Light, or messages of a kind, by the hooks and parameters of the action."""
    parameters = dict(entry)
    act = Act(0.0, 1.0, parameters.pop("action"), "eve", parameters)
    assert act.touches(what) is touches


def test_origin_tells_how_to_make_the_run_again(folder):
    """Command, versions, hashes and the scenario with all defaults; loading that scenario gives the same one."""
    page = folder.report()
    text = section(page, "origin")
    for words in (
        "evelab run 'a run.yaml'",
        "EveLab 0.1.0, Python 3.11.7 on x86_64",
        "abab",
        "blocks.csv",
        "a row a block",
    ):
        assert words in text
    shown = re.search(
        r"<details><summary>The scenario, with all defaults</summary><pre><code>(.*?)</code>", page, re.DOTALL
    )
    again = load_text(html.unescape(shown[1]), "a-run")
    assert resolved(again) == folder.manifest["scenario"]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    """So is one that does not exist; the message says what is missing."""
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ScenarioError, match=r"not a run's folder: it has no manifest\.json"):
            write_report(path)


@pytest.mark.parametrize("name", ["blocks.csv", "queries.csv", "metrics.csv", "events.jsonl", "summary.csv"])
def test_a_table_that_was_cut_short_is_refused(folder, name):
    """A file whose bytes are not those of the run is named; the report that was there stays as it was."""
    page = folder.report()
    path = folder.path / name
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ScenarioError) as caught:
        write_report(folder.path)
    assert caught.value.faults == (f"{path}: cut short or changed: its SHA-256 is not the manifest's",)
    assert (folder.path / "report.html").read_text(encoding="utf-8") == page


def test_all_missing_files_are_named_at_once(folder):
    """Not only the first."""
    folder.write()
    (folder.path / "blocks.csv").unlink()
    (folder.path / "events.jsonl").unlink()
    with pytest.raises(ScenarioError) as caught:
        write_report(folder.path)
    assert caught.value.faults == (
        f"{folder.path}/blocks.csv: missing",
        f"{folder.path}/events.jsonl: missing",
    )


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("blocks_csv", "block,start_s\n0,0\n", "blocks.csv: no column end_s, status"),
        ("blocks_csv", "", "blocks.csv: no column block"),
        (
            "queries_csv",
            table(list(QUERY), [list(QUERY.values())[:-1]]),
            "queries.csv:2: got 10 cells, expected 11",
        ),
        (
            "queries_csv",
            table(list(QUERY), [["x"] * 11]),
            "queries.csv:2: created_s: got 'x', expected a number",
        ),
        (
            "queries_csv",
            table(list(QUERY), [[""] * 11]),
            "queries.csv:2: created_s: got '', expected a number",
        ),
        ("metrics_csv", 't_s,node,metric,value\n0,"a', "metrics.csv: damaged: unexpected end of data"),
        (
            "metrics_csv",
            "t_s,node,metric,value\n0,a,stored_bits,inf\n",
            "value: got 'inf', expected a number",
        ),
        ("events_jsonl", '{"t_s": 1}\n', "events.jsonl:1: damaged"),
        ("events_jsonl", "[1]\n", "events.jsonl:1: damaged"),
    ],
)
def test_a_damaged_table_is_refused_with_its_line(folder, file, text, fault):
    """Also where the manifest's hash fits it: the message says what was got and what was expected."""
    folder.write(**{file: text})
    with pytest.raises(ScenarioError) as caught:
        write_report(folder.path)
    assert any(fault in line for line in caught.value.faults)


def test_of_many_faults_the_first_are_told(folder):
    """A table that is wrong throughout does not flood the terminal."""
    folder.write(queries_csv=table(list(QUERY), [["x"] * 11] * 500))
    with pytest.raises(ScenarioError) as caught:
        write_report(folder.path)
    assert len(caught.value.faults) == 21
    assert re.fullmatch(r"and \d+ more faults", caught.value.faults[-1])


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"summary": NaN}', "\xff"])
def test_a_damaged_manifest_is_refused(folder, text):
    """Cut short, not a mapping, or not JSON at all."""
    folder.write()
    (folder.path / "manifest.json").write_text(text, encoding="latin-1")
    with pytest.raises(ScenarioError, match=r"manifest\.json"):
        write_report(folder.path)


def paths_in(tree, above=()):
    """Every path into nested mappings."""
    for name, value in tree.items():
        yield (*above, name)
        if isinstance(value, dict):
            yield from paths_in(value, (*above, name))


@pytest.mark.parametrize("wrong", [None, "wrong", [[]], ...])
def test_whatever_is_wrong_in_a_manifest_is_a_fault_or_does_not_matter(folder, wrong):
    """Any value of the manifest replaced or missing gives a page or a ScenarioError, never another error."""
    folder.write()
    manifest = folder.path / "manifest.json"
    whole = json.loads(manifest.read_text(encoding="utf-8"))
    refused = 0
    for *sections, name in paths_in(whole):
        damaged = copy.deepcopy(whole)
        place = damaged
        for key in sections:
            place = place[key]
        if wrong is ...:
            del place[name]
        else:
            place[name] = wrong
        manifest.write_text(json.dumps(damaged), encoding="utf-8")
        try:
            write_report(folder.path)
        except ScenarioError as error:
            refused += 1
            assert "manifest.json" in error.faults[0] or "SHA-256" in error.faults[0]  # noqa: PT017  either will do
    assert refused > 20


def test_no_half_written_page_is_left(folder, monkeypatch):
    """Where the page cannot be put in place, the folder is as it was."""
    folder.write()
    before = sorted(folder.path.iterdir())

    def full(_self, _target):
        raise OSError("no space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(OSError, match="no space left"):
        write_report(folder.path)
    assert sorted(folder.path.iterdir()) == before


def test_a_real_run_has_its_report(tmp_path):
    """What a run writes is what the report reads: both stay in step."""
    text = (
        "name: real\nduration: 100 ms\nlink: {protocol: e91, length: 1 km, block_pulses: 40000}\n"
        "timeline: [{at: 50 ms, action: eve.intercept_resend, fraction: 50 %}]\nexpect: [link.blocks > 3]\n"
    )
    result = scenarios.run(load_text(text, "real"), fabric="direct", out=tmp_path / "run")
    page = (result.out / "report.html").read_text(encoding="utf-8")
    assert "✓ PASS" in section(page, "header")
    assert "CHSH value of each block" in section(page, "errors")
    assert write_report(result.out).read_text(encoding="utf-8") == page
