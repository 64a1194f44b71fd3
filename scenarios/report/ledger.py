"""The ledger: where every detected bit went, and what is promised of those that became key."""

from __future__ import annotations

from scenarios.report import words
from scenarios.report.folder import Run
from scenarios.report.markup import Markup, joined, table, tag


def section(run: Run) -> Markup:
    """The account of the accepted blocks, and why the others were aborted."""
    reasons = run.summary.link.abort_reasons
    rows = [(words.why(reason), tag("code", reason), f"{count:,}") for reason, count in reasons.items()]
    aborts = table(["blocks aborted because", "", "blocks"], rows, ["", "", "number"]) if rows else None
    if not run.accepted:
        return joined(
            (tag("p", "No block gave key, so there is nothing to account for."), _promise(run), aborts)
        )
    return joined((_account(run), _efficiency(run), _promise(run), aborts))


def _account(run: Run) -> Markup:
    def total(name: str) -> int:
        return sum(getattr(block, name) for block in run.accepted)

    whole, sifted = total("detections"), total("sifted_bits")
    sifted_out = "settings that make no key (they test CHSH)" if run.pairs else "bases that differed"
    # What is left after each debit must be what the ledger says is left.
    lines = [
        ("detected by both" if run.pairs else "detected", whole, True),
        (sifted_out, whole - sifted, False),
        ("sifted", sifted, True),
        ("revealed to estimate the errors", total("test_bits"), False),
        ("left to make key from", total("key_bits"), True),
        ("parities disclosed to correct the errors", total("disclosed_parities"), False),
        ("hash disclosed to verify the correction", total("verification_bits"), False),
        ("taken away for what else Eve may know", total("amplification_bits"), False),
        ("final key", total("secret_bits"), True),
        ("kept to authenticate the next blocks", total("authentication_replenished_bits"), False),
        ("delivered to the key stores", total("delivered_bits"), True),
    ]
    rows, left, astray = [], whole, 0
    for name, bits, is_sum in lines:
        astray += abs(bits - left) if is_sum else 0
        left = bits if is_sum else left - bits
        start, size = (max(0, n) / (whole or 1) for n in (0 if is_sum else left, bits))
        style = f"margin-left:{100 * start:.2f}%;width:{100 * size:.2f}%"
        bar = tag("div", style=style, class_="kept" if is_sum else "gone")
        rows.append((name, f"{bits:,}" if is_sum else f"− {bits:,}", words.share(bits, whole), bar))
    heads, classes = ["accepted blocks", "bits", "of detections", ""], ["", "number", "number", "flow"]
    account = table(heads, rows, classes, ["sum" if is_sum else "" for *_, is_sum in lines])
    if astray:
        says = tag("p", f"These lines do not add up: {words.bits(astray)} are astray.", class_="warning")
    else:
        says = tag("p", "The lines add up to the bit.", class_="muted")
    return joined((account, says))


def _efficiency(run: Run) -> Markup | None:
    efficiency, rounds = run.summary.link.reconciliation_efficiency, run.summary.link.reconciliation_rounds
    if rounds is None:
        return None
    text = f" took {rounds:,.4g} rounds a block on average"
    if efficiency is not None:
        text += f" and disclosed {efficiency:.3f} times what Shannon's limit asks for the errors found"
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
