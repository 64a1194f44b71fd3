"""Charts as SVG text: what is escaped, where marks land, what thinning keeps, who says what in which order."""

from __future__ import annotations

import itertools
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenarios.report.charts import NARROW, WIDE, Axis, Plot, Span, extremes, headroom
from scenarios.report.figure import drawn_twice, patterns
from scenarios.report.markup import Markup, joined, tag
from scenarios.report.sequence import Step, sequence_diagram
from scenarios.report.strip import strip

TIME = Axis("time, s", 0.0, 10.0)
SHARE = Axis("share", 0.0, 1.0)


def parsed(markup: Markup) -> ET.Element:
    """The element that the markup spells; it must be well-formed."""
    return ET.fromstring(markup)  # noqa: S314  our own output


def by_class(svg: ET.Element, name: str) -> list[ET.Element]:
    """All elements of a class, in drawing order."""
    return [element for element in svg.iter() if name in element.get("class", "").split()]


def words(svg: ET.Element) -> list[str]:
    """All that is written in a drawing."""
    return [element.text or "" for element in svg.iter("text")]


def test_text_is_escaped_and_markup_is_not():
    """Text and attributes cannot become markup; markup goes in as it is, once."""
    hostile = '<script>alert("&")</script>'
    made = tag("p", hostile, tag("b", hostile), title=hostile)
    assert "<script" not in made
    element = parsed(made)
    assert element.get("title") == element.text == element[0].text == hostile


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")))
def test_any_text_survives_the_way_through_an_element(text):
    """What goes in as text or attribute comes out the same, whatever it is."""
    element = parsed(tag("p", text, title=text))
    assert (element.text or "") == text
    assert element.get("title") == text


def test_a_child_that_is_no_text_is_refused():
    """A number where text belongs is a mistake, not a number on the page."""
    with pytest.raises(TypeError, match="expected text, markup or None"):
        tag("p", 3)


def test_children_may_be_nested_and_attributes_left_out():
    """Lists of children are flattened, None is nothing, underscores are hyphens, floats are short."""
    made = tag("g", [tag("a"), ["x", None]], stroke_width=1.04, class_="b", id=None)
    assert made == '<g stroke-width="1" class="b"><a></a>x</g>'
    assert joined(["<", tag("br")]) == "&lt;<br>"


@given(
    low=st.floats(-1e6, 1e6),
    size=st.floats(1e-3, 1e6),
    most=st.integers(3, 12),
)
def test_linear_ticks_are_round_few_and_inside(low, size, most):
    """Ticks lie within the axis, evenly, and are not many more than asked for."""
    ticks = Axis("", low, low + size).ticks(most)
    slack = 1e-6 * (size + abs(low))
    assert all(low - slack <= tick <= low + size + slack for tick in ticks)
    assert 1 <= len(ticks) <= most + 1
    gaps = np.diff(ticks)
    assert np.allclose(gaps, gaps[:1].sum(), atol=1e-9)


@given(low=st.floats(1e-6, 1e3), decades=st.floats(1.0, 9.0), most=st.integers(4, 10))
def test_logarithmic_ticks_are_few_and_inside(low, decades, most):
    """On a logarithmic axis too; and each is 1, 2 or 5 times a power of ten."""
    high = low * 10**decades
    ticks = Axis("", low, high, log=True).ticks(most)
    assert 1 <= len(ticks) <= most
    assert all(low * 0.999 <= tick <= high * 1.001 for tick in ticks)
    assert all(re.match(r"[125]\.0+e", f"{tick:.9e}") for tick in ticks)


@given(st.lists(st.floats(-1, 20), min_size=2, max_size=2), st.booleans())
def test_a_greater_value_is_never_drawn_before_a_smaller_one(values, log):
    """Placing keeps the order, and stays within the axis."""
    axis = Axis("", 0.1, 10.0, log=log)
    first, second = (axis.place(value) for value in sorted(values))
    assert 0.0 <= first <= second <= 1.0


def test_the_middle_of_a_logarithmic_axis_is_the_geometric_mean():
    """1 lies half way between 0.1 and 10."""
    assert Axis("", 0.1, 10.0, log=True).place(1.0) == pytest.approx(0.5)


def test_headroom_is_above_all_values():
    """An axis ends above its greatest value, and never at nothing."""
    assert headroom([], 3.0) == 3.0
    assert headroom([10.0, 2.0], 3.0) == pytest.approx(11.0)


@given(st.integers(0, 2**32 - 1), st.integers(1, 400), st.integers(1, 20))
def test_thinning_keeps_first_last_least_and_greatest_of_every_bin(seed, count, bins):
    """What a thinned step series reaches in each bin is what the whole series reaches there."""
    rng = np.random.default_rng(seed)
    t = np.sort(rng.uniform(0, 10, count))
    values = rng.integers(0, 50, count).astype(np.float64)
    thin_t, thin = extremes((t, values), 10.0, bins)
    assert len(thin) <= max(count if count <= 4 * bins else 0, 4 * bins)
    assert np.all(np.isin(thin_t, t))
    for number in range(bins):
        low, high = 10.0 * number / bins, 10.0 * (number + 1) / bins
        whole, kept = values[(t >= low) & (t < high)], thin[(thin_t >= low) & (thin_t < high)]
        if len(whole):
            assert (whole.min(), whole.max(), whole[0], whole[-1]) == (
                kept.min(),
                kept.max(),
                kept[0],
                kept[-1],
            )


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_plot_puts_marks_where_the_axes_say(width):
    """The ends of the axes are the corners of the plot, and bars stand on its floor."""
    plot = Plot(width, TIME, SHARE, "a plot")
    left, floor = plot.at(0.0, 0.0)
    right, top = plot.at(10.0, 1.0)
    assert 0 < left < right < width
    assert floor - top == pytest.approx(190)
    plot.bar(0.0, 5.0, 0.5, "half")
    plot.mark(10.0, 1.0, "a corner")
    plot.mark(5.0, 0.5, "the middle", crossed=True)
    svg = parsed(plot.svg())
    (bar,) = by_class(svg, "bar")
    assert float(bar.get("y")) + float(bar.get("height")) == pytest.approx(floor, abs=0.1)
    assert float(bar.get("height")) == pytest.approx(95, abs=0.1)
    (point,) = by_class(svg, "point")
    assert (float(point.get("cx")), float(point.get("cy"))) == pytest.approx((right, top), abs=0.1)
    assert len(by_class(svg, "cross")) == 1
    assert [title.text for title in svg.iter("title")] == ["half", "a corner", "the middle"]
    assert svg.get("aria-label") == "a plot"


def test_what_lies_outside_the_axes_is_drawn_at_their_ends():
    """A value beyond the axis does not leave the drawing."""
    plot = Plot(WIDE, TIME, SHARE, "")
    assert plot.at(99.0, -3.0) == plot.at(10.0, 0.0)


def test_steps_hold_their_value_until_the_next():
    """A step line goes right before it goes up, and on to the end."""
    plot = Plot(WIDE, TIME, SHARE, "")
    plot.steps((np.array([0.0, 5.0]), np.array([0.0, 1.0])), 10.0)
    (line,) = by_class(parsed(plot.svg()), "line")
    assert re.fullmatch(r"M[\d.]+ [\d.]+H[\d.]+V[\d.]+H[\d.]+", line.get("d"))


def test_series_without_points_draw_nothing():
    """No data is no line, not an error."""
    plot = Plot(WIDE, TIME, SHARE, "", rows=["row"])
    plot.steps((np.array([]), np.array([])), 10.0)
    plot.line([])
    plot.dots([])
    plot.whiskers([])
    plot.envelope([])
    plot.rug(0, [])
    plot.remark("nothing to see")
    svg = parsed(plot.svg())
    assert {
        element.get("d") for name in ("line", "dots", "envelope", "rug") for element in by_class(svg, name)
    } == {""}
    assert "nothing to see" in words(svg)


def test_intervals_are_shaded_and_labelled_by_kind():
    """Each interval has a shade of its kind and its name; what happens at once has no shade."""
    spans = [
        Span(1.0, 4.0, "eve.cut", "eve"),
        Span(3.0, 6.0, "network.delay", "environment"),
        Span(0.0, None, "model.flip_labels", "eve"),
    ]
    svg = parsed(Plot(WIDE, TIME, SHARE, "", spans=spans).svg())
    shades = [element.get("class") for element in by_class(svg, "shade")]
    assert sorted(shades) == ["shade environment", "shade eve"]
    assert {"eve.cut", "network.delay", "model.flip_labels"} <= set(words(svg))


_SPANS = st.tuples(
    st.floats(0, 9.9), st.floats(0.01, 10), st.sampled_from(["eve.cut", "eve.intercept_resend", "a.b"])
)


@given(st.lists(_SPANS, max_size=8), st.sampled_from([WIDE, NARROW]))
def test_labels_of_intervals_do_not_cover_each_other(entries, width):
    """However intervals overlap, their bars and names stand side by side or in different lanes."""
    spans = [Span(start, min(10.0, start + size), label, "eve") for start, size, label in entries]
    plot = Plot(width, TIME, SHARE, "", spans=spans)
    svg = parsed(plot.svg())
    boxes = [
        (float(bar.get("y")), float(bar.get("x")), float(bar.get("x")) + float(bar.get("width")))
        for bar in by_class(svg, "lane")
    ]
    boxes.sort()
    for (lane, _, end), (other, start, _) in itertools.pairwise(boxes):
        assert lane != other or end <= start + 0.2
    labels = [(float(text.get("y")), float(text.get("x"))) for text in by_class(svg, "lane-label")]
    assert all(0 <= x < width for _, x in labels)


def test_the_label_of_a_level_stays_inside():
    """A name at the right end of a plot is written towards the left."""
    plot = Plot(NARROW, TIME, SHARE, "")
    plot.rule(0.5, "threshold")
    anchors = {text.text: text.get("text-anchor") for text in by_class(parsed(plot.svg()), "label")}
    assert anchors == {"threshold": "end"}


class OneAct:
    """As much of a run as a strip asks for: ten seconds, in two of which somebody acts."""

    time_axis = TIME
    acts = (Span(4.0, 6.0, "eve.cut", "eve"), Span(0.0, None, "model.flip_labels", "eve"))


def test_a_strip_is_the_run_in_small():
    """Intervals are shaded where they lie, ticks that coincide merge, the greatest level is at the top, none is at the bottom."""
    svg = parsed(strip(OneAct(), "seen", levels=[(0.0, 0.0), (5.0, 2.0)], at=[5.0, 5.0001, 10.0]))
    assert svg.get("aria-label") == "seen"
    (span,) = by_class(svg, "span")
    assert (float(span.get("x")), float(span.get("width"))) == (96.0, 48.0)
    (ticks,) = by_class(svg, "alarm")
    assert ticks.get("d") == "M120 2V22M240 2V22"
    (line,) = by_class(svg, "line")
    assert line.get("d") == "M0 21L120 1h1"
    assert not by_class(parsed(strip(OneAct(), "nothing")), "line")


def test_ticks_in_a_row_are_merged_where_they_would_coincide():
    """Ten thousand ticks in a row are no more than the row has places for."""
    plot = Plot(WIDE, TIME, SHARE, "", rows=["lost"])
    plot.rug(0, np.linspace(0, 10, 10_000).tolist())
    (row,) = by_class(parsed(plot.svg()), "rug")
    assert row.get("d").count("M") <= 2 * WIDE


def test_a_chart_is_drawn_for_both_widths():
    """The style sheet finds one drawing for a desk and one for a telephone."""
    both = drawn_twice(lambda width: Plot(width, TIME, SHARE, "").svg())
    assert re.findall(r'class="(wide|narrow)"', both) == ["wide", "narrow"]
    assert f'viewBox="0 0 {NARROW} ' in both


def test_hatchings_have_the_names_that_shades_refer_to():
    """The patterns that the style sheet names are there."""
    assert {p.get("id") for p in parsed(patterns()).iter("pattern")} == {"eve-stripes", "environment-dots"}


STORY = [
    Step("light", "Alice", "Bob", "photons", "1,000", phase="Light", touched=True),
    Step("message", "Bob", "Alice", "detections"),
    Step("message", "Bob", "Alice", "questions", phase="Repair", group="7 rounds"),
    Step("message", "Alice", "Bob", "parities", group="7 rounds"),
    Step("exchange", "Bob", "Store", "a key"),
    Step("note", "Bob", "Bob", "thinks"),
    Step("stop", "Alice", "Alice", "gives up"),
]
PEOPLE = ["Alice", "Eve", "Bob", "Store"]


@pytest.mark.parametrize("width", [WIDE, NARROW])
def test_a_sequence_diagram_tells_the_story_in_order(width):
    """Everybody has a lifeline, everything said is there from top to bottom, within the drawing."""
    svg = parsed(sequence_diagram(width, PEOPLE, STORY, "a story"))
    assert len(by_class(svg, "lifeline")) == 4
    said = [step.text for step in STORY]
    place = {text.text: float(text.get("y")) for text in svg.iter("text")}
    assert [place[text] for text in said] == sorted(place[text] for text in said)
    assert {"Alice", "Eve", "Bob", "Store", "Light", "Repair", "7 rounds", "1,000"} <= set(place)
    height = float(svg.get("viewBox").split()[3])
    assert max(place.values()) < height
    assert len(by_class(svg, "group")) == 1
    assert len(by_class(svg, "cross")) == 1


def test_what_passes_the_tap_is_marked_where_it_crosses():
    """Each arrow between Alice and Bob has a circle on Eve's lifeline, filled where she acts; others have none."""
    svg = parsed(sequence_diagram(WIDE, PEOPLE, STORY, ""))
    touches = by_class(svg, "touch")
    assert len(touches) == 4
    assert ["acting" in touch.get("class") for touch in touches] == [True, False, False, False]
    (tap,) = by_class(svg, "tap")[:1]
    assert {touch.get("cx") for touch in touches} == {re.match(r"M([\d.]+)", tap.get("d"))[1]}
