"""The conversation: who said what to whom for one block and one query, as far as they came."""

from __future__ import annotations

from collections.abc import Callable

from scenarios.report import words
from scenarios.report.figure import figure
from scenarios.report.folder import Block, Query, Run
from scenarios.report.markup import Markup, joined, tag
from scenarios.report.queries import fates
from scenarios.report.sequence import Step, sequence_diagram

_KEYS = [("message", "message"), ("touch", "passes Eve"), ("touch acting", "Eve acts")]


def section(run: Run) -> Markup:
    """A block, and a query if there was one."""
    block = _block(run) if run.done else tag("p", "No block was finished.")
    return joined((block, _query(run) if run.asks and run.queries else None))


def _fibre(run: Run, middle: str = "") -> list[str]:
    """Who is along the fibre, from Alice to Bob."""
    sites = [(run.scenario.eve.position, "Eve")]
    if middle:
        sites.append((run.scenario.link.length / 2, middle))
    return ["Alice", *(name for _, name in sorted(sites)), "Bob"]


def _middle(run: Run) -> str:
    """Who stands in the middle of the fibre: a source, a relay, or nobody."""
    source = "Source" if run.pairs and run.scenario.link.source.position == "middle" else ""
    return "Charlie" if run.relayed else source


def _block_touched(run: Run, block: Block, what: str) -> bool:
    """Whether an action of Eve's was on when a block's light, or its messages of a kind, passed her.

    An action on both channels touches the messages only of blocks whose light it had.
    """
    light_s = (block.start_s, block.start_s + run.block_s)
    messages_s = (light_s[1], run.duration_s if block.end_s is None else block.end_s)
    return any(
        act.touches(what) and act.overlaps(*(light_s if act.touches("light") else messages_s))
        for act in run.acts
    )


def _block(run: Run) -> Markup:
    """One block: one that Eve touched and that still gave key, or one that gave key, or the first."""
    good = run.accepted
    touched = next(
        (block for what in ("light", "tag") for block in good if _block_touched(run, block, what)), None
    )
    block = touched or (good or run.done)[0]
    why = "No block gave key; this is the first, up to where it stopped."
    if good:
        why = f"The first block that gave key{' although Eve was at work' if touched else ''}."
    lines = ["KME Alice", *_fibre(run, _middle(run)), "KME Bob"]
    steps, name = block_steps(run, block), f"Who said what to whom in block {block.block}"
    caption = (
        f"{why} Light begins at {words.clock(block.start_s)}, the block ends at {words.clock(block.end_s or 0.0)}. "
        "Circles are Eve's tap: filled where an action of hers was on."
    )
    keys = [("light", "light"), *_KEYS]
    title = f"Block {block.block}"
    return figure(title, lambda width: sequence_diagram(width, lines, steps, name), caption, keys)


def block_steps(run: Run, block: Block) -> list[Step]:
    """The steps of a block, up to the end, or to where the ledger shows that it was given up."""

    def say(way: str, kind: str, text: str, detail: str = "", phase: str = "", group: str = "") -> Step:
        source, target = ("Alice", "Bob") if way == "→" else ("Bob", "Alice")
        return Step("message", source, target, text, detail, phase, group, _block_touched(run, block, kind))

    def store(source: str, text: str, detail: str = "", phase: str = "") -> Step:
        return Step("message", source, f"KME {source}", text, detail, phase)

    settings, clicks = ("settings", "") if run.pairs else ("bases", f"{block.detections:,} clicks")
    told = "bases, intensities" if len(run.scenario.link.source.probabilities) > 1 else settings
    which = "which of these count" if run.relayed else "which clicked"
    if run.relayed:
        clicks = f"{block.detections:,} of those announced"
    both = f"{block.detections:,} detected by both; " if run.pairs else ""
    revealed = f"{both}{block.sifted_bits:,} sifted, {block.test_bits:,} of them revealed"
    found = "no errors could be counted"
    if block.qber is not None:
        found = f"both count the errors: QBER {words.percent(block.qber)}"
    if block.chsh_s is not None:
        found += f", S = {block.chsh_s:.3f}"
    signed = "tag over all that {} said"
    if not run.scenario.defences.authentication:
        signed = "an empty tag: authentication is off"
    kept = block.authentication_replenished_bits
    rest = f"{kept:,} bits stay for the next tags" if kept else ""
    light = [say("→", "start", "announces the block", phase="Light"), *_light(run, block)]
    sifting = [
        say("←", "detections", f"{which}, and his {settings}", clicks, "Sifting"),
        say("→", "sifting", f"her {told}, and her outcomes for a sample", revealed),
        say("←", "sample", "his outcomes for the same sample", phase="Estimation"),
        Step("note", "Alice", "Bob", found),
    ]
    correction = _correction(run.summary.link.reconciliation, block, say)
    hashed, size = "universal hash of his corrected key", words.bits(block.verification_bits)
    verification = [say("←", "verification", hashed, size, "Verification")]
    shrunk = f"{block.key_bits:,} bits become {block.secret_bits:,}"
    amplification = [
        say("→", "amplification", "Toeplitz seed, and where the key goes", shrunk, "Amplification"),
        say("→", "tag", signed.format("she"), phase="Authentication"),
    ]
    storage = [
        say("←", "tag", signed.format("he")),
        store("Bob", "key for queries", phase="Storage"),
        store("Alice", "key", f"{block.delivered_bits:,} bits"),
        say("→", "accepted", "accepted", rest),
        store("Bob", "key for answers"),
    ]
    verified = block.verification_bits > 0 or block.accepted
    # Each part, with whether the ledger shows that it happened.
    parts = (
        (block.reason != "authentication_key_exhausted", light),
        (block.detections > 0 or block.qber is not None or block.reason == "no_detections", sifting),
        (block.reconciliation_rounds > 0 or verified, correction),
        (verified, verification),
        (block.secret_bits > 0, amplification),
        (block.accepted, storage),
    )
    steps: list[Step] = []
    for reached, part in parts:
        if not reached:
            return [*steps, _given_up(run, block)]
        steps += part
    return steps


def _correction(code: str, block: Block, say: Callable[..., Step]) -> list[Step]:
    """Reconciliation, by the code that was used, and what was given away."""
    disclosed = f"{block.disclosed_parities:,} parities in all" if block.disclosed_parities else ""
    rounds = words.plural(block.reconciliation_rounds, "round")
    if code == "ldpc":
        steps = [say("→", "syndromes", "syndromes of her frames", disclosed, "Reconciliation")]
        if block.reconciliation_rounds:
            steps += [
                say("←", "syndromes-wanted", "frames he could not decode", group=rounds),
                say("→", "syndromes", "more of their syndromes", group=rounds),
            ]
    elif block.reconciliation_rounds:
        asked = f"{rounds} of Cascade"
        steps = [
            say("←", "questions", "parity questions", phase="Reconciliation", group=asked),
            say("→", "parities", "parities", disclosed, group=asked),
        ]
    else:
        nothing = "nothing to ask: no parity questions"
        steps = [Step("note", "Bob", "Bob", nothing, phase="Reconciliation")]
    if block.given_away_bits:
        lost = f"{block.given_away_bits:,} bits that no code could mend"
        steps += [
            say("←", "frames-wanted", "which frames are lost"),
            say("→", "frame-bits", "their bits, in the open", lost),
        ]
    return steps


def _light(run: Run, block: Block) -> list[Step]:
    pulses, touched = words.count(run.scenario.link.block_pulses), _block_touched(run, block, "light")
    kind = "weak pulses" if run.scenario.link.source.kind == "weak-coherent" else "single photons"
    if run.relayed:
        sent = [Step("light", who, "Charlie", kind, pulses, touched=touched) for who in ("Alice", "Bob")]
        return [*sent, *(Step("message", "Charlie", who, "which of them met") for who in ("Alice", "Bob"))]
    if not run.pairs:
        return [Step("light", "Alice", "Bob", f"{pulses} {kind}", touched=touched)]
    ways = [("Source", "Alice"), ("Source", "Bob")] if _middle(run) else [("Alice", "Bob")]
    return [Step("light", *way, "one half of each pair", f"{pulses} pairs", touched=touched) for way in ways]


def _given_up(run: Run, block: Block) -> Step:
    ends = (e.node for e in run.events if e.event == "block_aborted" and e.block == block.block)
    who = "Bob" if next(ends, "alice") == "bob" else "Alice"
    return Step("stop", who, who, f"{who} gives the block up: {words.why(block.reason)}", phase="Abort")


def _query_touched(run: Run, query: Query, *kinds: str) -> bool:
    """Whether an action of Eve's on messages of these kinds was on between question and answer."""
    if query.sent_s is None:
        return False
    end_s = run.duration_s if query.answered_s is None else query.answered_s
    return any(act.overlaps(query.sent_s, end_s) and any(map(act.touches, kinds)) for act in run.acts)


def _query(run: Run) -> Markup:
    """One query: one that got an answer, though Eve was at work if there is such; else one of those that came furthest."""
    order = fates(run)

    query = min(
        run.queries,
        key=lambda q: (order.index(q.status), not _query_touched(run, q, "query", "answer")),
    )
    if query.status == "answered":
        touched = _query_touched(run, query, "query", "answer")
        why = f"The first query that was answered{' while Eve was at work' if touched else ''}"
    else:
        why = f"No query was answered; this is the first of those that came furthest ({query.status})"
    fibre = _fibre(run)
    lines = ["Client", "KME Alice", *fibre, "KME Bob", "Server"]
    steps, name = query_steps(run, query), "Who said what to whom for one query"
    caption = f"{why}. It was made at {words.clock(query.created_s)}."
    return figure("A query", lambda width: sequence_diagram(width, lines, steps, name), caption, _KEYS)


def query_steps(run: Run, query: Query) -> list[Step]:
    """The steps of a query, up to the answer, or to where its status shows that it stopped."""

    def stop(who: str, text: str) -> Step:
        return Step("stop", who, who, text, phase="Stop")

    if query.sent_s is None:
        waits = "gives up: no key came in time" if query.status == "gave up" else "still waits for key"
        asks = Step("message", "Client", "KME Alice", "enc_keys: asks for key", phase="Key")
        return [asks, stop("Client", waits)]
    asked, answered = (_query_touched(run, query, kind) for kind in ("query", "answer"))
    mac = "tag" if run.scenario.defences.query_mac else "no tag"
    waited = f"after {words.time(query.sent_s - query.created_s)}"
    serves = "opens, classifies"
    if run.scenario.server:
        serves += f" (service time {run.scenario.server.service_time})"
    sent = [
        Step("exchange", "Client", "KME Alice", "enc_keys: a key and its ID", waited, "Key"),
        Step("message", "Client", "Bob", f"query: key ID, ciphertext, {mac}", phase="Query", touched=asked),
    ]
    if query.status == "lost":
        return [*sent, stop("Client", "no answer came in time")]
    if query.status == "pending":
        return [*sent, stop("Client", "the run ended before an answer")]
    forwarded = [
        Step("message", "Bob", "Server", "forwarded unopened"),
        Step("exchange", "Server", "KME Bob", "dec_keys: the key of that ID"),
    ]
    if query.status == "rejected" and not query.reason.startswith("answer"):
        return [*sent, *forwarded, stop("Server", f"refuses the {words.why(query.reason)}")]
    back = [
        Step("note", "Server", "Server", serves, phase="Inference"),
        Step("exchange", "Server", "KME Bob", "enc_keys: a key and its ID", phase="Answer"),
        Step("message", "Server", "Bob", f"answer: ciphertext, {mac}"),
        Step("message", "Bob", "Client", "forwarded unopened", touched=answered),
        Step("exchange", "Client", "KME Alice", "dec_keys: the key of that ID"),
    ]
    if query.status == "rejected":
        return [*sent, *forwarded, *back, stop("Client", f"refuses the {words.why(query.reason)}")]
    found = "opens a right answer" if query.correct else "opens an answer, which is wrong"
    if query.answered_s is not None:
        found += f", {words.time(query.answered_s - query.sent_s)} after sending"
    return [*sent, *forwarded, *back, Step("note", "Client", "Client", found)]
