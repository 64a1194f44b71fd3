"""Where the time went: of a block, simulated; and of the machine that computed it."""

from __future__ import annotations

from collections.abc import Sequence

from scenarios.report import words
from scenarios.report.folder import Block, Run
from scenarios.report.markup import Markup, joined, table, tag

TIMES = (
    ("light", "the block's light leaves"),
    ("announcement", "until Bob's announcement is here"),
    ("sifting", "sifting, and errors estimated"),
    ("reconciliation", "until the keys are equal"),
    ("delivery", "amplification, tags, delivery"),
)
"""Steps of a block, in simulated time, as Alice sees them."""

WORK = {
    "light": "light: sent, meddled with, detected",
    "sifting": "sifting, and errors estimated",
    "reconciliation": "reconciliation and verification",
    "amplification": "privacy amplification",
    "messages": "messages: encoded, authenticated, carried",
}
"""What is computed, as `nodes.observer.Step` names it."""


def section(run: Run) -> Markup:
    """Two tables: simulated time by step, and computing time by step."""
    return joined((_simulated(run), _computed(run)))


def _simulated(run: Run) -> Markup:
    blocks = run.accepted or run.done
    means = [(name, mean_s(blocks, step)) for step, name in TIMES]
    known = [(name, seconds) for name, seconds in means if seconds is not None]
    if not known:
        return tag("p", "No block was finished.")
    whole = sum(seconds for _, seconds in known)
    rows = [(name, words.time(seconds), words.share(seconds, whole)) for name, seconds in known]
    if run.accepted:
        rows.append(("from the first pulse to the key", words.time(whole), ""))
    which = (
        f"{words.plural(len(blocks), 'block')} that gave key"
        if run.accepted
        else "blocks, as far as they came"
    )
    kinds = [*[""] * len(known), *(["sum"] if run.accepted else [])]
    says = tag("p", "Light and messages take simulated time, computing takes none.", class_="muted")
    return joined((table([which, "simulated, mean", "share"], rows, ["", "number", "number"], kinds), says))


def _computed(run: Run) -> Markup | None:
    work = run.summary.work_s
    if not work:
        return None
    whole = max(run.summary.wall_s, sum(work.values()))
    rows = [
        (WORK.get(step, step), words.time(seconds), words.share(seconds, whole))
        for step, seconds in work.items()
    ]
    rest = whole - sum(work.values())
    rows.append(
        ("everything else: queries, the referee, setting up", words.time(rest), words.share(rest, whole))
    )
    rows.append(("the whole run", words.time(whole), ""))
    kinds = [*[""] * (len(rows) - 1), "sum"]
    heads = ["this machine computed, for both parties", "wall clock", "share"]
    return table(heads, rows, ["", "number", "number"], kinds)


def mean_s(blocks: Sequence[Block], step: str) -> float | None:
    """How long a step took on average; None where no block came so far."""
    took = [block.step_s.get(step) for block in blocks]
    known = [seconds for seconds in took if seconds is not None]
    return sum(known) / len(known) if known else None
