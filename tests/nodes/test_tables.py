"""A user's table: what is read, and everything that is said about one that cannot be."""

from __future__ import annotations

import numpy as np
import pytest

from netsim.errors import ScenarioError
from nodes.qml.tables import NSL_KDD, load_table

CSV = """bytes,service,label
10,web,ok
20,dns,ok
30,web,bad
50,ssh,worse
"""


def written(tmp_path, text, name="table.csv"):
    """A file with this text."""
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def kdd(protocol="tcp", service="http", size="100", label="normal", fields=43):
    """A line of NSL-KDD with most columns 0."""
    line = ["0"] * 43
    line[0], line[1], line[2], line[3], line[4], line[41], line[42] = (
        "1",
        protocol,
        service,
        "SF",
        size,
        label,
        "21",
    )
    return ",".join(line[:fields])


def faults(path, **options):
    """What is wrong with it, file names left out."""
    with pytest.raises(ScenarioError) as caught:
        load_table(path, **{"features": ["bytes"], "positive": ["bad"], **options})
    return [fault.removeprefix(str(path)) for fault in caught.value.faults]


def test_a_table_becomes_features_and_labels(tmp_path):
    """Numbers are scaled, names become ranks by how common they are, ties by name, and other labels are class 0."""
    table = load_table(
        written(tmp_path, CSV),
        features=["service", "bytes"],
        positive=["bad", "worse"],
        categorical=["service"],
        tail=0.0,
    )
    assert table.unscaled.rows.tolist() == [[0, 10], [1, 20], [0, 30], [2, 50]]
    assert np.allclose(table.data.features, [[0, 0], [0.5, 0.25], [0, 0.5], [1, 1]])
    assert table.data.labels.tolist() == [0, 0, 1, 1]
    assert table.preparation.categories == {"service": ("web", "dns", "ssh")}


def test_the_negative_labels_can_be_named_instead(tmp_path):
    """With labels of class 0 named, all others are class 1."""
    table = load_table(written(tmp_path, CSV), features=["bytes"], negative=["ok"])
    assert table.data.labels.tolist() == [0, 0, 1, 1]


def test_a_test_file_is_treated_as_the_training_file_was(tmp_path):
    """With a preparation, scale and ranks are the training file's; an unseen name comes last and is clipped."""
    options = {"features": ["service", "bytes"], "categorical": ["service"], "negative": ["ok"]}
    train = load_table(written(tmp_path, CSV), **options, tail=0.0)
    other = written(tmp_path, "bytes,service,label\n999,smtp,bad\n30,dns,ok\n", "test.csv")
    test = load_table(other, **options, preparation=train.preparation)
    assert np.allclose(test.data.features, [[1.0, 1.0], [0.5, 0.5]])
    assert test.preparation is train.preparation


def test_nsl_kdd_is_recognised(tmp_path):
    """Without a header its columns have their published names, `normal` is class 0, and three columns hold names."""
    lines = [kdd(), kdd("udp", "domain_u", "44"), kdd("tcp", "private", "0", "neptune")]
    table = load_table(
        written(tmp_path, "\n".join(lines) + "\n", "KDDTrain+.txt"), features=["protocol_type", "src_bytes"]
    )
    assert table.data.labels.tolist() == [0, 0, 1]
    assert table.unscaled.rows.tolist() == [[0, 100], [1, 44], [0, 0]]
    assert len(NSL_KDD) == 43
    assert NSL_KDD[40:] == ("dst_host_srv_rerror_rate", "label", "difficulty")


def test_a_limit_takes_the_first_rows(tmp_path):
    """Rows beyond the limit are not looked at, whatever they hold."""
    path = written(tmp_path, CSV + "nonsense\n")
    assert len(load_table(path, features=["bytes"], positive=["bad"], limit=3).data.labels) == 3
    assert faults(path) == [":6: 1 fields; expected 3"]


def test_empty_lines_and_spaces_do_not_matter(tmp_path):
    """Blank lines are no rows, and spaces around a field are no part of it."""
    path = written(tmp_path, "bytes , label\n\n 1 , bad \n2,ok\n\n")
    assert load_table(path, features=["bytes"], positive=["bad"]).data.labels.tolist() == [1, 0]


def test_all_faults_are_told_at_once(tmp_path):
    """Each wrong field is named with its line, and nothing is returned."""
    path = written(
        tmp_path, "bytes,service,label\n1,web,ok\nnan,web,bad\n,web,ok\n2,web\n1e999,,bad\nx,web,\n"
    )
    assert faults(path, features=["bytes", "service"], categorical=["service"]) == [
        ":3: bytes is 'nan'; expected a finite number",
        ":4: bytes is missing; expected a number",
        ":5: 2 fields; expected 3",
        ":6: bytes is '1e999'; expected a finite number",
        ":6: service is missing; expected a name",
        ":7: bytes is 'x'; expected a finite number",
        ":7: label is missing",
    ]


def test_a_hopeless_file_is_not_listed_line_by_line(tmp_path):
    """After fifty faults the rest is counted."""
    path = written(tmp_path, "bytes,label\n" + "x,bad\n" * 200)
    found = faults(path)
    assert len(found) == 51
    assert found[-1] == "… and 150 more faults"


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("", {}, ": the file is empty; expected rows"),
        ("bytes,label\n", {}, ": there are no rows under the header"),
        ("bytes,bytes,label\n1,2,bad\n", {}, ":1: the column 'bytes' stands there twice"),
        ("size,label\n1,bad\n", {}, ":1: no column 'bytes'; expected one of size, label"),
        (CSV, {"label": "class"}, ":1: no column 'class'; expected one of bytes, service, label"),
        (CSV, {"categorical": ["host"]}, ":1: no column 'host'; expected one of bytes, service, label"),
        (CSV, {"positive": ["evil"]}, ": no row has the label 'evil'; there are ok, bad, worse"),
        (
            CSV,
            {"positive": ["ok", "bad", "worse"]},
            ": all 4 rows are of class 1, labels ok, bad, worse; expected both classes",
        ),
        (CSV, {"positive": []}, ": neither positive nor negative labels are named; expected one of them"),
        (CSV, {"features": []}, ": features are []; expected a list of at least one column"),
        (CSV, {"features": ["bytes", "bytes"]}, ": the feature 'bytes' is listed twice"),
        (CSV, {"features": ["label"]}, ": the label 'label' is among the features"),
        (CSV, {"limit": 0}, ": limit is 0; expected at least 1 row"),
        (CSV, {"tail": 0.5}, ": tail is 0.5; expected 0 or more and less than 0.5"),
        (CSV, {"layout": "xml"}, ": layout is 'xml'; expected one of auto, nsl-kdd, csv"),
        (CSV, {"features": "bytes"}, ": features are 'bytes'; expected a list of at least one column"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path, text, options, expected):
    """An empty file, unknown columns and labels, one class, or an impossible call: one fault that says what was expected."""
    assert expected in faults(written(tmp_path, text), **options)


def test_labels_of_both_classes_cannot_be_named(tmp_path):
    """Naming positive and negative labels at once is ambiguous, and refused."""
    assert "both positive and negative" in faults(written(tmp_path, CSV), negative=["ok"])[0]


def test_a_preparation_of_other_columns_is_refused(tmp_path):
    """A scale belongs to its columns."""
    path = written(tmp_path, CSV)
    table = load_table(path, features=["bytes"], positive=["bad"])
    found = faults(path, features=["service"], categorical=["service"], preparation=table.preparation)
    assert found == [": features are service; the preparation is of bytes"]


def test_a_file_that_cannot_be_read_is_a_fault(tmp_path):
    """A file that is not there, and one that is no text, raise the same kind of error."""
    assert faults(tmp_path / "none.csv") == [": cannot be read: No such file or directory"]
    path = tmp_path / "binary.csv"
    path.write_bytes(b"bytes,label\n\xff\xfe,bad\n")
    assert "is no UTF-8" in faults(path)[0]
