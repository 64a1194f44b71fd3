"""What a scenario file may say: its sections, their defaults and limits, and what contradicts what.

Every field carries a `Reader`, which reads the file's spelling, spells it again and describes it in the
JSON Schema. The timeline's entries come from the metadata of the actions in `nodes.attacks.catalogue`: a new
action needs no line here.

`Scenario.model_validate` reports every fault at once. Each error's `msg` is a finished sentence, and its
`type` one of `missing_key` (`loc` names what is not there), `unknown_key` (the key is at fault) and `fault`
(the value is).
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias, TypeVar, get_args, get_type_hints

from pydantic import (
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ModelWrapValidatorHandler,
    ValidationError,
    create_model,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from nodes.attacks.action import Action, Unit
from nodes.attacks.catalogue import CATALOGUE
from nodes.attacks.classical import AnalyseTraffic, ExhaustKeys, Replay, Tamper
from nodes.attacks.environment import AddedDelay, AddedLoss
from scenarios.contradictions import link_contradictions, unmet, without_use
from scenarios.expectations import Expectation, SeriesValue
from scenarios.inference_contradictions import action_contradictions, inference_contradictions
from scenarios.inference_sections import Queries, Server
from scenarios.readers import Choice, Expected, Flag, Hop, Integer, Names, RealNumber, Section, Text
from scenarios.sections import Classical, Defences, Eve, Keys, Link
from scenarios.units import (
    BITS,
    FRACTION,
    LENGTH,
    RATE,
    RATIO,
    TIME,
    Limits,
    Quantity,
    Reader,
    Seconds,
    format_quantity,
    listed,
    shown,
    suggestion,
)

RESERVED = ("sweep", "replications")
"""Top-level keys kept for later releases."""

Location: TypeAlias = tuple[str | int, ...]

_AUTHENTICATION_KEY_BITS = 512  # what the tags of the first block need before it has made key of its own

_AnySection = TypeVar("_AnySection", bound=Section)


@dataclasses.dataclass(frozen=True)
class TimelineEntry:
    """One thing that happens.

    Attributes:
        at: seconds, when it begins.
        until: seconds, when it ends; None for the end of the run.
        action: what happens, with its parameters.
    """

    at: float
    until: float | None
    action: Action

    @classmethod
    def read(cls, value: Any) -> TimelineEntry:
        """An entry as the file has it: `at`, `until`, `action`, and the action's own parameters.

        Raises:
            ValueError: it is no mapping; when a wrong one, pydantic's `ValidationError` with every fault.
        """
        if isinstance(value, cls):
            return value
        if not isinstance(value, Mapping):
            raise ValueError(  # noqa: TRY004 (pydantic collects ValueErrors)
                f"got {shown(value)}, expected a mapping with at, action and the action's own parameters"
            )
        model = _entry_model(value.get("action"))
        try:
            entry = model.model_validate(value)
        except ValidationError as error:
            raise ValidationError.from_exception_data("timeline", _in_words(model, error)) from None
        return cls._built(entry)

    @classmethod
    def _built(cls, entry: AnyEntry) -> TimelineEntry:
        """The entry with its action made from the parameters of a generated model."""
        action = CATALOGUE.get(entry.action, Action)
        values = {field.name: getattr(entry, field.name) for field, _ in action.parameters()}
        return cls(entry.at, entry.until, action(**values))

    @classmethod
    def drafted(cls, value: Any) -> TimelineEntry:
        """The entry with whatever of it is right; see `_draft`. An unknown action is a bare `Action`."""
        return cls._built(
            _draft(_entry_model(value.get("action") if isinstance(value, Mapping) else None), value)
        )

    def spell(self) -> dict[str, Any]:
        """The entry as a file writes it, defaults included."""
        spelled: dict[str, Any] = {"at": format_quantity(self.at, TIME)}
        if self.until is not None:
            spelled["until"] = format_quantity(self.until, TIME)
        spelled["action"] = self.action.id
        for field, _ in self.action.parameters():
            reader = _reader(_entry_model(self.action.id).model_fields[field.name])
            spelled[field.name] = reader.spell(getattr(self.action, field.name))
        return spelled

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.read, serialization=core_schema.plain_serializer_function_ser_schema(cls.spell)
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        models = (_entry_model(name) for name in CATALOGUE)
        return {"oneOf": [model.model_json_schema(mode="serialization") for model in models]}


class AnyEntry(Section):
    """What every entry of the timeline has; the base of the models generated from the catalogue."""

    at: Seconds = Field(description="when it begins")
    until: Seconds | None = Field(default=None, description="when it ends; absent: at the end of the run")
    action: Annotated[str, Choice(tuple(CATALOGUE))] = Field(description="what happens")


class _UnknownEntry(AnyEntry):
    """An entry whose action is not known, so that its parameters cannot be judged."""

    model_config = ConfigDict(extra="ignore")


def _entry_model(name: Any) -> type[AnyEntry]:
    """The model of a timeline entry with the action called `name`."""
    return _generated(name) if isinstance(name, str) and name in CATALOGUE else _UnknownEntry


@functools.cache
def _generated(name: str) -> type[AnyEntry]:
    """`AnyEntry` with the parameters of the action called `name`, from its metadata."""
    action = CATALOGUE[name]
    types = get_type_hints(action)
    fields: dict[str, Any] = {
        "action": (
            Annotated[str, Choice((name,))],
            Field(description=f"{action.__doc__} Sign: {action.sign}"),
        )
    }
    for field, unit in action.parameters():
        required = field.default is dataclasses.MISSING
        reader = _parameter_reader(field.name, types[field.name], unit)
        fields[field.name] = (
            Annotated[types[field.name], reader],
            Field(description=unit.doc) if required else Field(default=field.default, description=unit.doc),
        )
    generated: type[AnyEntry] = create_model(action.__name__, __base__=AnyEntry, **fields)
    return generated


def _parameter_reader(name: str, type_: Any, unit: Unit) -> Reader:
    """How a parameter of an action is read.

    Raises:
        NotImplementedError: the catalogue uses a dimension that is not known here.
    """
    limits = Limits(minimum=unit.minimum, maximum=unit.maximum)
    match unit.dimension:
        case "fraction":
            return Quantity(FRACTION, limits)
        case "s":
            return Quantity(TIME, limits)
        case "/s":
            return Quantity(RATE, limits)
        case "dB":
            return Quantity(RATIO, limits)
        case "bit":
            return Quantity(BITS, limits, whole=True)
        case "number":
            return Integer(limits) if type_ is int else RealNumber(limits)
        case "choice":
            return Hop(unit.choices) if name == "hop" else Choice(unit.choices)
        case "names":
            return Names(unit.choices)
        case "flag":
            return Flag()
    raise NotImplementedError(f"parameter {name}: dimension {unit.dimension!r}")


class Scenario(Section):
    """A whole scenario file.

    Defaults are filled in. `queries` is None when nobody asks; `server` is then unused, as `link.source` and
    `defences.abort_below_chsh` are with BB84.
    """

    name: Annotated[str, Text("[a-z0-9-]+", "a name of small letters, digits and hyphens")] = Field(
        description="default: the file's stem"
    )
    about: Annotated[str, Text()] = Field(default="", description="what to look for")
    seed: Annotated[int, Integer(Limits(minimum=0))] = Field(default=1, description="of every random stream")
    duration: Annotated[float, Quantity(TIME, Limits(above=0))] = Field(description="of the run, simulated")
    fabric: Annotated[Literal["qunetsim", "direct"], Choice(("qunetsim", "direct"))] = Field(
        default="qunetsim", description="what carries the messages; the results are the same"
    )
    link: Link
    classical: Classical = Field(default_factory=Classical)
    eve: Eve = Field(default_factory=Eve)
    keys: Keys = Field(default_factory=Keys)
    queries: Queries | None = Field(default=None, description="absent or null: no clients, and no server")
    server: Server = Field(default_factory=Server)
    defences: Defences = Field(default_factory=Defences)
    # Not strict, so that a list is read where the field is a tuple.
    timeline: tuple[TimelineEntry, ...] = Field(default=(), strict=False, description="what happens when")
    expect: tuple[Annotated[Expectation, Expected()], ...] = Field(
        default=(), strict=False, description="what must hold of the results"
    )

    @model_validator(mode="wrap")
    @classmethod
    def _every_fault_at_once(cls, data: Any, handler: ModelWrapValidatorHandler[Scenario]) -> Scenario:
        """Report contradictions between values together with the faults of single values."""
        faults: list[InitErrorDetails] = []
        try:
            scenario = handler(data)
        except ValidationError as error:
            faults = _in_words(cls, error)
            scenario = _draft(cls, data)
        known = {fault["loc"] for fault in faults}
        for location, message in _contradictions(scenario):
            if location not in known:
                faults.append(_fault("fault", message, location, None))
        if faults:
            raise ValidationError.from_exception_data("scenario", faults)
        return scenario


def resolved(scenario: Scenario) -> dict[str, Any]:
    """The scenario with every default, as JSON-able values with units: loading it gives the same scenario.

    What it has no use for is left out: `server` without queries; the source and the CHSH bound with BB84.
    """
    spelled = scenario.model_dump(mode="json")
    if scenario.queries is None:
        del spelled["server"]
    for path in without_use(scenario):
        section = spelled
        for key in path[:-1]:
            section = section[key]
        del section[path[-1]]
    return spelled


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a scenario file."""
    schema = Scenario.model_json_schema(mode="serialization")
    schema["required"].remove("name")  # the loader takes it from the file's name
    title = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "EveLab scenario"}
    return json.loads(json.dumps({**schema, **title}))  # type: ignore[no-any-return]  # tuples become lists


def _contradictions(scenario: Scenario) -> Iterator[tuple[Location, str]]:
    """Values that are right alone and wrong together: where, and why.

    Args:
        scenario: perhaps a draft, whose values at fault are NaN: they compare false with everything, so they
            contradict nothing. Every comparison here must be true for a contradiction, not false.
    """
    link, keys = scenario.link, scenario.keys
    if scenario.eve.position > link.length:
        got, length = format_quantity(scenario.eve.position, LENGTH), format_quantity(link.length, LENGTH)
        yield ("eve", "position"), f"got {got}, expected at most the link's length ({length})"
    yield from link_contradictions(scenario)
    yield from inference_contradictions(scenario)
    if scenario.defences.authentication is True and keys.preshared < _AUTHENTICATION_KEY_BITS:
        least = f"at least {_AUTHENTICATION_KEY_BITS} bit for the first block's tags"
        without = "or defences.authentication: false"
        yield ("keys", "preshared"), f"got {keys.preshared} bit, expected {least} ({without})"
    if scenario.queries is None and "server" in scenario.model_fields_set:
        yield ("server",), "without queries there is no server: add a queries section or remove this one"
    if scenario.queries is not None and scenario.queries.start >= scenario.duration:
        yield ("queries", "start"), _late(scenario.queries.start, scenario.duration)
    for index, entry in enumerate(scenario.timeline):
        for key, message in _entry_contradictions(entry, scenario):
            yield ("timeline", index, key), message
    for index, expectation in enumerate(scenario.expect):
        for message in _window_contradictions(expectation, scenario.duration):
            yield ("expect", index), message


def _window_contradictions(expectation: Expectation, duration_s: float) -> Iterator[str]:
    """What is wrong with an expectation's window in a run of that length; nothing where the item is a NaN."""
    window = getattr(expectation, "left", None)
    if not isinstance(window, SeriesValue):
        return
    if window.from_s >= duration_s:
        yield "the window: " + _late(window.from_s, duration_s)
    elif math.inf > window.until_s > duration_s:
        yield "the window: " + _too_long(window.until_s, duration_s)


def _entry_contradictions(entry: TimelineEntry, scenario: Scenario) -> Iterator[tuple[str, str]]:
    """What is wrong with one entry of the timeline in its scenario: which key, and why."""
    action = entry.action
    if entry.at >= scenario.duration:
        yield "at", _late(entry.at, scenario.duration)
    if entry.until is not None:
        if entry.until <= entry.at:
            got, start = format_quantity(entry.until, TIME), format_quantity(entry.at, TIME)
            yield "until", f"got {got}, expected later than the entry's at ({start})"
        elif entry.until > scenario.duration:
            yield "until", _too_long(entry.until, scenario.duration)
    for need in action.requires():
        if message := unmet(need, scenario):
            yield "action", f"got {action.id}, which needs {message}"
    yield from action_contradictions(entry, scenario)
    if scenario.queries is None:
        yield from _needs_queries(action)


def _needs_queries(action: Action) -> Iterator[tuple[str, str]]:
    """What of an action has no sense when nobody asks the server: which key, and why."""
    asked = isinstance(action, ExhaustKeys | AnalyseTraffic) or (
        isinstance(action, Replay) and action.messages == "queries"
    )
    if asked or getattr(action, "id", "").startswith("server."):
        yield "action", f"got {action.id}, which needs a queries section"
    if isinstance(action, Tamper) and isinstance(action.messages, tuple):
        for kind in action.messages:
            if kind in {"query", "answer"}:
                yield "messages", f"got {kind}, which needs a queries section"
    if isinstance(action, AddedDelay | AddedLoss) and action.hop == "bob-server":
        yield "hop", "got bob-server, which needs a queries section: without it there is no server"


def _late(start_s: float, duration_s: float) -> str:
    """A start at or after the end of the run."""
    duration = format_quantity(duration_s, TIME)
    return f"got {format_quantity(start_s, TIME)}, expected before the end of the run (duration: {duration})"


def _too_long(until_s: float, duration_s: float) -> str:
    """An end after the end of the run."""
    duration = format_quantity(duration_s, TIME)
    return f"got {format_quantity(until_s, TIME)}, expected at most the run's duration ({duration})"


def _reader(field: FieldInfo) -> Reader:
    """The reader of a field that is not a section, or of its items."""
    candidates: list[Any] = [*field.metadata, field.annotation]
    while candidates:
        candidate = candidates.pop(0)
        if isinstance(candidate, Reader):
            return candidate
        candidates += get_args(candidate)
    raise TypeError(f"no reader in {field}")


def _section(field: FieldInfo) -> type[Section] | None:
    """The section a field holds, perhaps optionally; None when it holds a value."""
    kinds = (field.annotation, *get_args(field.annotation))
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Section)), None)


def _draft(model: type[_AnySection], data: Any) -> _AnySection:
    """A section with whatever of it is right; what is at fault or missing is NaN."""
    given = data if isinstance(data, Mapping) else {}
    values: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        if isinstance(data, Mapping) and name not in given and not field.is_required():
            values[name] = field.get_default(call_default_factory=True)
        else:
            values[name] = _drafted(name, field, given.get(name, math.nan))
    return model.model_construct(_fields_set=set(given) & set(values), **values)


def _drafted(name: str, field: FieldInfo, value: Any) -> Any:
    """One value of a draft."""
    section = _section(field)
    if section is not None:
        optional = type(None) in get_args(field.annotation)
        return None if value is None and optional else _draft(section, value)
    if name == "timeline":
        return tuple(map(TimelineEntry.drafted, value)) if isinstance(value, list | tuple) else ()
    if name == "expect":
        items = value if isinstance(value, list | tuple) else ()
        return tuple(_drafted("", field, item) for item in items)
    try:
        return _reader(field).read(value)
    except ValueError:
        return math.nan


def _fault(kind: str, message: str, location: Location, value: Any) -> InitErrorDetails:
    """An error in our own words."""
    # The message goes in as a value: as a template its braces would be read.
    error = PydanticCustomError(kind, "{message}", {"message": message})
    return InitErrorDetails(type=error, loc=location, input=value)


def _in_words(model: type[Section], error: ValidationError) -> list[InitErrorDetails]:
    """Pydantic's errors as ours."""
    faults = []
    for detail in error.errors(include_url=False):
        location, value, kind = detail["loc"], detail["input"], detail["type"]
        if kind in {"missing_key", "unknown_key", "fault"}:
            message = detail["msg"]
        elif kind == "value_error":
            kind, message = "fault", str(detail["ctx"]["error"])
        elif kind == "missing":
            kind, message = "missing_key", _missing(model, location)
        elif kind == "extra_forbidden":
            kind, message = "unknown_key", _unknown(model, location)
        elif kind.startswith("model_"):
            kind, message = "fault", _no_section(model, location, value)
        elif kind == "tuple_type":
            kind, message = (
                "fault",
                f"got {shown(value)}, expected a list: each item on a line that starts with -",
            )
        else:
            kind, message = "fault", f"got {shown(value)}: {detail['msg']}"
        faults.append(_fault(kind, message, location, value))
    return faults


def _model_at(model: type[Section], location: Location) -> type[Section]:
    """The section at `location` below `model`."""
    for key in location:
        model = _section(model.model_fields[str(key)]) or model
    return model


def _missing(model: type[Section], location: Location) -> str:
    """The message for a key that is not there."""
    field = _model_at(model, location[:-1]).model_fields[str(location[-1])]
    section = _section(field)
    if section is not None:
        return f"missing, expected a mapping with {_keys(section)}"
    reader = _reader(field)
    try:
        reader.read(None)
    except ValueError as error:
        return str(error).replace("got nothing", "missing", 1)
    return "missing"


def _no_section(model: type[Section], location: Location, value: Any) -> str:
    """The message for something else where a section is expected."""
    hint = " (write {} for its defaults, or leave the key out)" if value is None and location else ""
    return f"got {shown(value)}, expected a mapping with {_keys(_model_at(model, location))}{hint}"


def _keys(model: type[Section]) -> str:
    """The keys a section must have, or else those it may have."""
    required = [name for name, field in model.model_fields.items() if field.is_required() and name != "name"]
    return listed(required, "and") if required else "keys such as " + listed([*model.model_fields][:4])


def _unknown(model: type[Section], location: Location) -> str:
    """The message for a key that does not belong."""
    section, key = _model_at(model, location[:-1]), str(location[-1])
    if section is Scenario and key in RESERVED:
        return "reserved: sweeps come in a later release"
    hint = suggestion(key, section.model_fields)
    if not hint:
        elsewhere = [path for path in _paths(Scenario) if path.split(".")[-1] == key]
        hint = f": did you mean {listed(elsewhere)}?" if elsewhere else ""
    return f"unknown key {shown(key)}{hint or f', expected one of {listed(section.model_fields)}'}"


def _paths(model: type[Section], above: str = "") -> Iterator[str]:
    """Every key of a section and of those in it, as dotted paths."""
    for name, field in model.model_fields.items():
        section = _section(field)
        yield above + name
        if section is not None:
            yield from _paths(section, f"{above}{name}.")
