"""The loader: every fault of a file at once and in its place, overrides, and files that are none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.errors import ScenarioError
from nodes.attacks.catalogue import CATALOGUE
from scenarios.loader import LIBRARY, MAX_BYTES, find, load, load_text
from scenarios.schema import Scenario
from scenarios.sections import PROTOCOLS
from scenarios.units import listed

GOOD = """\
duration: 10 s
link:
  protocol: bb84
  length: 10 km
timeline:
  - at: 3 s
    until: 6 s
    action: eve.intercept_resend
    fraction: 100 %
"""


def faults(text: str, *overrides: str) -> list[str]:
    """The faults of a scenario's text called f.yaml."""
    with pytest.raises(ScenarioError) as caught:
        load_text(text, "f.yaml", overrides)
    return list(caught.value.faults)


def file_faults(path: Path) -> list[str]:
    """The faults of a file, without its folder."""
    with pytest.raises(ScenarioError) as caught:
        load(path)
    return [fault.removeprefix(f"{path.parent}{os.sep}") for fault in caught.value.faults]


def test_every_fault_at_once_with_its_place():
    """A file with a fault of every kind is refused with all of them, in order, each in its place."""
    text = """\
name: Bad Name
seed: 010
duration: 10
sweep: {}
length: 3 km
link:
  protocl: bb84
  length: 25
  grain: qbit
  block_pulses: 1.5
  attenuation: 0.2 dB
  misalignment: 60 %
  length: 3 km
  detector: 5
eve:
  position: 0 m
defences:
  authentication: no
  abort_above_qber: null
timeline:
  - at: 12:30
    action: eve.intercept_resned
  - at: 6 s
    until: 3 s
    action: eve.cut
    chanel: quantum
  - at: 2 s
    action: network.delay
    hop: alice-carol
  - 5
expect:
  - lateny < 20 ms
  - qber > 20 ms
"""
    expected = """\
1:7: name: got Bad Name, expected a name of small letters, digits and hyphens
2:7: seed: got 010, expected an integer, at least 0 \
(a leading zero is ambiguous, older YAML reads octal: write it without)
3:11: duration: got 10, expected a time with its unit, like 10 s
4:1: sweep: reserved: sweeps come in a later release
5:1: length: unknown key length: did you mean link.length?
6:1: link.protocol: missing, expected PROTOCOLS
7:3: link.protocl: unknown key protocl: did you mean protocol?
8:11: link.length: got 25, expected a length with its unit, like 25 km
9:10: link.grain: got qbit, expected pulse, qubit or sampled: did you mean qubit?
10:17: link.block_pulses: got 1.5, expected an integer, at least 16 and at most 1e+13
11:16: link.attenuation: got 0.2 dB, expected an attenuation in dB/km, like 0.2 dB/km
12:17: link.misalignment: got 60 %, expected at least 0 % and at most 50 %
13:3: link.length: given twice, first in line 8, expected once
14:13: link.detector: got 5, expected a mapping with keys such as efficiency, dark_counts, \
mismatch or timing_mismatch
18:19: defences.authentication: got no, expected a boolean: write true or false
21:9: timeline.0.at: got 12:30, expected a time with its unit, like 10 s (clock times are not read)
22:13: timeline.0.action: got eve.intercept_resned, expected CATALOGUE: did you mean eve.intercept_resend?
24:12: timeline.1.until: got 3 s, expected later than the entry's at (6 s)
26:5: timeline.1.chanel: unknown key chanel: did you mean channel?
27:5: timeline.2.delay: missing, expected a time with its unit, like 10 s
29:10: timeline.2.hop: got alice-carol, but no node is called carol \
(the nodes are alice, eve, bob and server), expected alice-bob or bob-server
30:5: timeline.3: got 5, expected a mapping with at, action and the action's own parameters
32:5: expect.0: at character 1: unknown series or summary path lateny: did you mean latency?
33:5: expect.1: at character 8: got 20 ms, but the left side is a fraction: \
expected a number, like 30 % or 0.3, null, or another summary path that holds a fraction
"""
    expected = expected.replace("CATALOGUE", listed(CATALOGUE)).replace("PROTOCOLS", listed(PROTOCOLS))
    lines = expected.splitlines()
    assert faults(text) == [f"f.yaml:{line}" for line in lines]


def test_good_text_loads():
    """A good text is a scenario, called after its file where it has no name of its own."""
    scenario = load_text(GOOD, "some/where/Lab_3 draft.yaml")
    assert isinstance(scenario, Scenario)
    assert scenario.name == "lab-3-draft"
    assert scenario.timeline[0].until == 6.0
    assert load_text("name: x\n" + GOOD, "f.yaml").name == "x"
    assert load_text(GOOD, "---.yaml").name == "scenario"


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.yaml")), ids=lambda path: path.stem)
def test_scenarios_that_ship_load(path: Path):
    """Every scenario that ships loads, and is called what its file is called."""
    assert load(path).name == path.stem
    assert load(path).about


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("1e-3", 0.001),
        ("1.5e-3", 0.0015),
        (".5", 0.5),
        ("5e-1", 0.5),
        ("0.2E+0", 0.2),
        ("25 %", 0.25),
        ("'25 %'", 0.25),
        ('"0.25"', 0.25),
        ("1", 1.0),
    ],
)
def test_numbers_as_yaml_1_2_has_them(written: str, value: float):
    """Numbers are those of YAML 1.2's core schema, with or without a point before the exponent."""
    assert load_text(GOOD.replace("100 %", written), "f.yaml").timeline[0].action.fraction == value


def test_integers_may_be_written_as_floats():
    """`1e6` is an integer where one is expected."""
    scenario = load_text(GOOD, "f.yaml", ["link.block_pulses=1e6", "seed=2.0"])
    assert (scenario.link.block_pulses, scenario.seed) == (1_000_000, 2)
    assert type(scenario.link.block_pulses) is type(scenario.seed) is int


@pytest.mark.parametrize("word", ["no", "yes", "on", "off", "No", "Y", "1", "'true'"])
def test_no_and_yes_are_no_booleans(word: str):
    """What older YAML took for a boolean is refused with the words to write."""
    (fault,) = faults(GOOD + f"defences: {{authentication: {word}}}\n")
    assert fault.startswith("f.yaml:10:28: defences.authentication: got ")
    assert fault.endswith("expected a boolean: write true or false")


@pytest.mark.parametrize(
    "number", ["010", "0x10", "0o10", "1_000", ".inf", ".nan", "1e400", "9" * 65, "1:30", "'5'"]
)
def test_numbers_with_traps(number: str):
    """A number that readers disagree on is refused with the reason, in brackets."""
    (fault,) = faults(GOOD + f"seed: {number}\n")
    assert fault.startswith("f.yaml:10:7: seed: got ")
    assert "expected an integer, at least 0" in fault
    assert fault.endswith(")") or number == "1e400"


@pytest.mark.parametrize("time", ["12:30", "3", "3 m", "3 sec", "3,5 s", "later", "~", "[3 s]", "1 s 5 ms"])
def test_times_without_a_unit(time: str):
    """What is no time with its unit is refused as a time."""
    (fault,) = faults(GOOD.replace("3 s", time))
    assert fault.startswith("f.yaml:6:")
    assert "timeline.0.at: got " in fault
    assert "expected a time" in fault


def test_contradictions_have_the_place_of_the_value():
    """A contradiction stands at the value to change; where that is a default, at its section."""
    assert faults(GOOD.replace("6 s", "11 s")) == [
        "f.yaml:7:12: timeline.0.until: got 11 s, expected at most the run's duration (10 s)"
    ]
    assert faults(GOOD + "eve: {position: 11 km}\n") == [
        "f.yaml:10:17: eve.position: got 11 km, expected at most the link's length (10 km)"
    ]
    entry = "  - action: eve.tamper\n    at: 1 s\n"
    assert faults(GOOD + entry) == [
        "f.yaml:10:5: timeline.1.messages: got query, which needs a queries section"
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "f.yaml:1:1: the file is empty, expected a mapping with duration and link"),
        ("# only a comment\n", "f.yaml:1:1: the file is empty, expected a mapping with duration and link"),
        ("---\n...\n", "f.yaml:1:1: the file is empty, expected a mapping with duration and link"),
        ("null", "f.yaml:1:1: got nothing at the top, expected a mapping with duration and link"),
        ("- 1\n", "f.yaml:1:1: got a list at the top, expected a mapping with duration and link"),
        ("just text", "f.yaml:1:1: got just text at the top, expected a mapping with duration and link"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document begins, expected one"),
        ("a: 1\n b: 2\n", "f.yaml:2:3: not YAML: mapping values are not allowed here"),
        ("a: !t!x 1\n", "f.yaml:1:4: not YAML: while parsing a node, found undefined tag handle '!t!'"),
        ("a: 'x", "f.yaml:1:6: not YAML: while scanning a quoted scalar, found unexpected end of stream"),
        (
            "a:\n\tb: 1\n",
            (
                "f.yaml:2:1: not YAML: while scanning for the next token, "
                "found character '\\t' that cannot start any token"
            ),
        ),
        ("a: 1\nb: x\x00y\n", "f.yaml:2:5: got character 0x0, which YAML does not allow"),
        ("a: *x\n", "f.yaml:1:4: got *x, but nothing above is anchored as &x"),
        ("a: &x [*x]\n", "f.yaml:1:8: got *x inside of what it stands for"),
        ("a: " + "[" * 20 + "]" * 20, "f.yaml:1:20: nested deeper than 16 levels, which no scenario is"),
    ],
)
def test_texts_that_are_no_scenario(text: str, fault: str):
    """A text that cannot be read as one mapping is one fault, with its place."""
    assert faults(text) == [fault]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (
            GOOD + "seed: !!python/name:os.system 5\n",
            "seed: got the tag tag:yaml.org,2002:python/name:os.system",
        ),
        (
            GOOD + "seed: !!int 5\n",
            "f.yaml:10:7: seed: got the tag tag:yaml.org,2002:int, expected a value without a tag",
        ),
        (GOOD + "? [a]\n: 1\n", "f.yaml:10:3: got a list as a key, expected a name"),
        (GOOD + "duration: 10 s\n", "f.yaml:10:1: duration: given twice, first in line 1, expected once"),
        (GOOD + "<<: {seed: 3}\n", "f.yaml:10:1: <<: unknown key <<"),
        (GOOD + "1: 3\n", "f.yaml:10:1: 1: unknown key 1"),
    ],
)
def test_yaml_that_no_scenario_needs(text: str, fault: str):
    """Tags, keys that are no names and keys given twice are faults."""
    assert fault in faults(text)[0]


def test_aliases_are_copies():
    """An alias stands for what it names, and an override changes one of the two only."""
    text = GOOD + "queries: {timeout: &t 5 s, start: *t}\n"
    assert load_text(text, "f.yaml").queries.start == 5.0
    changed = load_text(text, "f.yaml", ["queries.start=1 s"])
    assert (changed.queries.timeout, changed.queries.start) == (5.0, 1.0)


@pytest.mark.parametrize(
    "bomb",
    [
        "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 10)),
        "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{x: *a{n - 1}}}\n" for n in range(1, 5000)),
        "a: " + "[" * 400_000,
        "a: " + "{b: " * 200_000,
        "".join(" " * n + "a:\n" for n in range(1000)),
        "- " * 400_000,
        "? " * 400_000,
        "a: [" + "a," * 400_000,
        "a: " + "&a " * 300_000,
    ],
    ids=["laughs", "chain", "brackets", "braces", "indents", "dashes", "keys", "items", "anchors"],
)
def test_yaml_bombs(bomb: str):
    """A text that would grow or nest without bound is refused as soon as it does."""
    (fault,) = faults(bomb)
    assert "which no scenario" in fault or "not YAML" in fault


def test_huge_file(tmp_path: Path):
    """A file of 50 MB is refused for its size, unread."""
    path = tmp_path / "huge.yaml"
    with path.open("wb") as file:
        file.truncate(50_000_000)
    assert file_faults(path) == [
        f"huge.yaml: is 50000000 bytes long, expected at most {MAX_BYTES}: a scenario is a short text"
    ]
    assert "characters long" in faults("#" * (MAX_BYTES + 1))[0]


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "x.yaml:1:1: the file is empty"),
        (b"\xff\xfea\x00", "x.yaml:1:1: got byte 0xff, which is not UTF-8: a scenario is a text file"),
        (b"duration: 1 s\nname: \xe9t\xe9\n", "x.yaml:2:7: got byte 0xe9, which is not UTF-8"),
        (b"\x7fELF\x02\x01\x01\x00", "x.yaml:1:1: got character 0x7f, which YAML does not allow"),
        (bytes(range(1, 256)), "x.yaml:2:118: got byte 0x80, which is not UTF-8"),
    ],
)
def test_files_that_are_no_text(tmp_path: Path, content: bytes, fault: str):
    """An empty or binary file is one fault, with its place."""
    path = tmp_path / "x.yaml"
    path.write_bytes(content)
    (found,) = file_faults(path)
    assert found.startswith(fault)


def test_a_byte_order_mark_is_no_fault(tmp_path: Path):
    """A file that begins with a byte order mark loads like any other."""
    path = tmp_path / "marked.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())
    assert load(path).name == "marked"


def test_files_that_are_none(tmp_path: Path):
    """What is not there, a directory and a pipe are refused as what they are."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert file_faults(tmp_path / "gone.yaml") == ["gone.yaml: there is no such file"]
    assert file_faults(tmp_path) == [f"{tmp_path.name}: is a directory, expected a scenario file"]
    assert file_faults(pipe) == ["pipe: is not a regular file, expected a scenario file"]
    assert "cannot be read" in file_faults(tmp_path / "x\0y")[0]


def test_overrides():
    """An override sets a value anywhere: in a section, in a list, in a section that is not there yet."""
    scenario = load_text(
        GOOD,
        "f.yaml",
        [
            "link.length=25 km",
            "timeline.0.fraction=50 %",
            "queries.clients=3",
            "expect=[qber < 20 %, link.blocks > 1]",
            "defences={query_mac: false}",
            "defences.abort_above_qber=null",
            "seed=4",
            "seed=5",
            "about=a = b",
        ],
    )
    assert scenario.link.length == 25.0
    assert scenario.link.protocol == "bb84"
    assert scenario.timeline[0].action.fraction == 0.5
    assert scenario.queries.clients == 3
    assert len(scenario.expect) == 2
    assert (scenario.defences.query_mac, scenario.defences.abort_above_qber) == (False, None)
    assert (scenario.seed, scenario.about) == (5, "a = b")
    assert load_text(GOOD + "queries:\n", "f.yaml", ["queries.rate=9 /s"]).queries.rate == 9.0


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("link.lenght=3 km", "--set link.lenght: unknown key lenght: did you mean length?"),
        ("link.length=3", "--set link.length: got 3, expected a length with its unit, like 25 km"),
        ("link.a.b=3", "--set link.a.b: link.a: unknown key a, expected one of protocol"),
        ("queries={clients: 0}", "--set queries: queries.clients: got 0, expected an integer"),
        ("duration.x=3", "--set duration.x: duration is 10 s, expected a section to set x in"),
        ("timeline.1.at=3 s", "--set timeline.1.at: got 1 in timeline, expected an item's number, 0 to 0"),
        ("timeline.x=3 s", "--set timeline.x: got x in timeline, expected an item's number, 0 to 0"),
        ("timeline.0.until=2 s", "--set timeline.0.until: got 2 s, expected later than the entry's at (3 s)"),
        ("seed", "--set seed: got seed, expected PATH=VALUE, like link.length=25 km"),
        ("=5", "--set =5: got =5, expected PATH=VALUE"),
        ("link..length=5 km", "--set link..length=5 km: got link..length=5 km, expected PATH=VALUE"),
        (".".join("a" * 40) + "=1", "expected PATH=VALUE"),
        ("seed=[1", "--set seed: not YAML: while parsing a flow sequence"),
        ("seed=", "--set seed: got nothing, expected an integer, at least 0"),
        ("seed=!x 5", "--set seed: got the tag !x, expected a value without a tag"),
        ("link={a: 1, a: 2}", "--set link: a: given twice, expected once"),
    ],
)
def test_wrong_overrides(override: str, fault: str):
    """A wrong override is a fault that names the override."""
    assert any(fault in found for found in faults(GOOD, override))


def test_faults_of_file_and_overrides_come_together():
    """The faults of the file come first, then those of the overrides in their order, each at its origin."""
    found = faults(GOOD.replace("10 km", "10"), "seed=x", "nonsense", "fabric=y", "link.pulse_rate=5 Hz")
    assert [fault.split(": ")[0] for fault in found] == [
        "f.yaml:4:11",
        "--set seed",
        "--set nonsense",
        "--set fabric",
    ]
    assert len(faults("a: [", "nonsense")) == 2


def test_an_override_mends_the_file():
    """What is overridden is judged as overridden."""
    broken = GOOD.replace("10 km", "10")
    assert load_text(broken, "f.yaml", ["link.length=5 km"]).link.length == 5.0


def test_find(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """An existing path is itself, a name that ships is its file; else the nearest name is shown."""
    monkeypatch.chdir(tmp_path)
    mine = tmp_path / "mine.yaml"
    mine.write_text(GOOD, "utf-8")
    (tmp_path / "baseline-bb84").mkdir()
    assert find("mine.yaml") == Path("mine.yaml")
    assert find("baseline-bb84") == LIBRARY / "baseline-bb84.yaml"
    assert find(tmp_path) == tmp_path  # `load` then says that it is a directory
    for wrong in ("baseline-bb48", "baseline_bb84.yaml"):
        with pytest.raises(ScenarioError, match=r"no such file.*did you mean baseline-bb84\?"):
            find(wrong)
    for wrong in ("zzz", "x" * 5000, "a\0b"):
        with pytest.raises(ScenarioError):
            find(wrong)


def test_import_is_light():
    """Reading a scenario needs none of the heavy libraries."""
    code = "import sys, scenarios.loader; print(*{m.split('.')[0] for m in sys.modules})"
    command = [sys.executable, "-c", code]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 (our own code)
    loaded = output.split()
    assert not {"qiskit", "qiskit_aer", "qunetsim", "eqsn", "sklearn", "pandas", "scipy"} & set(loaded)


LINES = GOOD.splitlines()
TOKENS = [
    "a",
    "link",
    ": ",
    "- ",
    "[",
    "]",
    "{",
    "}",
    "&x ",
    "*x",
    "!t ",
    "'",
    '"',
    "|",
    ">",
    "#",
    "\n",
    "  ",
    "? ",
    "%",
    "---",
    "\t",
    "1",
    "é",
    "\\",
]


def loads_or_is_refused(text: str, *overrides: str) -> None:
    """Load a text; only `ScenarioError` may come of it."""
    try:
        scenario = load_text(text, "fuzz.yaml", overrides)
    except ScenarioError as error:
        assert all(fault.startswith(("fuzz.yaml:", "--set ")) for fault in error.faults)  # noqa: PT017 (either outcome is right)
        return
    assert isinstance(scenario, Scenario)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=200), st.lists(st.sampled_from(TOKENS), max_size=40).map("".join)))
def test_any_text_loads_or_is_refused(text: str):
    """Whatever the text, nothing but a scenario or its faults comes of it."""
    loads_or_is_refused(text)
    loads_or_is_refused(GOOD + text)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(0, len(LINES) - 1),
    st.one_of(st.text(max_size=20), st.sampled_from(TOKENS)),
    st.integers(0, 30),
)
def test_any_slip_of_the_pen_loads_or_is_refused(line: int, slip: str, column: int):
    """Whatever is typed into a good file, nothing but a scenario or its faults comes of it."""
    text = LINES[line][:column] + slip + LINES[line][column:]
    loads_or_is_refused("\n".join([*LINES[:line], text, *LINES[line + 1 :]]))


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        ["seed", "link", "link.length", "timeline", "timeline.0.at", "queries", "expect", "expect.0", ""]
    ),
    st.one_of(st.text(max_size=30), st.lists(st.sampled_from(TOKENS), max_size=20).map("".join)),
)
def test_any_override_loads_or_is_refused(path: str, value: str):
    """Whatever is set, nothing but a scenario or its faults comes of it."""
    loads_or_is_refused(GOOD, f"{path}={value}")
    loads_or_is_refused(GOOD, value)
