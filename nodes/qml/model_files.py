"""Model files: a model's arrays and a JSON manifest in one zip archive, written in one way only, and read with suspicion.

An archive holds `manifest.json`, then `NAME.npy` for each array in the order of the names; it is stored, not compressed, with
fixed times. `numpy.load` opens it as an .npz. The same model gives the same bytes, and only these bytes are read: what
the reader understood is written again and compared, so that there is no place for anything else in the file, be it
a comment, bytes before, between or behind the members, or a directory that says something different from what is there.

Nothing in a file is ever executed or unpickled. The .npy members are not even parsed: their heads follow from the manifest
(NEP 1, format 1.0), and are compared with it. A file's size bounds what reading it takes: nothing is decompressed, and
no length that the file claims is believed before it is found in the file.

A hash says that a file is whole, not who wrote it: for that, deliver it (`nodes.delivery`).
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from netsim.errors import EveLabError
from nodes.qml.datasets import DataSet

FORMAT: Final = "evelab-model"
VERSION: Final = 1
MAX_FILE_BYTES: Final = 256 * 2**20
MAX_MANIFEST_BYTES: Final = 2**20
MAX_ARRAYS: Final = 256
MAX_DEPTH: Final = 32
"""Of lists and objects within each other in the manifest."""

DTYPES: Final = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f4", "<f8", "<c8", "<c16")
"""What an array may hold, as NumPy writes it."""

_MANIFEST: Final = "manifest.json"
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_HASH: Final = re.compile(r"[0-9a-f]{64}")
_TIME: Final = (1980, 1, 1, 0, 0, 0)
_PICKLES: Final = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))
_NPY: Final = b"\x93NUMPY"


class ModelFileError(EveLabError):
    """A file that is not a model file of ours, whole and as it was written; carries all the faults found.

    Attributes:
        faults: what was got, and what was expected, a sentence each.
    """

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


class Storable(Protocol):
    """A model that can be written."""

    @property
    def name(self) -> str:
        """Of its kind."""

    def state(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Its settings, of what JSON has, and its arrays."""


class Restorable(Protocol):
    """A class of models that can be read back."""

    def of_state(self, settings: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Any:
        """The model that has this state; raises anything if none has."""


@dataclass(frozen=True, eq=False)
class ModelFile:
    """What a model file says.

    Attributes:
        kind: the model's name.
        settings: of what JSON has.
        arrays: by name.
        training_sha256: hash of the data that it was trained on, in hexadecimal; see `fingerprint`.
        libraries: versions of what it was trained with, by name.
    """

    kind: str
    settings: dict[str, Any]
    arrays: dict[str, NDArray[Any]] = field(repr=False)
    training_sha256: str
    libraries: dict[str, str]


def fingerprint(data: DataSet) -> str:
    """SHA-256 of a data set, in hexadecimal: of its shape, features and labels, little-endian."""
    digest = hashlib.sha256(f"{data.features.shape}".encode())
    digest.update(data.features.astype("<f8").tobytes())
    digest.update(data.labels.astype("<i8").tobytes())
    return digest.hexdigest()


def dump(model: Storable, *, training_sha256: str, libraries: Mapping[str, str]) -> bytes:
    """A model as a file; the same model and arguments give the same bytes.

    Args:
        model: trained.
        training_sha256: hash of the data that it was trained on; see `fingerprint`.
        libraries: versions of what it was trained with, by name.

    Raises:
        ModelFileError: a state that cannot be written; says all that is wrong with it.
        ValueError: the model has no state, for one as it is not trained.
    """
    settings, arrays = model.state()
    return written(ModelFile(model.name, settings, arrays, training_sha256, dict(libraries)))


def load(data: bytes, kinds: Mapping[str, Restorable] | None = None) -> Any:
    """The model in a file.

    Args:
        data: the file's bytes.
        kinds: class of each kind of model that is welcome, by name; all those of `nodes.qml.models` if left out.

    Raises:
        ModelFileError: no model file of ours, not whole, of an unknown kind, or with a state that its class refuses.
    """
    file = read(data)
    if kinds is None:
        from nodes.qml.models import KINDS  # noqa: PLC0415  half a second that reading does without

        kinds = KINDS
    if file.kind not in kinds:
        expected = " or ".join(sorted(kinds)) or "none"
        raise ModelFileError([f"a model of kind {file.kind!r}; expected {expected}"])
    try:
        return kinds[file.kind].of_state(file.settings, file.arrays)
    except Exception as error:  # whatever a class trips over in a state from outside, it is the file's fault
        raise ModelFileError([f"{file.kind} refuses its state: {type(error).__name__}: {error}"]) from error


def written(file: ModelFile) -> bytes:
    """A model file's bytes; see `dump`."""
    faults = []
    contents: dict[str, tuple[str, tuple[int, ...], bytes]] = {}
    for name, array in file.arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufc":
            what = f"dtype {array.dtype}" if isinstance(array, np.ndarray) else type(array).__name__
            faults.append(f"array {name!r} is {what}; expected an array of {', '.join(DTYPES)}")
            continue
        ordered = np.asarray(array, dtype=array.dtype.newbyteorder("<"), order="C")
        contents[name] = (ordered.dtype.str, ordered.shape, ordered.tobytes())
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "model": file.kind,
        "settings": file.settings,
        "arrays": {
            name: {"dtype": dtype, "shape": list(shape), "sha256": hashlib.sha256(raw).hexdigest()}
            for name, (dtype, shape, raw) in contents.items()
        },
        "training_sha256": file.training_sha256,
        "libraries": file.libraries,
    }
    faults += _faults_of(manifest)
    for name, (dtype, _, raw) in contents.items():
        faults += _faults_in(name, dtype, raw)
    try:
        text = _json(manifest)
        same = _parsed(text) == manifest
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelFileError([*faults, f"settings or libraries are not what JSON has: {error}"]) from None
    if not same:
        faults.append(
            "settings or libraries would come back changed, such as a tuple, or a key that is no text"
        )
    if faults:
        raise ModelFileError(faults)
    members = {f"{name}.npy": _npy_head(dtype, shape) + raw for name, (dtype, shape, raw) in contents.items()}
    data = _archive(text, members)
    if len(data) > MAX_FILE_BYTES or len(text) > MAX_MANIFEST_BYTES:
        raise ModelFileError([_too_long(len(data), len(text))])
    return data


def read(data: bytes) -> ModelFile:
    """What a model file says, of bytes that anybody may have sent.

    Raises:
        ModelFileError: no model file of ours, or not whole; says all that is wrong with it, as far as it can be understood.
    """
    members = _members(data)
    manifest, text = _manifest(members)
    faults = _faults_of(manifest)
    if faults:
        raise ModelFileError(faults)
    described: dict[str, Any] = manifest["arrays"]
    expected = {f"{name}.npy" for name in described}
    found = members.keys() - {_MANIFEST}
    faults += [f"member {name!r} is missing" for name in sorted(expected - found)]
    faults += [f"member {name!r} is not in the manifest" for name in sorted(found - expected)]
    arrays = {}
    for name, about in described.items():
        member = members.get(f"{name}.npy")
        if member is not None:
            faults += _faults_of_member(name, about, member)
            if not faults:
                arrays[name] = _array(about, member)
    if not faults and _archive(text, {name: members[name] for name in expected}) != data:
        faults.append("the archive holds more than its members, or is not written as ours are")
    if faults:
        raise ModelFileError(faults)
    return ModelFile(
        manifest["model"], manifest["settings"], arrays, manifest["training_sha256"], manifest["libraries"]
    )


def _too_long(file_bytes: int, manifest_bytes: int) -> str:
    return (
        f"a file of {file_bytes} bytes with a manifest of {manifest_bytes}; "
        f"expected at most {MAX_FILE_BYTES} and {MAX_MANIFEST_BYTES}"
    )


def _archive(manifest: bytes, members: Mapping[str, bytes]) -> bytes:
    """The zip archive of these members, in its one way."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED, allowZip64=False) as archive:
        for name, content in ((_MANIFEST, manifest), *sorted(members.items())):
            info = zipfile.ZipInfo(name, _TIME)
            info.create_system = 3  # the same on every machine
            info.external_attr = 0o600 << 16
            archive.writestr(info, content)
    return buffer.getvalue()


def _members(data: bytes) -> dict[str, bytes]:
    """The members of an archive from anywhere.

    Raises:
        ModelFileError: it is none, or one that ours never are.
    """
    if len(data) > MAX_FILE_BYTES:
        raise ModelFileError([f"a file of {len(data)} bytes; expected at most {MAX_FILE_BYTES}"])
    if data.startswith(_PICKLES):
        raise ModelFileError(["a pickle, which can run any code when it is loaded; expected a model file"])
    if data.startswith(_NPY):
        raise ModelFileError(["a bare .npy array; expected a model file"])
    if not data.startswith(b"PK\x03\x04"):
        raise ModelFileError(
            [f"begins with {data[:4].hex() or '(nothing)'}; expected a zip archive, 504b0304"]
        )
    faults: list[str] = []
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            faults += _faults_of_directory(infos, len(data))
            members = {} if faults else {info.filename: archive.read(info) for info in infos}
    except Exception as error:  # noqa: BLE001  whatever a zip reader trips over, it is the file's fault
        raise ModelFileError([f"truncated or damaged: {type(error).__name__}: {error}"]) from None
    if faults:
        raise ModelFileError(faults)
    return members


def _faults_of_directory(infos: Sequence[zipfile.ZipInfo], file_bytes: int) -> list[str]:
    """What can be said against members before any is read."""
    faults = []
    if len(infos) > MAX_ARRAYS + 1:
        return [f"{len(infos)} members; expected at most {MAX_ARRAYS + 1}"]
    names = [info.filename for info in infos]
    faults += [f"member {name!r} is there twice" for name in sorted({n for n in names if names.count(n) > 1})]
    for info in infos:
        name, stem = info.filename, info.filename.removesuffix(".npy")
        if name != _MANIFEST and not (name.endswith(".npy") and _NAME.fullmatch(stem)):
            faults.append(f"member {name!r}; expected {_MANIFEST} or NAME.npy, NAME of letters, digits and _")
        if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
            faults.append(f"member {name!r} is compressed; expected it stored")
        if info.flag_bits:
            faults.append(f"member {name!r} has flags {info.flag_bits:#x}; expected none")
    claimed = sum(info.file_size for info in infos)
    if claimed > file_bytes:
        faults.append(f"the members claim {claimed} bytes of a file of {file_bytes}")
    return faults


def _manifest(members: Mapping[str, bytes]) -> tuple[dict[str, Any], bytes]:
    """The manifest, and its bytes."""
    if _MANIFEST not in members:
        raise ModelFileError([f"has no {_MANIFEST}; expected a model file"])
    text = members[_MANIFEST]
    if len(text) > MAX_MANIFEST_BYTES:
        raise ModelFileError([f"a manifest of {len(text)} bytes; expected at most {MAX_MANIFEST_BYTES}"])
    try:
        manifest = _parsed(text)
        canonical = _json(manifest) == text
    except (ValueError, RecursionError) as error:
        raise ModelFileError([f"the manifest is not ours: {error or type(error).__name__}"]) from None
    if not canonical:
        raise ModelFileError(["the manifest is not ours: not written in its one way"])
    if not isinstance(manifest, dict):
        raise ModelFileError([f"the manifest is a {type(manifest).__name__}; expected an object"])
    return manifest, text


def _json(value: Any) -> bytes:
    """A value's one JSON text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _parsed(text: bytes) -> Any:
    """The value of a JSON text; a ValueError for anything else, NaN, and too deep a nesting."""

    def refused(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON number")

    value = json.loads(text, parse_constant=refused)
    if _depth(value) > MAX_DEPTH:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    return value


def _depth(value: Any) -> int:
    if not isinstance(value, dict | list):
        return 0
    return 1 + max(map(_depth, value.values() if isinstance(value, dict) else value), default=0)


_FIELDS: Final[dict[str, type]] = {
    "format": str,
    "version": int,
    "model": str,
    "settings": dict,
    "arrays": dict,
    "training_sha256": str,
    "libraries": dict,
}


def _faults_of(manifest: Mapping[str, Any]) -> list[str]:
    """What is wrong with a manifest, read or about to be written."""
    if (got := manifest.get("format")) != FORMAT or type(manifest.get("version")) is not int:
        return [f"format is {got!r}, version {manifest.get('version')!r}; expected {FORMAT!r}, {VERSION}"]
    if manifest["version"] != VERSION:
        return [f"a model file of version {manifest['version']}; expected {VERSION}"]
    faults = _faults_of_fields(manifest)
    if faults:
        return faults
    if not _HASH.fullmatch(manifest["training_sha256"]):
        faults.append(f"training_sha256 is {manifest['training_sha256']!r}; expected 64 hexadecimal digits")
    for name, version in manifest["libraries"].items():
        if type(name) is not str or type(version) is not str:
            faults.append(f"version of library {name!r} is {version!r}; expected text")
    if len(manifest["arrays"]) > MAX_ARRAYS:
        faults.append(f"{len(manifest['arrays'])} arrays; expected at most {MAX_ARRAYS}")
    for name, about in manifest["arrays"].items():
        faults += _faults_of_description(name, about)
    return faults


def _faults_of_fields(manifest: Mapping[str, Any]) -> list[str]:
    """Fields that are missing, too many, or of another type."""
    faults = [f"the manifest has no {name!r}" for name in _FIELDS if name not in manifest]
    faults += [f"the manifest has {name!r}, which is not ours" for name in sorted(manifest.keys() - _FIELDS)]
    for name, kind in _FIELDS.items():
        if name in manifest and type(manifest[name]) is not kind:
            faults.append(f"{name} is a {type(manifest[name]).__name__}; expected a {kind.__name__}")
    return faults


def _faults_of_description(name: Any, about: Any) -> list[str]:
    """What is wrong with what a manifest says of one array."""
    if type(name) is not str or not _NAME.fullmatch(name):
        return [f"an array called {name!r}; expected letters, digits and _, a letter first, at most 64"]
    if type(about) is not dict or about.keys() != {"dtype", "shape", "sha256"}:
        return [f"array {name!r} is described by {about!r}; expected dtype, shape and sha256"]
    faults = []
    if about["dtype"] not in DTYPES:
        faults.append(f"array {name!r} has dtype {about['dtype']!r}; expected {', '.join(DTYPES)}")
    shape = about["shape"]
    if (
        type(shape) is not list
        or len(shape) > MAX_DEPTH
        or not all(type(n) is int and 0 <= n < 2**48 for n in shape)
    ):
        faults.append(f"array {name!r} has shape {shape!r}; expected a list of numbers, none negative")
    if type(about["sha256"]) is not str or not _HASH.fullmatch(about["sha256"]):
        faults.append(f"array {name!r} has sha256 {about['sha256']!r}; expected 64 hexadecimal digits")
    return faults


def _faults_of_member(name: str, about: Mapping[str, Any], member: bytes) -> list[str]:
    """What is wrong with an array's member, by what the manifest says of it."""
    head = _npy_head(about["dtype"], tuple(about["shape"]))
    if member.startswith(_PICKLES) or (member.startswith(_NPY) and b"'|O'" in member[:128]):
        return [
            f"array {name!r} is pickled, which can run any code when it is loaded; expected {about['dtype']}"
        ]
    if not member.startswith(head):
        return [
            f"array {name!r} is not the .npy of {about['dtype']} and shape {about['shape']} of the manifest"
        ]
    size = np.dtype(about["dtype"]).itemsize * math.prod(about["shape"])
    raw = member[len(head) :]
    if len(raw) != size:
        return [f"array {name!r} has {len(raw)} bytes; expected {size}"]
    if hashlib.sha256(raw).hexdigest() != about["sha256"]:
        return [f"array {name!r} was changed: its sha256 is not that of the manifest"]
    return _faults_in(name, about["dtype"], raw)


def _faults_in(name: str, dtype: str, raw: bytes) -> list[str]:
    """What is wrong with an array's values."""
    if dtype == "|b1" and raw.translate(None, b"\x00\x01"):
        return [f"array {name!r} holds truth values other than 0 and 1"]
    values = np.frombuffer(raw, dtype=dtype)
    if values.dtype.kind in "fc" and not np.isfinite(values).all():
        return [f"array {name!r} holds NaN or infinity; expected finite numbers"]
    return []


def _npy_head(dtype: str, shape: tuple[int, ...]) -> bytes:
    """What stands before the values in an .npy file (NEP 1, format 1.0), C order."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape!r}, }}".encode()
    text += b" " * (-(len(_NPY) + 4 + len(text) + 1) % 64) + b"\n"
    return _NPY + b"\x01\x00" + len(text).to_bytes(2, "little") + text


def _array(about: Mapping[str, Any], member: bytes) -> NDArray[Any]:
    """An array's values, writable and in the machine's byte order."""
    dtype = np.dtype(about["dtype"])
    count = math.prod(about["shape"])
    values = np.frombuffer(member, dtype, count, offset=len(member) - count * dtype.itemsize)
    native: NDArray[Any] = values.astype(dtype.newbyteorder("="), copy=True).reshape(about["shape"])
    return native
