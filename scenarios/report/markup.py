"""HTML and SVG elements as text. Everything that is not `Markup` is escaped on its way in."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence

_VOID = frozenset({"br", "col", "hr", "link", "meta"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: object) -> Markup:
    """An element.

    Args:
        name: of the element.
        children: text, which is escaped; markup; iterables of both; None is nothing.
        attributes: `class_` is class, underscores are hyphens; None leaves one out, floats are cut to a tenth.
    """
    spelled = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(_spelled(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{spelled}>")
    return Markup(f"<{name}{spelled}>{joined(children)}</{name}>")


def joined(children: Iterable[object]) -> Markup:
    """Children one after another; see `tag`."""
    parts = []
    for child in children:
        if isinstance(child, Markup):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(Markup(html.escape(child)))
        elif isinstance(child, Iterable):
            parts.append(joined(child))
        elif child is not None:
            raise TypeError(f"got a child of type {type(child).__name__}, expected text, markup or None")
    return Markup("".join(parts))


def _spelled(value: object) -> str:
    """A coordinate to a tenth of a user unit; anything else as it is."""
    return f"{value:.1f}".removesuffix(".0") if isinstance(value, float) else str(value)


def path(class_: str, *parts: str | float) -> Markup:
    """A line: commands and coordinates of SVG's path, as in `"M", x, y, "H", right`."""
    d = ""
    for part in parts:
        between = " " if d[-1:].isdigit() and not isinstance(part, str) else ""
        d += between + _spelled(part)
    return tag("path", d=d, class_=class_)


def text(words: str, x: float, y: float, class_: str, anchor: str | None = None) -> Markup:
    """A line of text, which begins at `x` unless the anchor says that it ends there, or has its middle there."""
    return tag("text", words, x=x, y=y, text_anchor=anchor, class_=class_)


def svg(width: int, height: float, shapes: object, name: str, class_: str = "chart") -> Markup:
    """A drawing; `name` says what it shows, for those who cannot see it."""
    box = f"0 0 {width} {_spelled(height)}"
    return tag("svg", shapes, viewBox=box, role="img", aria_label=name, class_=class_)


def table(
    heads: Sequence[str],
    rows: Iterable[Sequence[object]],
    classes: Sequence[str],
    row_classes: Sequence[str] | None = None,
) -> Markup:
    """A table that scrolls in its own box where it is too wide.

    Args:
        heads: of the columns; where all are empty the table has no head.
        rows: of cells.
        classes: of the columns, "" for none.
        row_classes: of the rows, likewise.
    """
    columns = [class_ or None for class_ in classes]
    head = [tag("th", head, class_=class_, scope="col") for head, class_ in zip(heads, columns, strict=True)]
    body = [
        tag(
            "tr",
            [tag("td", cell, class_=class_) for cell, class_ in zip(row, columns, strict=True)],
            class_=row_classes[number] or None if row_classes else None,
        )
        for number, row in enumerate(rows)
    ]
    titled = tag("thead", tag("tr", head)) if any(heads) else None
    return tag("div", tag("table", titled, tag("tbody", body)), class_="scroll")
