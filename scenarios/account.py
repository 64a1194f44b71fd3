"""Where a block's bits and time went: the ledger line by line, time simulated and time computed, from a run's folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from netsim.errors import ScenarioError
from scenarios.report.folder import Block, Run, read_folder
from scenarios.report.time import TIMES, mean_s

LINES = (
    ("detections", "", "detected"),
    ("unsifted_bits", "−", "settings that make no key"),
    ("sifted_bits", "", "sifted"),
    ("test_bits", "−", "revealed to estimate the errors"),
    ("key_bits", "", "raw key"),
    ("disclosed_parities", "−", "parities disclosed"),
    ("given_away_bits", "−", "frames given away in the open"),
    ("disclosed_counts", "−", "counts of errors told"),
    ("verification_bits", "−", "hashes that verify"),
    ("amplification_bits", "−", "privacy amplification"),
    ("lost_bits", "−", "lost with blocks that gave no key"),
    ("secret_bits", "", "secret key"),
    ("authentication_replenished_bits", "−", "kept to authenticate with"),
    ("delivered_bits", "", "delivered to the key stores"),
    ("authentication_spent_bits", "−", "spent on tags, from the pool"),
)
"""Entries of the ledger in their order: what is taken has a minus, the others are what is then left."""


@dataclasses.dataclass(frozen=True)
class Account:
    """The account of one block, or of all that gave key.

    Attributes:
        scenario: its name.
        block: the block's number; None for all that gave key.
        blocks: how many they are.
        fate: what became of the one block: "accepted", "unfinished", or "aborted" and why; "" for several.
        bits: entry of `LINES` → bits in all.
        simulated_s: step → mean duration; None where no block came so far.
        rounds: questions in reconciliation, mean.
        efficiency: disclosed bits over Shannon's limit.
        code: of reconciliation.
        work_s: step → wall-clock seconds of both parties, over the whole run; empty where the run does not say.
        wall_s: of the whole run.
    """

    scenario: str
    block: int | None
    blocks: int
    fate: str
    bits: dict[str, int]
    simulated_s: dict[str, float | None]
    rounds: float
    efficiency: float | None
    code: str
    work_s: dict[str, float]
    wall_s: float

    def as_data(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return dataclasses.asdict(self)


def account(folder: Path, block: int | None = None) -> Account:
    """The account of a run.

    Args:
        folder: the run's.
        block: one block's number, whatever became of it; None for all that gave key.

    Raises:
        ScenarioError: the folder is no run's, or has no such block.
    """
    run = read_folder(folder)
    blocks = run.accepted if block is None else [row for row in run.blocks if row.block == block]
    if block is not None and not blocks:
        raise ScenarioError(
            [f"--block: got {block}, expected a block of this run, 0 to {len(run.blocks) - 1}"]
        )
    return Account(
        scenario=run.summary.scenario,
        block=block,
        blocks=len(blocks),
        fate="" if block is None else ": ".join(filter(None, (blocks[0].status, blocks[0].reason))),
        bits={name: sum(_bits(row, name) for row in blocks) for name, _, _ in LINES},
        simulated_s={step: mean_s(blocks, step) for step, _ in TIMES},
        rounds=sum(row.reconciliation_rounds for row in blocks) / max(1, len(blocks)),
        efficiency=_efficiency(run, block, blocks),
        code=run.summary.link.reconciliation,
        work_s=run.summary.work_s,
        wall_s=run.summary.wall_s,
    )


def _bits(block: Block, name: str) -> int:
    if name == "unsifted_bits":
        return block.detections - block.sifted_bits
    if name == "lost_bits":  # what is left of the raw key and became none
        told = block.disclosed_parities + block.given_away_bits + block.disclosed_counts
        taken = told + block.verification_bits + block.amplification_bits + block.secret_bits
        return max(0, block.key_bits - taken)
    bits: int = getattr(block, name)
    return bits


def _efficiency(run: Run, block: int | None, blocks: list[Block]) -> float | None:
    if block is None:
        return run.summary.link.reconciliation_efficiency
    return blocks[0].reconciliation_efficiency
