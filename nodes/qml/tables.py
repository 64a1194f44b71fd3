"""A user's own table of labelled rows: the files of NSL-KDD, or comma-separated values with a header.

NSL-KDD (Tavallaee, Bagheri, Lu and Ghorbani, CISDA 2009) is not shipped; KDDTrain+.txt has no header, 41 features,
the name of the attack or `normal`, and how hard the row was for their classifiers.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from netsim.errors import ScenarioError
from nodes.qml.datasets import DataSet
from nodes.qml.scaling import Scaler, Unscaled

NSL_KDD = (
    *("duration", "protocol_type", "service", "flag", "src_bytes", "dst_bytes", "land", "wrong_fragment"),
    *("urgent", "hot", "num_failed_logins", "logged_in", "num_compromised", "root_shell", "su_attempted"),
    *(
        "num_root",
        "num_file_creations",
        "num_shells",
        "num_access_files",
        "num_outbound_cmds",
        "is_host_login",
    ),
    *("is_guest_login", "count", "srv_count", "serror_rate", "srv_serror_rate", "rerror_rate"),
    *("srv_rerror_rate", "same_srv_rate", "diff_srv_rate", "srv_diff_host_rate", "dst_host_count"),
    *("dst_host_srv_count", "dst_host_same_srv_rate", "dst_host_diff_srv_rate"),
    *("dst_host_same_src_port_rate", "dst_host_srv_diff_host_rate", "dst_host_serror_rate"),
    *("dst_host_srv_serror_rate", "dst_host_rerror_rate", "dst_host_srv_rerror_rate"),
    *("label", "difficulty"),
)
"""Its columns."""

Layout = Literal["auto", "nsl-kdd", "csv"]
_CATEGORICAL = ("protocol_type", "service", "flag")  # of NSL-KDD
_TOLD = 50  # faults that are listed; a wrong file can have one on every line
_TAIL = 0.01


@dataclass(frozen=True, eq=False)
class Preparation:
    """How a table's columns became features: kept, so that another file and the queries are treated alike.

    Attributes:
        features: names of the columns, in order.
        categories: of each categorical column, its values, the commonest first.
        scaler: of all columns.
    """

    features: tuple[str, ...]
    categories: Mapping[str, tuple[str, ...]]
    scaler: Scaler


@dataclass(frozen=True, eq=False)
class Table:
    """A file that was read.

    Attributes:
        unscaled: its rows; `unscaled.split` fits a scaler on training rows alone.
        data: all rows, scaled by `preparation`.
        preparation: of this file, or the one that was given.
    """

    unscaled: Unscaled
    data: DataSet
    preparation: Preparation


@dataclass(frozen=True)
class _Line:
    number: int
    fields: Sequence[str]


def load_table(
    path: Path | str,
    *,
    features: Sequence[str],
    label: str = "label",
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    categorical: Sequence[str] = (),
    layout: Layout = "auto",
    limit: int | None = None,
    preparation: Preparation | None = None,
    tail: float = _TAIL,
) -> Table:
    """Read a table, or say everything that is wrong with it.

    Numbers stay as they are. A categorical column becomes one number, the rank of a value by how common it is in the file, 0
    for the commonest, ties by name; one that the file of the preparation did not have comes after all others. (One column
    for each value would take a qubit each: NSL-KDD's `service` has 70.) No encoding looks at labels. Then every column is scaled to
    [0, 1], see `Scaler`.

    Args:
        path: of the file, UTF-8.
        features: columns to use, at least one, in this order.
        label: the column with the label.
        positive: labels of class 1; all others are class 0.
        negative: or instead labels of class 0, all others being class 1. NSL-KDD's is `normal` unless one of them is given.
        categorical: columns whose values are names. NSL-KDD's protocol_type, service and flag are, without being listed.
        layout: `nsl-kdd`, `csv`, or `auto`: NSL-KDD if the first line has 43 fields and tells a protocol in the second.
        limit: rows to use, the first of the file, at least 1; all if left out. The others are not looked at.
        preparation: of the training file, for a test file: its categories and its scale.
        tail: share of rows beyond each end of a scale; 0 for smallest and largest.

    Returns:
        The rows, in the file's order.

    Raises:
        netsim.errors.ScenarioError: every fault of the call, or of the file as file:line. A file that cannot be read or
            has no rows, a line with too few or too many fields, an unknown or doubled column, a missing number, NaN or
            infinity, a named label that never occurs, rows of one class only.
    """
    name = str(path)
    wrong_call = _of_the_call(features, label, positive, negative, layout, limit, preparation, tail)
    _refuse([f"{name}: {fault}" for fault in wrong_call])
    header, lines = _read(Path(path), layout, limit)
    known = header is NSL_KDD
    if known and not positive and not negative:
        negative = ("normal",)
    if not positive and not negative:
        raise ScenarioError([f"{name}: neither positive nor negative labels are named; expected one of them"])
    named = {*categorical, *(_CATEGORICAL if known else ())}
    _refuse(_of_the_header(name, header, [*features, label, *categorical]))
    numbers = _numbers(name, header, lines, features, label, named)
    labels = _labels(name, [line.fields[header.index(label)].strip() for line in lines], positive, negative)
    texts = {
        place: [line.fields[header.index(column)].strip() for line in lines]
        for place, column in enumerate(features)
        if column in named
    }
    categories = (
        {features[place]: _ranked(values) for place, values in texts.items()}
        if preparation is None
        else preparation.categories
    )
    for place, values in texts.items():
        ranks = {value: rank for rank, value in enumerate(categories.get(features[place], ()))}
        numbers[:, place] = [ranks.get(value, len(ranks)) for value in values]
    unscaled = Unscaled(tuple(features), numbers, labels)
    if preparation is None:
        preparation = Preparation(tuple(features), categories, Scaler.fit(numbers, tail))
    return Table(unscaled, unscaled.scaled(preparation.scaler), preparation)


def _of_the_header(name: str, header: Sequence[str], wanted: Sequence[str]) -> list[str]:
    faults = [f"{name}:1: the column {column!r} stands there twice" for column in _doubled(header)]
    missing = [column for column in dict.fromkeys(wanted) if column not in header]
    return faults + [
        f"{name}:1: no column {column!r}; expected one of {', '.join(header)}" for column in missing
    ]


def _numbers(
    name: str,
    header: Sequence[str],
    lines: Sequence[_Line],
    features: Sequence[str],
    label: str,
    named: set[str],
) -> NDArray[np.float64]:
    """The features float64[n, d], 0 in the columns of names; raises the faults of all lines."""
    numbers = np.zeros((len(lines), len(features)))
    wanted = [(column, header.index(column), column in named) for column in features]
    telling = header.index(label)
    faults: list[str] = []
    for row, line in enumerate(lines):
        if len(line.fields) != len(header):
            faults.append(f"{name}:{line.number}: {len(line.fields)} fields; expected {len(header)}")
            continue
        found = [
            _entry(column, line.fields[index].strip(), categorical) for column, index, categorical in wanted
        ]
        if not line.fields[telling].strip():
            found.append(f"{label} is missing")
        wrong = [entry for entry in found if isinstance(entry, str)]
        faults += [f"{name}:{line.number}: {entry}" for entry in wrong]
        if not wrong:
            numbers[row] = found
    _refuse(faults)
    return numbers


def _of_the_call(
    features: Sequence[str],
    label: str,
    positive: Sequence[str],
    negative: Sequence[str],
    layout: str,
    limit: int | None,
    preparation: Preparation | None,
    tail: float,
) -> list[str]:
    faults = []
    if isinstance(features, str) or not features:
        faults.append(f"features are {features!r}; expected a list of at least one column")
    if isinstance(positive, str) or isinstance(negative, str):
        faults.append(f"positive is {positive!r} and negative {negative!r}; expected lists of labels")
    if positive and negative:
        faults.append(
            "both positive and negative labels are named; expected one of them, all others are the other class"
        )
    faults += [f"the feature {column!r} is listed twice" for column in _doubled(features)]
    if label in features:
        faults.append(f"the label {label!r} is among the features")
    if layout not in get_args(Layout):
        faults.append(f"layout is {layout!r}; expected one of {', '.join(get_args(Layout))}")
    if limit is not None and limit < 1:
        faults.append(f"limit is {limit}; expected at least 1 row")
    if not 0.0 <= tail < 0.5:
        faults.append(f"tail is {tail}; expected 0 or more and less than 0.5")
    if preparation is not None and preparation.features != tuple(features):
        faults.append(
            f"features are {', '.join(features)}; the preparation is of {', '.join(preparation.features)}"
        )
    return faults


def _read(path: Path, layout: Layout, limit: int | None) -> tuple[Sequence[str], list[_Line]]:
    """The columns' names, and the lines that hold rows."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            lines = _lines(file)
            first = next(lines, None)
            if first is None:
                raise ScenarioError([f"{path}: the file is empty; expected rows"])
            if layout == "auto":
                telling = len(first.fields) == len(NSL_KDD) and first.fields[1] in {"tcp", "udp", "icmp"}
                layout = "nsl-kdd" if telling else "csv"
            header = NSL_KDD if layout == "nsl-kdd" else [field.strip() for field in first.fields]
            rows = [first] if layout == "nsl-kdd" else []
            for line in lines:
                if limit is not None and len(rows) >= limit:
                    break
                rows.append(line)
    except OSError as error:
        raise ScenarioError([f"{path}: cannot be read: {error.strerror}"]) from None
    except UnicodeDecodeError as error:
        raise ScenarioError([f"{path}: byte {error.start} is no UTF-8; expected a text file"]) from None
    except csv.Error as error:
        raise ScenarioError([f"{path}: {error}; expected comma-separated values"]) from None
    if not rows:
        raise ScenarioError([f"{path}: there are no rows under the header"])
    return header, rows


def _lines(file: Iterator[str]) -> Iterator[_Line]:
    reader = csv.reader(file)
    for fields in reader:
        if fields:  # an empty line is no row
            yield _Line(reader.line_num, fields)


def _entry(column: str, text: str, categorical: bool) -> float | str:
    """The number in a field, 0 for the time being if it is a name; or what is wrong."""
    if not text:
        return f"{column} is missing; expected a {'name' if categorical else 'number'}"
    if categorical:
        return 0.0
    try:
        number = float(text)
    except ValueError:
        number = np.nan
    return number if np.isfinite(number) else f"{column} is {text!r}; expected a finite number"


def _labels(
    name: str, texts: Sequence[str], positive: Sequence[str], negative: Sequence[str]
) -> NDArray[np.int64]:
    there = Counter(texts)
    shown = ", ".join(label for label, _ in there.most_common(10)) + (", …" if len(there) > 10 else "")
    _refuse(
        [
            f"{name}: no row has the label {label!r}; there are {shown}"
            for label in (*positive, *negative)
            if label not in there
        ]
    )
    chosen = set(positive or negative)
    ones = np.array([(text in chosen) == bool(positive) for text in texts], dtype=np.int64)
    if ones.min() == ones.max():
        _refuse(
            [f"{name}: all {len(texts)} rows are of class {ones[0]}, labels {shown}; expected both classes"]
        )
    return ones


def _ranked(values: Sequence[str]) -> tuple[str, ...]:
    counts = Counter(values)
    return tuple(sorted(counts, key=lambda value: (-counts[value], value)))


def _doubled(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _refuse(faults: Sequence[str]) -> None:
    if len(faults) > _TOLD:
        faults = [*faults[:_TOLD], f"… and {len(faults) - _TOLD} more faults"]
    if faults:
        raise ScenarioError(faults)
