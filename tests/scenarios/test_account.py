"""`evelab account`: every line of the ledger, adding up, and the time, from the folder of a run."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import scenarios
from netsim.errors import ScenarioError
from scenarios.account import LINES, account

SCENARIO = """
duration: 300 ms
fabric: direct
link: {protocol: bb84, block_pulses: 60000, pulse_rate: 1 MHz}
timeline:
  - {at: 0 s, until: 50 ms, action: eve.intercept_resend}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of a few blocks, the first of them aborted."""
    folder = tmp_path_factory.mktemp("account")
    (folder / "small.yaml").write_text(SCENARIO)
    return scenarios.run(folder / "small.yaml", out=folder / "run")


def test_the_lines_add_up(run):
    """From what was detected each debit leaves the next line that is no debit, and the sums are those of the ledger."""
    found = account(run.out)
    link = run.summary["link"]
    assert found.blocks == link["blocks"] - link["blocks_aborted"] > 0
    left = found.bits["detections"]
    for name, sign, _ in LINES[:-1]:
        if sign:
            left -= found.bits[name]
        else:
            assert left == found.bits[name], name
    assert {name: bits for name, bits in found.bits.items() if name in link["ledger"]} == {
        name: link["ledger"][name] for name in found.bits if name in link["ledger"]
    }


def test_the_steps_add_up_to_the_time_of_a_block(run):
    """What the steps took, one after the other, is the time from the first pulse to the key."""
    for row in run.findings.blocks:
        found = account(run.out, row.block)
        steps = [seconds for seconds in found.simulated_s.values() if seconds is not None]
        if row.status == "accepted":
            assert len(steps) == 5
            assert sum(steps) == pytest.approx(row.end_s - row.start_s, rel=1e-9)
        if row.status != "unfinished":
            assert found.simulated_s["light"] == pytest.approx(0.06)
    assert set(found.work_s) == {"light", "sifting", "reconciliation", "amplification", "messages"}
    assert 0 < sum(found.work_s.values()) < found.wall_s


def test_one_block_is_accounted_for_whatever_became_of_it(run):
    """An aborted block has lines as far as it came, and no secret."""
    found = account(run.out, 0)
    assert (found.block, found.blocks) == (0, 1)
    assert found.bits["sifted_bits"] > 0
    assert found.bits["secret_bits"] == 0
    assert found.fate == "aborted: qber"
    assert found.simulated_s["delivery"] is None
    left = found.bits["key_bits"]
    for name in (
        "disclosed_parities",
        "given_away_bits",
        "disclosed_counts",
        "verification_bits",
        "lost_bits",
    ):
        left -= found.bits[name]
    assert left == 0


def test_a_block_that_is_not_there_is_refused(run):
    """The error says which there are."""
    with pytest.raises(ScenarioError, match="got 99, expected a block of this run, 0 to"):
        account(run.out, 99)


def test_the_command_prints_tables_or_one_object(run):
    """80 columns at most, each line of the ledger, or exactly one JSON object."""

    def printed(*arguments):
        command = [sys.executable, "-m", "scenarios.cli", "account", str(run.out), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout  # noqa: S603  our own command

    text = printed()
    assert max(map(len, text.splitlines())) <= 80
    for name, _, words in LINES:
        assert (words in text) == (name != "lost_bits")
    assert "time of a block, simulated" in text
    aborted = printed("--block", "0")
    assert "block 0, aborted: qber" in aborted
    assert "lost with blocks that gave no key" in aborted
    assert json.loads(printed("--block", "1", "--json"))["block"] == 1
