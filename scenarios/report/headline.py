"""The headline: the verdict, what happened in a few sentences, warnings, and the figures one looks for first."""

from __future__ import annotations

import math

from scenarios.report import words
from scenarios.report.folder import Run
from scenarios.report.markup import Markup, joined, tag
from scenarios.report.wilson import wilson
from scenarios.units import BIT_RATE, FRACTION, LENGTH, format_quantity


def section(run: Run) -> Markup:
    """The top of the page."""
    link, about = run.scenario.link, run.scenario.about
    facts = [
        f"{_protocol(run)} over {format_quantity(link.length, LENGTH)}",
        f"seed {run.manifest.seed}",
        f"{words.time(run.duration_s)} simulated",
        f"{run.summary.fabric} fabric",
        _expectations(run),
    ]
    text, class_ = ("✓ PASS", "pass") if run.summary.verdict == "pass" else ("✗ FAIL", "fail")
    verdict = tag("span", text, class_=f"verdict {class_}")
    sentences = (_key(run), _eve(run), _queries(run) if run.asks else None)
    parts = (
        tag("div", tag("h1", run.summary.scenario), verdict, class_="headline"),
        tag("p", " · ".join(facts), class_="facts"),
        tag("p", about, class_="about muted") if about else None,
        tag("div", [tag("p", sentence) for sentence in sentences if sentence], class_="lead"),
        [tag("p", tag("strong", "Warning: "), warning, class_="warning") for warning in _warnings(run)],
    )
    return joined((parts, _tiles(run)))


def _protocol(run: Run) -> str:
    decoys = ", ".join(f"{one.mean_photons:g}" for one in run.summary.link.intensities.values())
    name = run.scenario.link.protocol
    return f"decoy-state {name.upper()} ({decoys} photons)" if decoys else name.upper()


def _expectations(run: Run) -> str:
    stated, held = len(run.manifest.expect), sum(verdict.passed for verdict in run.manifest.expect)
    if not stated:
        return "no expectations were stated"
    if held == stated:
        return "the expectation held" if stated == 1 else f"all {stated} expectations held"
    return f"{stated - held} of {words.plural(stated, 'expectation')} did not hold"


def _key(run: Run) -> str:
    link, done, good = run.summary.link, len(run.done), len(run.accepted)
    if not done:
        return "No block was finished, so no key was made."
    whole = "The only block" if done == 1 else f"All {done:,} blocks"
    # Most frequent first; counts where there is more than one reason.
    ordered = sorted(link.abort_reasons.items(), key=lambda item: -item[1])
    told = [(f"{count} × " if len(ordered) > 1 else "") + words.why(reason) for reason, count in ordered]
    aborted = f"aborted ({', '.join(told)})"
    if not good:
        why = f" As to the length: {words.no_key(link.no_key_for)}." if link.no_key_for else ""
        return f"{whole} {'was' if done == 1 else 'were'} {aborted}: no key was made.{why}"
    rate = words.quantity(link.secret_key_rate_bps, BIT_RATE)
    made = f"{words.bits(link.secret_bits)} of secret key, {rate}"
    if run.scenario.defences.authentication:
        made += f" ({words.quantity(link.net_key_rate_bps, BIT_RATE)} after paying for authentication)"
    if good == done:
        return f"{whole} gave key: {made}."
    were = "was" if done - good == 1 else "were"
    return f"{good:,} of {done:,} blocks gave key, {made}; {done - good:,} {were} {aborted}."


def _eve(run: Run) -> str:
    eve, secret = run.summary.eve, run.summary.link.secret_bits
    if not eve.attacks:
        return "Nobody attacked."
    noticed = "was not noticed"
    if eve.detected:
        noticed = f"was noticed {words.time(eve.detection_delay_s)} after she began"
    knows = []
    if secret and eve.known_key_bits:
        share = words.share(eve.known_key_bits, secret)
        knows.append(f"she knows {words.bits(eve.known_key_bits)} of the final key ({share})")
    elif secret:
        knows.append("she knows nothing of the final key that the referee can tell from chance")
    if run.asks and eve.known_query_bits:
        knows.append(f"read {words.bits(eve.known_query_bits)} of queries")
    elif run.asks:
        knows.append("read no query")
    if not secret and not eve.known_query_bits:
        knows = ["there is no final key for her to know"]
    return f"Eve ({', '.join(eve.attacks)}) {noticed}; {' and '.join(knows)}."


def _queries(run: Run) -> str:
    queries, latency = run.summary.queries, run.summary.queries.latency_s
    if not queries.issued:
        return "No query was asked."
    asked = words.plural(queries.issued, "query", "queries")
    if not queries.answered:
        return f"None of {asked} was answered."
    return (
        f"{queries.answered:,} of {asked} got an answer, half of them within {words.time(latency.p50)} and "
        f"95{words.NBSP}% within {words.time(latency.p95)}; "
        f"{words.quantity(queries.accuracy, FRACTION)} of the answers were right."
    )


def _warnings(run: Run) -> list[str]:
    """What would make the other numbers worthless."""
    keys, warnings = run.summary.keys, []
    if not run.scenario.defences.authentication:
        warnings.append(
            "Authentication was off. Whoever sits between Alice and Bob can be Bob to Alice and Alice to Bob, so no "
            "security is promised, whatever the other numbers look like."
        )
    elif run.accepted and (run.summary.link.epsilon or 0.0) >= 1:
        warnings.append(
            "The failure probabilities of the blocks add up to ε = 1, so no security is promised."
        )
    if keys.mismatched_bits:
        differ, whole = words.bits(keys.mismatched_bits), words.bits(keys.delivered_bits)
        warnings.append(f"Alice's and Bob's final keys differ in {differ} ({whole} were delivered).")
    if keys.reused_bits:
        was = "was" if keys.reused_bits == 1 else "were"
        reused = f"{words.bits(keys.reused_bits)} of key {was} handed out more than once"
        warnings.append(f"{reused}: a one-time pad does not bear that.")
    return warnings


def _tiles(run: Run) -> Markup:
    link, eve, limit = run.summary.link, run.summary.eve, run.scenario.defences.abort_above_qber
    left = len(run.blocks) - len(run.done)
    made = f"{words.bits(link.secret_bits)} in {words.time(run.duration_s)}"
    finished = f"{left} unfinished at the end" if left else "all finished"
    threshold = "no threshold" if limit is None else f"abort above {words.percent(limit)}"
    tiles = [
        ("Secret key rate", words.quantity(link.secret_key_rate_bps, BIT_RATE), made),
        ("Blocks that gave key", f"{len(run.accepted):,} of {len(run.done):,}", finished),
        ("QBER, all blocks", words.quantity(link.qber, FRACTION), threshold),
    ]
    if link.chsh_s is not None:
        error = f"± {link.chsh_standard_error or 0.0:.2g}, at most 2.828"
        tiles.append(("CHSH S, all blocks", f"{link.chsh_s:.3f}", error))
    if run.asks:
        tiles += _query_tiles(run)
    if eve.attacks:
        noticed = f"noticed after {words.time(eve.detection_delay_s)}" if eve.detected else "not noticed"
        tiles.append(("Final key known to Eve", words.bits(eve.known_key_bits), noticed))
    cells = [
        tag(
            "div",
            tag("dt", name),
            tag("dd", value, class_="value"),
            tag("dd", note, class_="note"),
            class_="tile",
        )
        for name, value, note in tiles
    ]
    # Rows as even as can be.
    columns = len(tiles) if len(tiles) <= 5 else math.ceil(len(tiles) / 2)
    return tag("dl", cells, class_="tiles", style=f"--columns:{columns}")


def _query_tiles(run: Run) -> list[tuple[str, str, str]]:
    queries, (answered, right) = run.summary.queries, run.answers
    low, high = map(words.percent, wilson(right, answered))
    sure = f"95 % interval {low} to {high}" if answered else "no answers"
    share, p95 = words.share(answered, queries.issued), words.time(queries.latency_s.p95)
    return [
        ("Queries answered", f"{answered:,} of {queries.issued:,}", share),
        ("Latency, median", words.time(queries.latency_s.p50), f"95 %: {p95}"),
        ("Accuracy", words.quantity(queries.accuracy, FRACTION), sure),
    ]
