"""Eve: what she did, what she knows in the end, and who noticed."""

from __future__ import annotations

from scenarios.report import words
from scenarios.report.folder import Run
from scenarios.report.markup import Markup, joined, table, tag
from scenarios.report.strip import strip
from scenarios.units import TIME, format_quantity


def section(run: Run) -> Markup:
    """The timeline, her knowledge, and the alarms."""
    parts = (
        ("What happened, by the scenario", _timeline(run)),
        ("What Eve knows in the end", _knowledge(run)),
        ("Who noticed", joined((_detection(run), _alarms(run)))),
    )
    return joined([tag("h3", title), part] for title, part in parts)


def _timeline(run: Run) -> Markup:
    if not run.acts:
        return tag("p", "Nobody attacked, and nothing happened to the network: the timeline is empty.")
    rows = []
    for act in run.acts:
        listed = {
            name: " ".join(map(str, value)) if isinstance(value, list) else value
            for name, value in act.parameters.items()
        }
        start = format_quantity(act.start, TIME)
        if act.end is None:
            end = "at once"
        else:
            end = "the end" if act.end == run.duration_s else format_quantity(act.end, TIME)
        parameters = ", ".join(f"{name}: {value}" for name, value in listed.items()) or "–"
        who = "Eve" if act.kind == "eve" else "environment"
        rows.append((tag("code", act.label), start, end, parameters, who))
    return table(["action", "from", "until", "parameters", "by"], rows, ["", "nowrap", "nowrap", "", ""])


def _knowledge(run: Run) -> Markup:
    aborted = [block for block in run.done if not block.accepted]
    rows = []
    for name, blocks in (("blocks that gave key", run.accepted), ("aborted blocks", aborted)):
        known = round(sum(block.eve_sifted_bits for block in blocks))
        sifted = sum(block.key_bits for block in blocks)
        rows.append((f"sifted key before privacy amplification, {name}", known, sifted))
    rows.append(("final key", run.summary.eve.known_key_bits, run.summary.link.secret_bits))
    cells = [
        (name, words.bits(known), words.bits(whole) if whole else "–", words.share(known, whole))
        for name, known, whole in rows
    ]
    if run.asks:
        cells.append(("queries", words.bits(run.summary.eve.known_query_bits), "", ""))
    if heard := run.summary.eve.overheard.get("messages", 0):
        clients, lengths = (run.summary.eve.overheard.get(name, 0) for name in ("clients", "lengths"))
        of = f"{words.plural(clients, 'client')}, {words.plural(lengths, 'length')}"
        cells.append(("envelopes, from outside", words.plural(heard, "message"), of, ""))
    note = (
        "As the referee has it, who sees Eve's notebook and the truth: bits of information in her best guess; of the final "
        "key, what amplification left uncovered if that is more. What pure chance would explain counts as nothing."
    )
    heads = ["what Eve knows of", "known", "of", "share"]
    return joined((table(heads, cells, ["", *["number"] * 3]), tag("p", note, class_="muted")))


def _detection(run: Run) -> Markup | None:
    eve = run.summary.eve
    began = "before she began" if eve.attacks else "though nobody attacked"
    sounded = f" The telemetry gave {words.plural(eve.false_alarms, 'alarm')} {began}."
    false = tag("p", tag("strong", "False alarms."), sounded) if eve.false_alarms else None
    if not eve.attacks:
        return false
    # The referee counts from the first attack on the channels: no alarm of the link tells of a poisoned model.
    begin_s = min((act.start for act in run.acts if act.kind == "eve" and act.end is not None), default=None)
    if begin_s is None:
        noticed, text = "Not noticed.", " No alarm of the link tells of a poisoned model."
    elif not eve.detected:
        noticed = "Not noticed."
        text = f" No alarm followed that had not sounded before she began (at {words.time(begin_s)})."
    else:
        delay_s = eve.detection_delay_s or 0.0
        alarms = (event for event in run.events if event.event == "alarm")
        first = next((event for event in alarms if event.t_s >= begin_s + delay_s - 1e-9), None)
        by = f" by {first.node} ({words.why(first.reason)})" if first else ""
        noticed = "Noticed"
        text = f" {words.time(delay_s)} after she began (at {words.time(begin_s)}){by}."
    return joined((tag("p", tag("strong", noticed), text), false))


def _alarms(run: Run) -> Markup:
    if not run.alarms:
        return tag("p", "No alarm was raised by anybody.")
    rows = []
    for reason, told in run.alarms.items():
        times, nodes = [event.t_s for event in told], sorted({event.node for event in told})
        when = strip(run, "when it was raised", at=times)
        raised = (f"{len(times):,}", words.clock(times[0]), ", ".join(nodes))
        rows.append((words.why(reason), when, *raised))
    heads = ["alarm", "over the run", "times", "first at", "raised by"]
    return table(heads, rows, ["", "over", "number", "number", "nowrap"])
