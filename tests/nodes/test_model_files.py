"""Model files: one model has one file, what is read is what was written, and nothing else is read at all."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import pickle
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nodes.qml import model_files
from nodes.qml.datasets import DataSet, split, two_clusters
from nodes.qml.model_files import DTYPES, ModelFile, ModelFileError, dump, fingerprint, load, read, written
from nodes.qml.models import KINDS as KINDS_SERVED
from nodes.qml.models import MODELS, OneAnswer, trained

HASH = hashlib.sha256(b"training data").hexdigest()
LIBRARIES = {"numpy": "2.0", "scikit-learn": "1.5"}


@dataclasses.dataclass(eq=False)
class Lines:
    """A model of nothing much: a matrix, some flags, and a setting."""

    name = "lines"
    slope: float
    matrix: np.ndarray
    flags: np.ndarray

    def state(self):
        """Settings and arrays."""
        return {"slope": self.slope, "labels": ["no", "yes"]}, {"matrix": self.matrix, "flags": self.flags}

    @classmethod
    def of_state(cls, settings, arrays):
        """The model; a KeyError or ValueError for another's state."""
        if settings["slope"] > 9:
            raise ValueError("too steep")
        return cls(settings["slope"], arrays["matrix"], arrays["flags"])


MODEL = Lines(0.1 + 0.2, np.array([[1.5, -0.0], [2e-308, 7.0]]) + 1j, np.array([True, False, True]))
KINDS = {"lines": Lines}
FILE = dump(MODEL, training_sha256=HASH, libraries=LIBRARIES)


def members_of(data: bytes) -> dict[str, bytes]:
    """Members of an archive, in order."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(members, *, compression=zipfile.ZIP_STORED, comment=b"") -> bytes:
    """An archive of (name, content) pairs, as another program would write it but with our times."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.comment = comment
        for name, content in members:
            info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            info.external_attr, info.create_system, info.compress_type = 0o600 << 16, 3, compression
            archive.writestr(info, content)
    return buffer.getvalue()


def canonical(manifest) -> bytes:
    """A manifest as ours are written."""
    return json.dumps(manifest, sort_keys=True, separators=(",", ":")).encode()


def forged(change=None, **replaced: bytes) -> bytes:
    """The file with a changed manifest, or other members, and everything else put right."""
    members = members_of(FILE)
    manifest = json.loads(members["manifest.json"])
    if change is not None:
        change(manifest)
    members["manifest.json"] = canonical(manifest)
    members |= {f"{name}.npy": content for name, content in replaced.items()}
    return archive_of(members.items())


def npy(array, **keywords) -> bytes:
    """An array as NumPy writes it."""
    buffer = io.BytesIO()
    np.save(buffer, array, **keywords)
    return buffer.getvalue()


def refusal(data: bytes) -> str:
    """Why a file is refused."""
    with pytest.raises(ModelFileError) as caught:
        load(data, KINDS)
    assert caught.value.faults
    return str(caught.value)


def same_array(one, other) -> bool:
    """Equal bit for bit, type and shape included."""
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def test_a_model_comes_back_as_it_was():
    """Settings and arrays survive, bit for bit, and the arrays can be written to."""
    model = load(FILE, KINDS)
    assert type(model) is Lines
    assert model.slope == MODEL.slope
    assert same_array(model.matrix, MODEL.matrix)
    assert same_array(model.flags, MODEL.flags)
    model.matrix[0, 0] = 0.0
    file = read(FILE)
    assert (file.kind, file.training_sha256, file.libraries) == ("lines", HASH, LIBRARIES)


# qiskit-machine-learning's optimiser passes SciPy an option that SciPy is about to drop
@pytest.mark.filterwarnings("ignore:scipy.optimize. The .disp. and .iprint. options:DeprecationWarning")
@pytest.mark.parametrize(
    "name", [*sorted(MODELS.keys() - {"qsvm"}), pytest.param("qsvm", marks=pytest.mark.slow)]
)
def test_the_servers_models_come_back_as_they_were(name):
    """Each kind that the server runs decides alike, bit for bit, before and after, and one that was loaded gives the same file."""
    rng = np.random.default_rng(1)
    train, test = split(two_clusters(60, 3.2, rng), 0.7, rng)
    model = trained(name, train, rng)
    file = dump(model, training_sha256=fingerprint(train), libraries=LIBRARIES)
    again = load(file)
    assert type(again) is KINDS_SERVED[name]
    assert np.array_equal(again.decide(test.features), model.decide(test.features))
    assert dump(again, training_sha256=fingerprint(train), libraries=LIBRARIES) == file


def test_what_a_poisoned_set_leaves_comes_back_too():
    """The model that always gives one answer has a file; a kind that nobody serves is refused with those that are named."""
    assert load(dump(OneAnswer(1), training_sha256=HASH, libraries={})).label == 1
    with pytest.raises(ModelFileError, match="kind 'lines'; expected logistic or one-answer or qsvm"):
        load(FILE)


def test_the_same_model_gives_the_same_bytes():
    """However the arrays lie in memory and the settings are ordered, the file is one; read and written again it is the same."""
    shuffled = Lines(MODEL.slope, np.asfortranarray(MODEL.matrix).astype(">c16"), MODEL.flags[::-1][::-1])
    libraries = dict(reversed(LIBRARIES.items()))
    assert dump(shuffled, training_sha256=HASH, libraries=libraries) == FILE
    assert written(read(FILE)) == FILE
    assert dump(load(FILE, KINDS), training_sha256=HASH, libraries=LIBRARIES) == FILE


def test_the_format_is_fixed():
    """These bytes are version 1, for ever."""
    tiny = ModelFile("lines", {"slope": 0.5}, {"w": np.array([1.0, -2.0])}, "0" * 64, {"numpy": "2.0"})
    digest = hashlib.sha256(struct.pack("<2d", 1.0, -2.0)).hexdigest()
    manifest = (
        '{"arrays":{"w":{"dtype":"<f8","sha256":"' + digest + '","shape":[2]}},'
        '"format":"evelab-model","libraries":{"numpy":"2.0"},"model":"lines","settings":{"slope":0.5},'
        '"training_sha256":"' + "0" * 64 + '","version":1}'
    ).encode()
    assert written(tiny) == archive_of([("manifest.json", manifest), ("w.npy", npy(np.array([1.0, -2.0])))])


def test_numpy_opens_it():
    """The arrays can be had with nothing but NumPy."""
    with np.load(io.BytesIO(FILE), allow_pickle=False) as arrays:
        assert same_array(arrays["matrix"], MODEL.matrix)
        assert same_array(arrays["flags"], MODEL.flags)


@pytest.mark.parametrize("dtype", DTYPES)
@given(data=st.data())
def test_any_array_survives(dtype, data):
    """Every dtype, any shape of up to four dimensions, empty and scalar ones included; the member is what NumPy writes."""
    elements = {"allow_nan": False, "allow_infinity": False} if np.dtype(dtype).kind in "fc" else None
    array = data.draw(
        hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4), elements=elements)
    )
    made = written(ModelFile("any", {}, {"a": array}, HASH, {}))
    assert same_array(read(made).arrays["a"], array)
    assert members_of(made)["a.npy"] == npy(array, allow_pickle=False)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(settings=st.dictionaries(st.text(), JSON, max_size=4))
def test_any_settings_survive(settings):
    """What JSON has comes back equal, floats to the last bit."""
    assert read(written(ModelFile("any", settings, {}, HASH, {}))).settings == settings


@pytest.mark.parametrize(
    ("settings", "arrays", "says"),
    [
        ({}, {"a": np.array([1.0, np.nan])}, "NaN or infinity"),
        ({}, {"a": np.array([1j * np.inf])}, "NaN or infinity"),
        ({}, {"a": np.array([object()])}, "dtype object"),
        ({}, {"a": np.array(["text"])}, "dtype <U4"),
        ({}, {"a": np.zeros(2, np.float16)}, "dtype '<f2'"),
        ({}, {"a": [1.0]}, "is list"),
        ({}, {"../a": np.zeros(2)}, "'../a'"),
        ({}, {"": np.zeros(2)}, "called ''"),
        ({"a": float("nan")}, {}, "not what JSON has"),
        ({"a": np.float64(1.0), "b": np.int64(1)}, {}, "not what JSON has"),
        ({"a": (1, 2)}, {}, "come back changed"),
        ({1: 2}, {}, "come back changed"),
        ({"a": {1.5}}, {}, "not what JSON has"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_not_written(settings, arrays, says):
    """A state that would be refused, or come back changed, is refused when it is written."""
    with pytest.raises(ModelFileError, match=says):
        written(ModelFile("any", settings, arrays, HASH, {}))


def test_a_refusal_to_write_says_all():
    """All arrays that cannot be written, the settings, and the hash, in one error."""
    file = ModelFile("any", {"a": {1}}, {"a": np.array([None]), "b": np.array([np.inf])}, "hash", {})
    with pytest.raises(ModelFileError) as caught:
        written(file)
    assert len(caught.value.faults) == 4


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_and_not_run(protocol):
    """A pickle of any protocol is never loaded, under whatever name."""

    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("a pickle was run",)

    bomb = pickle.dumps(Bomb(), protocol)
    assert "pickle" in refusal(bomb) or "expected a zip archive" in refusal(bomb)
    with_object = npy(np.array([1.0, None], dtype=object), allow_pickle=True)
    assert "pickled" in refusal(forged(matrix=with_object))
    for content in (bomb, with_object):
        assert refusal(forged(matrix=content))
        assert "'code.pkl'" in refusal(archive_of([*members_of(FILE).items(), ("code.pkl", content)]))


def test_an_object_dtype_in_the_manifest_is_refused():
    """An array of objects whose manifest owns up to it, hash and all, is refused too."""
    content = npy(np.array([1.0, None], dtype=object), allow_pickle=True)

    def own_up(manifest):
        manifest["arrays"]["matrix"] = {
            "dtype": "|O",
            "shape": [2],
            "sha256": hashlib.sha256(content).hexdigest(),
        }

    assert "dtype '|O'" in refusal(forged(own_up, matrix=content))


@pytest.mark.parametrize("length", [0, 1, 3, 4, 30, len(FILE) // 2, len(FILE) - 22, len(FILE) - 1])
def test_a_truncated_file_is_refused(length):
    """A prefix is no file."""
    says = refusal(FILE[:length])
    assert "truncated" in says or "expected a zip archive" in says


def test_a_foreign_file_is_refused():
    """What is none of ours, of another version, or of a kind that is not welcome, is refused by name."""
    assert "bare .npy" in refusal(npy(np.zeros(3)))
    assert "no manifest.json" in refusal(archive_of([("a.npy", npy(np.zeros(3)))]))
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    assert "no manifest.json" in refusal(buffer.getvalue())
    assert "format is 'other'" in refusal(forged(lambda m: m.update(format="other")))
    assert "version 2" in refusal(forged(lambda m: m.update(version=2)))
    assert "version True" in refusal(forged(lambda m: m.update(version=True)))
    assert "kind 'planes'; expected lines" in refusal(forged(lambda m: m.update(model="planes")))
    assert "refuses its state: ValueError: too steep" in refusal(
        forged(lambda m: m["settings"].update(slope=10))
    )
    assert "refuses its state: KeyError" in refusal(forged(lambda m: m["settings"].pop("slope")))


def test_tampering_is_refused():
    """A changed value, an array of another shape or type, and swapped arrays do not fit the manifest."""
    changed = MODEL.matrix.copy()
    changed[0, 0] += 1e-12
    assert "array 'matrix' was changed" in refusal(forged(matrix=npy(changed)))
    assert "'matrix' is not the .npy" in refusal(forged(matrix=npy(MODEL.matrix.reshape(4))))
    assert "'matrix' is not the .npy" in refusal(forged(matrix=npy(np.asfortranarray(MODEL.matrix))))
    assert "has 63 bytes" in refusal(forged(matrix=npy(MODEL.matrix)[:-1]))
    assert "truth values" in refusal(forged_values("flags", b"\x01\x00\x02"))
    assert "NaN or infinity" in refusal(forged_values("matrix", struct.pack("<8d", *[np.nan] * 8)))
    both = refusal(forged(matrix=npy(changed), flags=npy(~MODEL.flags)))
    assert "'matrix' was changed" in both
    assert "'flags' was changed" in both


def forged_values(name: str, raw: bytes) -> bytes:
    """The file with other values in an array, and a hash that fits."""
    content = members_of(FILE)[f"{name}.npy"]

    def rehash(manifest):
        manifest["arrays"][name]["sha256"] = hashlib.sha256(raw).hexdigest()

    return forged(rehash, **{name: content[: -len(raw)] + raw})


@pytest.mark.filterwarnings("ignore:Duplicate name:UserWarning")
def test_members_are_those_of_the_manifest():
    """Missing, additional, doubled and path-like members are refused, all at once."""
    members = members_of(FILE)
    without = [(name, content) for name, content in members.items() if name != "flags.npy"]
    assert "'flags.npy' is missing" in refusal(archive_of(without))
    assert "'more.npy' is not in the manifest" in refusal(
        archive_of([*members.items(), ("more.npy", npy(MODEL.flags))])
    )
    says = refusal(
        archive_of(
            [*members.items(), ("flags.npy", b""), ("../a.npy", b""), ("/etc/passwd", b""), ("a/b.npy", b"")]
        )
    )
    for name in ("'flags.npy' is there twice", "'../a.npy'", "'/etc/passwd'", "'a/b.npy'"):
        assert name in says
    assert refusal(archive_of([("dir/", b""), *members.items()]))


def test_there_is_no_place_for_anything_else():
    """A comment, bytes before or behind, another order, an extra field, another time, or compression: refused."""
    members = members_of(FILE)
    assert archive_of(members.items()) == FILE
    assert "not written as ours" in refusal(archive_of(members.items(), comment=b"hello"))
    assert "not written as ours" in refusal(archive_of(reversed(members.items())))
    assert refusal(FILE + b"\x00")
    assert refusal(b"\x00" + FILE)
    assert "not written as ours" in refusal(FILE[:4] + FILE)
    assert "compressed" in refusal(archive_of(members.items(), compression=zipfile.ZIP_DEFLATED))
    # the local head says another time than the directory, which readers believe
    assert "not written as ours" in refusal(FILE[:10] + b"\x01" + FILE[11:])


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m.pop("libraries"),
        lambda m: m.update(more=1),
        lambda m: m.update(settings=[]),
        lambda m: m.update(training_sha256="0"),
        lambda m: m.update(libraries={"numpy": 2}),
        lambda m: m.update(arrays={"matrix": None}),
        lambda m: m["arrays"].update({"a/b": m["arrays"]["matrix"]}),
        lambda m: m["arrays"]["matrix"].update(shape=[-1, 2]),
        lambda m: m["arrays"]["matrix"].update(shape=[2**48]),
        lambda m: m["arrays"]["matrix"].update(shape=[2.0, 2]),
        lambda m: m["arrays"]["matrix"].update(shape=[2**47] * 32),
        lambda m: m["arrays"]["matrix"].update(shape=[0] * 33),
        lambda m: m["arrays"]["matrix"].update(dtype=["<f8"]),
        lambda m: m["arrays"]["matrix"].update(sha256=5),
        lambda m: m["arrays"].update({f"a{i}": m["arrays"]["matrix"] for i in range(300)}),
    ],
)  # fmt: skip
def test_a_manifest_of_another_make_is_refused(change):
    """Fields missing, too many, of other types, or with absurd values."""
    refusal(forged(change))


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"null", b"[]", b"\xff\xfe", b'{"a":NaN}', b'{"a":1e999}', b"[" * 5000, b"[" * 100_000 + b"]" * 100_000,
     b'{"a":1,"a":2}', b'{"a" :1}', b'{"version":' + b"9" * 5000 + b"}"],
)  # fmt: skip
def test_a_manifest_that_is_no_json_of_ours_is_refused(text):
    """Bad JSON, JSON in another way, doubled keys, deep nesting, absurd numbers: refused, not crashed into."""
    refusal(archive_of([("manifest.json", text)]))


def test_absurd_sizes_are_refused_unread():
    """A bomb that would swell a thousandfold, members that overlap, too many members, and too long a file cost next to nothing."""
    zeros = npy(np.zeros(10**7))
    bomb = archive_of([("manifest.json", b"{}"), ("a.npy", zeros)], compression=zipfile.ZIP_DEFLATED)
    crowd = archive_of([(f"a{i}.npy", b"") for i in range(1000)])
    swollen = bytearray(FILE)  # every member claims the whole of 4 GB in the directory
    at = swollen.find(b"PK\x01\x02")
    while at >= 0:
        swollen[at + 20 : at + 28] = b"\xf0\xff\xff\xff" * 2
        at = swollen.find(b"PK\x01\x02", at + 4)
    assert len(bomb) < 10**6
    tracemalloc.start()
    try:
        assert "compressed" in refusal(bomb)
        assert "1000 members" in refusal(crowd)
        assert "claim" in refusal(bytes(swollen))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 4 * 10**6


def test_too_long_a_file_is_refused(monkeypatch):
    """Beyond the limit a file is neither read nor written; the limit is on the bytes that are there."""
    monkeypatch.setattr(model_files, "MAX_FILE_BYTES", len(FILE) - 1)
    assert f"expected at most {len(FILE) - 1}" in refusal(FILE)
    with pytest.raises(ModelFileError, match="expected at most"):
        dump(MODEL, training_sha256=HASH, libraries=LIBRARIES)


@given(st.data())
def test_any_damage_is_refused(data):
    """Flipped bits, cut ends, bytes put in or taken out: whatever differs from the file is refused, with no other error."""
    damaged = bytearray(FILE)
    for _ in range(data.draw(st.integers(1, 3))):
        if not damaged:  # deleted to the last byte
            break
        at = data.draw(st.integers(0, len(damaged) - 1))
        what = data.draw(st.sampled_from(["flip", "cut", "insert", "delete"]))
        if what == "flip":
            damaged[at] ^= data.draw(st.integers(1, 255))
        elif what == "cut":
            del damaged[at + 1 :]
        elif what == "insert":
            damaged[at:at] = data.draw(st.binary(min_size=1, max_size=30))
        else:
            del damaged[at : at + data.draw(st.integers(1, 30))]
    if damaged == FILE:
        return
    try:
        other = read(bytes(damaged))
    except ModelFileError:
        return
    # A flip in the open part of the manifest may leave a file of ours: then it is one, and says something else.
    assert written(other) == bytes(damaged)
    assert {name: array.tobytes() for name, array in other.arrays.items()} == {
        name: array.tobytes() for name, array in read(FILE).arrays.items()
    }


def test_every_single_flip_is_refused_or_another_file():
    """Each bit of a file, flipped: refused, or the one way of writing another manifest; the arrays are never changed unnoticed."""
    arrays = read(FILE).arrays
    passed = set()
    manifest = FILE.index(b"{"), FILE.index(b"PK", 40)
    for at in range(len(FILE)):
        for bit in range(8):
            damaged = FILE[:at] + bytes([FILE[at] ^ 1 << bit]) + FILE[at + 1 :]
            try:
                other = read(damaged)
            except ModelFileError:
                continue
            passed.add(at)
            assert written(other) == damaged
            assert all(same_array(other.arrays[name], array) for name, array in arrays.items())
    assert not [at for at in passed if not manifest[0] <= at < manifest[1]]


@given(
    st.binary(max_size=200), st.sampled_from([b"", b"PK\x03\x04", b"PK\x05\x06", b"\x80\x05", b"\x93NUMPY"])
)
def test_noise_is_refused(noise, head):
    """Arbitrary bytes never raise anything but ModelFileError."""
    refusal(head + noise)


def test_the_fingerprint_of_training_data():
    """Equal data sets have equal fingerprints; one feature, label, or the order changes it."""
    data = two_clusters(20, 3.2, np.random.default_rng(1))
    again = two_clusters(20, 3.2, np.random.default_rng(1))
    features, labels = data.features.copy(), data.labels.copy()
    features[3, 1] = np.nextafter(features[3, 1], 0.5)
    labels[0] ^= 1
    others = [
        DataSet(features, data.labels),
        DataSet(data.features, labels),
        DataSet(data.features[::-1].copy(), data.labels[::-1].copy()),
        DataSet(data.features.reshape(40, 1), np.zeros(40, np.int64)),
    ]
    assert fingerprint(data) == fingerprint(again)
    assert len({fingerprint(data), *map(fingerprint, others)}) == 5
