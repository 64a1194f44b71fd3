"""The ledger: what became of the bits of a block, and what is promised of those that became key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scenarios.report import words
from scenarios.report.folder import Block, Run
from scenarios.report.markup import Markup, joined, table, tag

_TAKEN = {
    "revealed": "revealed to estimate the errors",
    "reconciliation": "reconciliation: disclosed to correct the errors",
    "amplification": "amplification: what Eve may know, by the rates seen",
    "statistics": "statistics: what she may know besides, as a block is finite",
    "epsilon": "epsilon: the price of ε, and of the hash that verifies",
}
"""What is taken from the sifted bits, as the stacked bar and the table show it."""


def section(run: Run) -> Markup:
    """The account of the blocks that gave key, or else of those that came close; and why others were aborted."""
    reasons, eaten = run.summary.link.abort_reasons, run.summary.link.no_key_for
    rows = [(words.why(reason), tag("code", reason), f"{count:,}") for reason, count in reasons.items()]
    aborts = table(["blocks aborted because", "", "blocks"], rows, ["", "", "number"]) if rows else None
    blocks = run.accepted or [block for block in run.done if block.no_key_for]
    account = tag("p", "No block gave key, so there is nothing to account for.")
    if blocks:
        account = _account(run, blocks)
    too_short = tag("p", tag("strong", "Too short:"), f" {words.no_key(eaten)}.") if eaten else None
    return joined((account, too_short, _efficiency(run), _promise(run), aborts))


def _account(run: Run, blocks: Sequence[Block]) -> Markup:
    def total(*names: str) -> int:
        return round(sum(getattr(block, name) or 0 for block in blocks for name in names))

    whole, sifted, secret = total("detections"), total("sifted_bits"), total("secret_bits")
    kept, delivered = total("authentication_replenished_bits"), total("delivered_bits")
    taken = {
        "revealed": total("test_bits"),
        "reconciliation": total("disclosed_parities", "given_away_bits", "disclosed_counts"),
        "amplification": total("amplification_term_bits"),
        "statistics": total("statistics_term_bits"),
        "epsilon": total("epsilon_term_bits"),
    }
    missing, astray = max(0, sum(taken.values()) - sifted), 0
    if run.accepted:
        # What is left after each debit must be what the ledger says is left, to the bit; the terms are none of the
        # ledger's, and each key length is rounded down.
        debits = total("verification_bits", "amplification_bits") + taken["reconciliation"]
        rounding = sifted - sum(taken.values()) - secret
        taken["epsilon"] += rounding
        astray = (
            abs(sifted - taken["revealed"] - total("key_bits"))
            + abs(total("key_bits") - debits - secret)
            + abs(secret - kept - delivered)
            + max(0, -2 - rounding, rounding - len(blocks) - 2)
        )
    differed = (
        "settings that make no key (they test CHSH)"
        if run.scenario.link.protocol == "e91"
        else "bases that differed"
    )
    both = " by both" if run.pairs else ""
    lines = [
        ("", "announced by the relay" if run.relayed else f"detected{both}", whole, "sum"),
        ("", differed, whole - sifted, ""),
        ("", "sifted", sifted, "sum"),
        *((part, _TAKEN[part], bits, "") for part, bits in taken.items()),
    ]
    if run.accepted:
        lines += [
            ("secret", "final key", secret, "sum"),
            ("", "kept to authenticate the next blocks", kept, ""),
            ("", "delivered to the key stores", delivered, "sum"),
        ]
    else:
        lines.append(("missing", "missing: no key", missing, "sum"))
    rows = []
    for part, name, bits, kind in lines:
        sign = "" if kind else "− "
        named = (tag("span", class_=f"part {part}"), name) if part else name
        mean = f"{sign}{bits / len(blocks):,.0f}"
        share = words.share(bits, sifted) if part else ""
        rows.append((named, share, mean, f"{sign}{bits:,}"))
    which = f"{words.plural(len(blocks), 'block')} that {'gave key' if run.accepted else 'came too short'}"
    heads = [which, "of sifted", "bits, mean", "bits, all"]
    account = table(heads, rows, ["", *["number"] * 3], [kind for *_, kind in lines])
    told = "The lines add up to the bit." if run.accepted else "Upright line: there were no more sifted bits."
    says = tag("p", told, class_="muted")
    if astray:
        says = tag("p", f"These lines do not add up: {words.bits(astray)} are astray.", class_="warning")
    return joined((_bar({**taken, "secret": secret}, sifted), account, says))


def _bar(parts: Mapping[str, int], sifted: int) -> Markup:
    """The sifted bits, and what they were taken for; more than there were, if there was no key."""
    whole = max(sifted, sum(parts.values()), 1)
    told = {part: f"{part}: {words.share(bits, sifted)} of the sifted bits" for part, bits in parts.items()}
    cells = [
        tag("div", title=told[part], style=f"width:{100 * bits / whole:.2f}%", class_=f"part {part}")
        for part, bits in parts.items()
        if bits > 0
    ]
    limit = tag("div", class_="limit", style=f"left:{100 * sifted / whole:.2f}%") if whole > sifted else None
    return tag("div", cells, limit, class_="stack", role="img", aria_label=", ".join(told.values()))


def _efficiency(run: Run) -> Markup | None:
    efficiency, rounds = run.summary.link.reconciliation_efficiency, run.summary.link.reconciliation_rounds
    if rounds is None:
        return None
    text = f" ({run.summary.link.reconciliation}) took {rounds:,.4g} rounds a block on average"
    if efficiency is not None:
        text += f" and disclosed {efficiency:.3f} times what Shannon's limit asks for the errors found"
    if given := sum(block.given_away_bits for block in run.accepted):
        text += f"; {words.bits(given)} of frames that no code could mend were given away"
    return tag("p", tag("strong", "Reconciliation"), text + ".")


def _promise(run: Run) -> Markup:
    epsilon, proof = run.summary.link.epsilon, run.summary.link.proof
    if epsilon is None or not run.accepted:
        text, proof = " nothing is promised, for no key was made", ""
    elif not run.scenario.defences.authentication:
        text = " none: without authentication no proof applies. The key length was computed as if one did: "
    elif epsilon >= 1:
        text = " none: the blocks' failure probabilities add up to ε = 1. The key length was computed by: "
    else:
        made = f"ε = {words.scientific(epsilon)} for the final key as a whole"
        text = f" {made} (secrecy, correctness, authentication), by: "
    return tag("p", tag("strong", "Security:"), f"{text}{proof}.")
