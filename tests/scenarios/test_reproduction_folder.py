"""A reproduction's folder is written whole or not at all, and never over what is somebody else's."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from netsim.errors import ScenarioError
from scenarios.reproduction import folder

FILES = {"a.csv": "x,y\n1,2\n", "report.html": "<!DOCTYPE html>\n"}


def names(place: Path) -> set[str]:
    """Everything in a folder, hidden files too."""
    return {path.name for path in place.iterdir()}


def test_a_folder_appears_with_everything_in_it(tmp_path):
    """Files have the bytes that the manifest has the hashes of, and nothing else is left beside them."""
    place = tmp_path / "deep" / "paper"
    folder.write(place, FILES, {"seed": 1})
    manifest = json.loads((place / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["made_by"] == folder.MADE_BY
    assert manifest["seed"] == 1
    assert names(place) == {*FILES, "manifest.json"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((place / name).read_bytes()).hexdigest() == digest
    assert names(place.parent) == {"paper"}


def test_an_earlier_reproduction_is_replaced(tmp_path):
    """Files that the new one does not have are gone with the old one."""
    place = tmp_path / "paper"
    folder.write(place, {**FILES, "old.csv": "z\n"}, {})
    folder.write(place, FILES, {})
    assert names(place) == {*FILES, "manifest.json"}
    assert names(tmp_path) == {"paper"}


def test_an_empty_folder_is_filled(tmp_path):
    """A folder that is there and empty is as good as a new one."""
    place = tmp_path / "paper"
    place.mkdir()
    folder.write(place, FILES, {})
    assert names(place) == {*FILES, "manifest.json"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("notes.txt", "mine"),
        ("manifest.json", '{"files": {}}'),
        ("manifest.json", "not json"),
        ("manifest.json", '{"made_by": "somebody", "files": {}}'),
        ("manifest.json", '["made_by"]'),
    ],
)
def test_what_is_somebody_elses_is_refused(tmp_path, name, text):
    """A folder with anything that is not ours is refused before anything is measured, and left as it is."""
    place = tmp_path / "paper"
    place.mkdir()
    (place / name).write_text(text, encoding="utf-8")
    with pytest.raises(ScenarioError, match="no earlier reproduction made"):
        folder.check(place)
    with pytest.raises(ScenarioError):
        folder.write(place, FILES, {})
    assert (place / name).read_text(encoding="utf-8") == text
    assert names(tmp_path) == {"paper"}


def test_a_file_put_into_our_folder_keeps_it(tmp_path):
    """Somebody's own file in an earlier reproduction is not thrown away with it."""
    place = tmp_path / "paper"
    folder.write(place, FILES, {})
    (place / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ScenarioError, match=r"notes\.txt"):
        folder.write(place, FILES, {})
    assert (place / "notes.txt").read_text(encoding="utf-8") == "mine"


def test_a_file_in_the_way_is_refused(tmp_path):
    """A file, or a folder that could only be made inside one, is no place."""
    (tmp_path / "paper").write_text("", encoding="utf-8")
    with pytest.raises(ScenarioError, match="not a folder"):
        folder.check(tmp_path / "paper")
    with pytest.raises(ScenarioError, match="not a folder"):
        folder.check(tmp_path / "paper" / "deeper")


@pytest.mark.parametrize("failing", [1, 2])
@pytest.mark.parametrize("error", [OSError("disk"), KeyboardInterrupt()])
def test_whatever_fails_the_old_one_is_whole(tmp_path, monkeypatch, failing, error):
    """An error or Ctrl-C at either step of the swap leaves the earlier reproduction at its place, byte for byte."""
    place = tmp_path / "paper"
    folder.write(place, FILES, {"seed": 1})
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    calls, rename = [], Path.rename

    def failing_rename(path, target):
        calls.append(path)
        if len(calls) == failing:
            raise error
        return rename(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", failing_rename)
        with pytest.raises(type(error)):
            folder.write(place, {"a.csv": "new\n"}, {"seed": 2})
    assert {path.name: path.read_bytes() for path in place.iterdir()} == before
    assert names(tmp_path) == {"paper"}


def test_a_full_disk_leaves_nothing(tmp_path, monkeypatch):
    """A file that cannot be written takes the whole attempt with it."""

    def full(*_args, **_kwargs):
        raise OSError(28, "no space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="no space"):
        folder.write(tmp_path / "paper", FILES, {})
    assert names(tmp_path) == set()
