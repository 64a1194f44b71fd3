"""Reads a scenario file: YAML 1.2 to a `Scenario`, or every fault at once with its line and column.

The tree is composed here from ruamel.yaml's event stream, so that each value keeps its place, a key given
twice is a fault, tags build no objects, and aliases cannot grow without bound. Scalars follow YAML 1.2's core
schema: `no` and `12:30` are texts. Octal, hexadecimal and digits with underscores stay texts too, so that the
schema can refuse them with a reason.
"""

from __future__ import annotations

import dataclasses
import math
import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from netsim.errors import ScenarioError
from scenarios.schema import Location, Scenario
from scenarios.units import shown, suggestion

LIBRARY = Path(__file__).parent / "library"

MAX_BYTES = 1_000_000
MAX_NODES = 20_000
MAX_DEPTH = 16

_LONGEST_NUMBER = 64  # characters; longer ones stay text
_NULL = re.compile(r"(?:~|null|Null|NULL)?")
_TRUE = re.compile(r"true|True|TRUE")
_FALSE = re.compile(r"false|False|FALSE")
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")


@dataclasses.dataclass(frozen=True, order=True)
class _Place:
    """Where something stands; override places sort after those in the file.

    Attributes:
        override: number of the `--set` on the command line, from 1; 0 in the file.
        line: counted from 1; 0 for an override.
        column: counted from 1; 0 for an override.
        label: the file's name, or `--set PATH`.
    """

    override: int
    line: int
    column: int
    label: str

    def __str__(self) -> str:
        return f"{self.label}:{self.line}:{self.column}" if self.line else self.label


@dataclasses.dataclass
class _Scalar:
    """A value; `plain` when it stands without quotes and may be more than text."""

    place: _Place
    text: str
    plain: bool


@dataclasses.dataclass
class _Listing:
    """A list."""

    place: _Place
    items: list[_Node] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class _Mapping:
    """A mapping: key → (the key's place, the value)."""

    place: _Place
    entries: dict[str, tuple[_Place, _Node]] = dataclasses.field(default_factory=dict)


_Node: TypeAlias = _Scalar | _Listing | _Mapping


@dataclasses.dataclass(frozen=True, order=True)
class _Fault:
    """One fault: where, at which dotted path (perhaps none), and what."""

    place: _Place
    path: str
    message: str

    def __str__(self) -> str:
        redundant = not self.path or self.place.label == f"--set {self.path}"
        return f"{self.place}: {self.message}" if redundant else f"{self.place}: {self.path}: {self.message}"


class _Unreadable(Exception):
    """A text that is no YAML we read any further."""

    def __init__(self, place: _Place, message: str) -> None:
        super().__init__(message)
        self.fault = _Fault(place, "", message)


def find(name_or_path: str | os.PathLike[str]) -> Path:
    """The file of a scenario: an existing path, or the name of one that ships.

    Raises:
        ScenarioError: there is neither; with the nearest name that ships.
    """
    path, name = Path(name_or_path), os.fspath(name_or_path)
    try:
        exists, is_file = path.exists(), path.is_file()
    except OSError as error:
        raise ScenarioError([f"{shown(name)}: cannot be read: {error.strerror}"]) from None
    if is_file:
        return path
    shipped = {file.stem: file for file in sorted(LIBRARY.glob("*.yaml"))}
    if name in shipped:
        return shipped[name]
    if exists:
        return path  # a directory or the like: `load` says what is wrong with it
    stem = path.stem if path.suffix in {".yaml", ".yml"} else name
    hint = suggestion(stem, shipped) or ": `evelab list` shows those that ship"
    raise ScenarioError([f"{shown(name)}: there is no such file, and no scenario of that name ships{hint}"])


def load(path: str | os.PathLike[str], overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario file.

    Args:
        path: the file.
        overrides: `path=value` each, applied in order before anything is judged; see `load_text`.

    Raises:
        ScenarioError: with all the faults of the file and the overrides.
    """
    name = os.fspath(path)
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise ScenarioError([f"{name}: is a directory, expected a scenario file"])
        if not stat.S_ISREG(status.st_mode):
            raise ScenarioError([f"{name}: is not a regular file, expected a scenario file"])
        if status.st_size > MAX_BYTES:
            raise ScenarioError([f"{name}: {_too_big(status.st_size, 'bytes')}"])
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)  # no further, should it grow meanwhile
    except FileNotFoundError:
        raise ScenarioError([f"{name}: there is no such file"]) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ScenarioError([f"{name}: cannot be read: {reason}"]) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        got = f"byte 0x{content[error.start]:02x}, which is not UTF-8"
        raise ScenarioError([f"{name}:{line}:{column}: got {got}: a scenario is a text file"]) from None
    return load_text(text, name, overrides)


def load_text(text: str, name: str, overrides: Sequence[str] = ()) -> Scenario:
    """Read a scenario from text.

    Args:
        text: YAML 1.2, one document.
        name: what the faults call it; the scenario's default name is its stem.
        overrides: `path=value` each, applied in order before anything is judged. The path is dotted, an item
            of a list is its number (`timeline.0.fraction=50 %`); the value is YAML; sections in between are
            made.

    Raises:
        ScenarioError: with all the faults of the text and the overrides.
    """
    start = _Place(0, 1, 1, name)
    faults: list[_Fault] = []
    root: _Node | None = None
    if len(text) > MAX_BYTES:
        faults.append(_Fault(start, "", _too_big(len(text))))
    else:
        try:
            root = _Composer(text, name, faults).compose()
        except _Unreadable as error:
            faults.append(error.fault)
        else:
            if root is None:
                faults.append(_Fault(start, "", f"the file is empty, expected a mapping with {_NEEDED}"))
            elif not isinstance(root, _Mapping):
                got = shown(_data(root))
                faults.append(
                    _Fault(root.place, "", f"got {got} at the top, expected a mapping with {_NEEDED}")
                )
    scenario = _judge(root, _default_name(name), overrides, faults)
    if scenario is None:
        raise ScenarioError([str(fault) for fault in sorted(set(faults))])
    return scenario


_NEEDED = "duration and link"


def _judge(
    root: _Node | None, default_name: str, overrides: Sequence[str], faults: list[_Fault]
) -> Scenario | None:
    """The scenario in the tree under the overrides; None, and the faults added, when there are any."""
    tree = root if isinstance(root, _Mapping) else None
    for number, override in enumerate(overrides, 1):
        _override(tree, override, number, faults)
    if tree is None:
        return None
    data = {"name": default_name, **_data(tree)}
    try:
        scenario = Scenario.model_validate(data)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            location = detail["loc"]
            path = ".".join(map(str, location))
            faults.append(_Fault(_place(tree, location, detail["type"]), path, detail["msg"]))
        return None
    return None if faults else scenario


def _too_big(size: int, unit: str = "characters") -> str:
    return f"is {size} {unit} long, expected at most {MAX_BYTES}: a scenario is a short text"


def _default_name(name: str) -> str:
    """A scenario's name from its file's."""
    return re.sub(r"[^a-z0-9]+", "-", Path(name).stem.lower()).strip("-") or "scenario"


class _Composer:
    """Builds the tree of one YAML document from its events.

    Args:
        text: the document.
        label: what the faults call it.
        faults: where those go that do not hinder reading on.
        override: number of the override whose value this is, 0 for a file.
    """

    def __init__(self, text: str, label: str, faults: list[_Fault], override: int = 0) -> None:
        self._text = text
        self._label = label
        self._faults = faults
        self._override = override
        self._anchors: dict[str, _Node | None] = {}
        self._nodes = 0

    def compose(self) -> _Node | None:
        """The tree; None when there is no document or only an empty one.

        Raises:
            _Unreadable: a syntax error, or more than a scenario may hold.
        """
        root: _Node | None = None
        documents = 0
        events = self._events()
        for event in events:
            if isinstance(event, DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Unreadable(self._at(event), "a second document begins, expected one")
            elif isinstance(event, AliasEvent | ScalarEvent | SequenceStartEvent | MappingStartEvent):
                root = self._node(event, events, ())
        empty = isinstance(root, _Scalar) and root.plain and not root.text
        return None if empty and not self._override else root

    def _events(self) -> Iterator[Any]:
        """Ruamel's events, its errors as `_Unreadable`."""
        try:
            yield from YAML(typ="safe", pure=True).parse(self._text)
        except _Unreadable:
            raise
        except MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            message = ", ".join(filter(None, (error.context, error.problem)))
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            raise _Unreadable(self._place(line, column), f"not YAML: {_one_line(message)}") from None
        except ReaderError as error:
            before = self._text[: error.position]
            line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
            got = (
                f"character {ord(self._text[error.position]):#x}"
                if error.position < len(self._text)
                else "it"
            )
            raise _Unreadable(self._place(line, column), f"got {got}, which YAML does not allow") from None
        except Exception as error:  # noqa: BLE001 (ruamel raises anything on a malformed directive or escape)
            raise _Unreadable(self._place(1, 1), f"not YAML: {_one_line(str(error))}") from None

    def _node(self, event: Any, events: Iterator[Any], path: tuple[str, ...]) -> _Node:
        """The node at `path` that begins with `event`."""
        place = self._at(event)
        if isinstance(event, AliasEvent):
            return self._alias(event.anchor, place, len(path))
        self._count(place, len(path))
        if event.tag is not None:
            self._add(place, path, f"got the tag {shown(event.tag)}, expected a value without a tag")
        if event.anchor is not None:
            self._anchors[event.anchor] = None  # known, but not to be used inside itself
        node: _Node
        if isinstance(event, ScalarEvent):
            node = _Scalar(place, event.value, plain=event.style is None)
        elif isinstance(event, SequenceStartEvent):
            node = _Listing(place)
            for item in events:
                if isinstance(item, SequenceEndEvent):
                    break
                node.items.append(self._node(item, events, (*path, str(len(node.items)))))
        else:
            node = _Mapping(place)
            self._entries(node, events, path)
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        return node

    def _entries(self, mapping: _Mapping, events: Iterator[Any], path: tuple[str, ...]) -> None:
        """Fill a mapping up to its end."""
        for event in events:
            if isinstance(event, MappingEndEvent):
                return
            key = self._node(event, events, (*path, ""))
            place = self._at(event)  # of an alias, not of what it stands for
            name = key.text if isinstance(key, _Scalar) else ""
            value = self._node(next(events), events, (*path, name))
            if not isinstance(key, _Scalar):
                self._add(place, path, f"got {shown(_data(key))} as a key, expected a name")
            elif name in mapping.entries:
                first = mapping.entries[name][0]
                where = f", first in line {first.line}" if first.line else ""
                self._add(place, (*path, name), f"given twice{where}, expected once")
            else:
                mapping.entries[name] = (place, value)

    def _alias(self, anchor: str, place: _Place, depth: int) -> _Node:
        """A copy of what was anchored, so that an override changes one place."""
        if anchor not in self._anchors:
            raise _Unreadable(
                place, f"got *{shown(anchor)}, but nothing above is anchored as &{shown(anchor)}"
            )
        node = self._anchors[anchor]
        if node is None:
            raise _Unreadable(place, f"got *{shown(anchor)} inside of what it stands for")
        return self._copied(node, place, depth)

    def _copied(self, node: _Node, place: _Place, depth: int) -> _Node:
        """A copy of a tree; its nodes are counted again, which bounds what aliases can grow to."""
        self._count(place, depth)
        if isinstance(node, _Mapping):
            copies = {
                key: (at, self._copied(value, place, depth + 1)) for key, (at, value) in node.entries.items()
            }
            return _Mapping(node.place, copies)
        if isinstance(node, _Listing):
            return _Listing(node.place, [self._copied(item, place, depth + 1) for item in node.items])
        return dataclasses.replace(node)

    def _count(self, place: _Place, depth: int) -> None:
        """Count one more node, at that depth; the limits also keep recursion over the tree shallow."""
        self._nodes += 1
        if self._nodes > MAX_NODES:
            message = f"more than {MAX_NODES} values, aliases counted each time, which no scenario has"
            raise _Unreadable(place, message)
        if depth > MAX_DEPTH:
            raise _Unreadable(place, f"nested deeper than {MAX_DEPTH} levels, which no scenario is")

    def _add(self, place: _Place, path: tuple[str, ...], message: str) -> None:
        self._faults.append(_Fault(place, ".".join(shown(key) for key in path if key), message))

    def _at(self, event: Any) -> _Place:
        return self._place(event.start_mark.line + 1, event.start_mark.column + 1)

    def _place(self, line: int, column: int) -> _Place:
        if self._override:
            return _Place(self._override, 0, 0, self._label)
        return _Place(0, line, column, self._label)


def _one_line(message: str) -> str:
    return " ".join(message.split())[:200] or "it cannot be parsed"


def _data(node: _Node) -> Any:
    """A tree as plain Python values; lists as tuples."""
    if isinstance(node, _Mapping):
        return {key: _data(value) for key, (_, value) in node.entries.items()}
    if isinstance(node, _Listing):
        return tuple(_data(item) for item in node.items)
    return _plain(node.text) if node.plain else node.text


def _plain(text: str) -> Any:
    """A scalar without quotes by YAML 1.2's core schema; a number with a trap in it stays text."""
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text):
        return True
    if _FALSE.fullmatch(text):
        return False
    if len(text) <= _LONGEST_NUMBER:
        if _INTEGER.fullmatch(text):
            return int(text)
        if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
            return float(text)
    return text


def _place(root: _Mapping, location: Location, kind: str) -> _Place:
    """Where a fault stands: the key for an unknown key or a whole section, else the value.

    What is missing stands at the section it is missing from.
    """
    node: _Node = root
    here = key_place = root.place
    for key in location:
        if isinstance(node, _Mapping) and key in node.entries:
            key_place, node = node.entries[str(key)]
            here = node.place if isinstance(node, _Scalar) else key_place
        elif isinstance(node, _Listing) and isinstance(key, int) and key < len(node.items):
            node = node.items[key]
            here = key_place = node.place
        else:
            return key_place
    return key_place if kind == "unknown_key" else here


def _override(tree: _Mapping | None, override: str, number: int, faults: list[_Fault]) -> None:
    """Set one value in the tree; what is wrong with the override itself goes to the faults.

    Args:
        tree: None when the file could not be read: then the override's form is judged alone.
        override: `path=value`.
        number: which override this is, from 1.
        faults: added to.
    """
    path, equals, value = override.partition("=")
    path = path.strip()
    keys = path.split(".")
    place = _Place(number, 0, 0, f"--set {shown(path)}")
    if not equals or not all(key.strip() for key in keys) or len(keys) > MAX_DEPTH:
        got = f"got {shown(override)}, expected PATH=VALUE, like link.length=25 km"
        faults.append(_Fault(_Place(number, 0, 0, f"--set {shown(override)}"), "", got))
        return
    if len(value) > MAX_BYTES:
        faults.append(_Fault(place, "", _too_big(len(value))))
        return
    try:
        node = _Composer(value, place.label, faults, number).compose() or _Scalar(place, "", plain=True)
    except _Unreadable as error:
        faults.append(error.fault)
        return
    if tree is not None:
        reason = _put(tree, keys, node, place)
        if reason:
            faults.append(_Fault(place, "", reason))


def _put(tree: _Mapping, keys: list[str], value: _Node, place: _Place) -> str:
    """Put a value into the tree; why it cannot be, or nothing."""
    parent: _Node = tree
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        above = ".".join(keys[:depth])
        if isinstance(parent, _Listing):
            if not re.fullmatch("[0-9]{1,6}", key) or int(key) >= len(parent.items):
                count = len(parent.items)
                allowed = f"an item's number, 0 to {count - 1}" if count else "no item: the list is empty"
                return f"got {shown(key)} in {above}, expected {allowed}"
            child: _Node | None = parent.items[int(key)]
        elif isinstance(parent, _Mapping):
            child = parent.entries[key][1] if key in parent.entries else None
        else:
            return f"{above} is {shown(_data(parent))}, expected a section to set {shown(key)} in"
        if last:
            child = value
        elif child is None or (isinstance(child, _Scalar) and _data(child) is None):
            child = _Mapping(place)
        if isinstance(parent, _Listing):
            parent.items[int(key)] = child
        elif child.place == place or key not in parent.entries:
            parent.entries[key] = (place, child)
        parent = child
    return ""
