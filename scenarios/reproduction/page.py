"""The report of a reproduction: one page that loads nothing, for a desk and for a telephone."""

from __future__ import annotations

import importlib.resources
from collections import Counter
from collections.abc import Mapping, Sequence

from scenarios.report.figure import drawn_twice
from scenarios.report.markup import Markup, table, tag
from scenarios.reproduction.study import Figure, Part, Shown
from scenarios.reproduction.verdicts import RULE, Claim, Verdict, spelled

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"
_CLASSES: Mapping[Verdict, str] = {
    "holds": "pass",
    "holds under stated conditions": "partly",
    "does not hold": "fail",
    "cannot be tested": "open",
}
_SHORT = 24  # characters
_STYLE = """
.verdict { font-size: 0.85rem; letter-spacing: 0; white-space: nowrap; }
.verdict.partly { background: var(--eve); }
.verdict.open { background: var(--muted); }
.claim { margin: 1.6rem 0 0; padding: 0.9rem 1rem; background: var(--panel); border-radius: 0.5rem; }
.claim h3 { margin: 0; }
.claim .headline { gap: 0.3rem 0.8rem; }
.claim details { background: var(--paper); margin: 0.6rem 0 0; }
.claim .facts { margin: 0.2rem 0 0.5rem; }
.claim .numbers { font-variant-numeric: tabular-nums; }
.outcome-no { color: var(--bad); font-weight: 650; }
.outcome-yes { color: var(--accent); font-weight: 650; }
@media (max-width: 620px) {
  .verdict { display: inline-block; white-space: normal; font-size: 0.75rem; padding: 0.15rem 0.5rem; line-height: 1.25; }
  #verdicts :is(th, td):is(:nth-child(2), :nth-child(3)) { display: none; }
  #verdicts td:first-child { min-width: 6rem; }
  .claim { padding: 0.8rem 0.7rem; }
}
"""


def page(title: str, lead: str, parts: Sequence[Part], facts: Sequence[tuple[str, str]]) -> str:
    """The page.

    Args:
        title: its heading.
        lead: a sentence or two below it.
        parts: in their order.
        facts: what made it, in pairs, at the end.
    """
    style = importlib.resources.files("scenarios.report").joinpath("report.css").read_text(encoding="utf-8")
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("title", f"{title} – EveLab"),
        tag("style", Markup(style + _STYLE)),
    )
    claims = [claim for part in parts for claim in part.claims]
    links = [tag("a", part.title, href=f"#part-{number}") for number, part in enumerate(parts)]
    header = tag(
        "header",
        tag("h1", title),
        tag("div", tag("p", lead), class_="lead"),
        _tiles(claims) if claims else None,
        tag("nav", links, aria_label="Sections"),
    )
    verdicts = (
        tag("section", tag("h2", "Verdicts"), tag("p", RULE), _verdicts(claims), id="verdicts")
        if claims
        else None
    )
    sections = [_section(number, part) for number, part in enumerate(parts)]
    origin = tag(
        "section",
        tag("h2", "How this was made"),
        table(("", ""), [(tag("strong", name), value) for name, value in facts], ("nowrap", "break")),
        id="origin",
    )
    body = tag("body", header, tag("main", verdicts, sections, origin))
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _tiles(claims: Sequence[Claim]) -> Markup:
    counts = Counter(claim.verdict for claim in claims)
    cells = [
        tag(
            "div",
            tag("dt", verdict),
            tag("dd", str(counts.get(verdict, 0)), class_="value"),
            tag("dd", f"of {len(claims)} claims", class_="note"),
            class_="tile",
        )
        for verdict in _CLASSES
    ]
    return tag("dl", cells, class_="tiles", style="--columns:4")


def _badge(claim: Claim) -> Markup:
    return tag("span", claim.verdict, class_=f"verdict {_CLASSES[claim.verdict]}")


def _verdicts(claims: Sequence[Claim]) -> Markup:
    rows = [
        (tag("a", claim.id, href=f"#claim-{claim.id}"), claim.where, claim.printed, claim.ours, _badge(claim))
        for claim in claims
    ]
    return table(("claim", "in the paper", "printed", "ours [95 %]", "verdict"), rows, ("", "", "", "", ""))


def _section(number: int, part: Part) -> Markup:
    return tag(
        "section",
        tag("h2", part.title),
        tag("p", part.about),
        [_figure(figure) for figure in part.figures],
        [_claim(claim) for claim in part.claims],
        [_shown(shown) for shown in part.shown],
        id=f"part-{number}",
    )


def _claim(claim: Claim) -> Markup:
    rows = [
        (
            trial.condition,
            tag("span", spelled(trial.estimate, trial.unit), class_="nowrap"),
            tag("span", _range(trial.low, trial.high, trial.unit), class_="nowrap"),
            tag("span", trial.outcome, class_=f"outcome-{trial.outcome}"),
        )
        for trial in claim.trials
    ]
    trials = tag(
        "details",
        tag("summary", f"{len(rows)} trial{'s' if len(rows) > 1 else ''}"),
        table(("condition", "measured [95 %]", "counts as printed", "agrees"), rows, ("", "", "", "")),
    )
    return tag(
        "article",
        tag("div", tag("h3", claim.says), _badge(claim), class_="headline"),
        tag(
            "p",
            f"{claim.id} · {claim.where} · printed: {claim.printed} · ours: {claim.ours}",
            class_="facts numbers",
        ),
        tag("p", claim.why),
        tag("p", tag("strong", "Seen to hold: "), "; ".join(claim.conditions), ".")
        if claim.verdict == "holds under stated conditions"
        else None,
        trials if rows else None,
        class_="claim",
        id=f"claim-{claim.id}",
    )


def _range(low: float, high: float, unit: str) -> str:
    """The range that counts as printed, in words."""
    scale = 100.0 if unit == "%" else 1.0
    ends = [f"{scale * value:.6g}" for value in (low, high)]
    unbounded = float("inf")
    if low == -unbounded:
        words = f"at most {ends[1]}"
    elif high == unbounded:
        words = f"at least {ends[0]}"
    else:
        words = f"{ends[0]} to {ends[1]}"
    return f"{words} {unit}".strip()


def _figure(figure: Figure) -> Markup:
    return tag(
        "figure",
        tag("h3", figure.title),
        drawn_twice(figure.draw),
        tag("figcaption", figure.caption),
    )


def _cell(words: str) -> str | Markup:
    """A number with its interval stays on one line; so does what is short."""
    return tag("span", words, class_="nowrap") if len(words) <= _SHORT else words


def _shown(shown: Shown) -> Markup:
    return tag(
        "div",
        tag("h3", shown.title),
        table(shown.columns, [list(map(_cell, row)) for row in shown.rows], [""] * len(shown.columns)),
        tag("p", shown.note, class_="muted") if shown.note else None,
    )
