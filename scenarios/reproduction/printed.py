"""What the command prints: tables whose cells fold, so that no line is longer than 80 columns."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Sequence

from scenarios.reproduction.verdicts import RULE, Claim

WIDTH = 80
_GAP = 2


def folded(heads: Sequence[str], rows: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    """A table of which every column has its width, and cells go on in further lines.

    Raises:
        ValueError: widths that do not fit the terminal.
    """
    if sum(widths) + _GAP * (len(widths) - 1) > WIDTH:
        raise ValueError(f"columns of {list(widths)} with gaps of {_GAP} are wider than {WIDTH}")
    lines = [*_folded(heads, widths), "  ".join("-" * width for width in widths)]
    for row in rows:
        lines += _folded(row, widths)
    return "\n".join(line.rstrip() for line in lines)


def _folded(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    parts = [textwrap.wrap(cell, width) or [""] for cell, width in zip(cells, widths, strict=True)]
    return [
        (" " * _GAP).join(
            f"{part[number] if number < len(part) else '':<{width}}"
            for part, width in zip(parts, widths, strict=True)
        )
        for number in range(max(map(len, parts)))
    ]


def claims_table(claims: Sequence[Claim]) -> str:
    """The verdicts, how many there are of each, and the rule."""
    rows = [(claim.id, claim.printed, claim.ours, claim.verdict) for claim in claims]
    counts = Counter(claim.verdict for claim in claims)
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.most_common())
    return "\n".join(
        [
            folded(("claim", "printed", "ours [95 %]", "verdict"), rows, (22, 13, 21, 18)),
            "",
            *textwrap.wrap(f"{len(claims)} claims: {told}.", WIDTH),
            *textwrap.wrap(RULE, WIDTH),
        ]
    )
