"""A reproduction's folder: written whole beside its place, then put there in one step, instead of an earlier one of ours."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netsim.errors import ScenarioError

MADE_BY = "evelab reproduce"
MANIFEST = "manifest.json"


def check(folder: Path) -> None:
    """Say before anything is measured that it could not be kept.

    Raises:
        ScenarioError: the place holds something that is not ours, or cannot be written to.
    """
    fault = ""
    if os.path.lexists(folder):
        if folder.is_symlink() or not folder.is_dir():
            fault = "is not a folder; name a new one"
        elif (foreign := _foreign(folder)) is not None:
            fault = f"holds {foreign}, which no earlier reproduction made; name a new folder"
    parent = next(place for place in folder.absolute().parents if os.path.lexists(place))
    if not fault and not parent.is_dir():
        fault = f"cannot be made: {parent} is not a folder"
    if not fault and not os.access(parent, os.W_OK | os.X_OK):
        fault = f"cannot be made: {parent} cannot be written to"
    if fault:
        raise ScenarioError([f"--out {folder}: {fault}"])


def _foreign(folder: Path) -> str | None:
    """A name in the folder that an earlier reproduction does not answer for; None for an empty one."""
    names = sorted(path.name for path in folder.iterdir())
    if not names:
        return None
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        ours = {MANIFEST, *manifest["files"]} if manifest["made_by"] == MADE_BY else set()
    except (OSError, ValueError, KeyError, TypeError):
        ours = set()
    return next((name for name in names if name not in ours), None)


def write(folder: Path, files: Mapping[str, str], manifest: Mapping[str, Any]) -> None:
    """Write it: the folder appears under its name only when it is whole, and until then what was there is as it was.

    Args:
        folder: where; see `check`.
        files: name → text.
        manifest: what made them; their hashes are added.

    Raises:
        ScenarioError: something that is not ours has come there meanwhile.
        OSError: the disk is full or the place cannot be written; what was there is as it was.
    """
    check(folder)
    place = folder.absolute()
    partial, old = (place.parent / f".{uuid.uuid4().hex[:12]}.{kind}" for kind in ("partial", "old"))
    partial.mkdir(parents=True)
    try:
        for name, text in files.items():
            (partial / name).write_text(text, encoding="utf-8", newline="")
        whole = {
            "made_by": MADE_BY,
            **manifest,
            "files": {
                name: hashlib.sha256(text.encode()).hexdigest() for name, text in sorted(files.items())
            },
        }
        text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        (partial / MANIFEST).write_text(text, encoding="utf-8", newline="")
        _swap(place, partial, old)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if place.exists():
            shutil.rmtree(old, ignore_errors=True)


def _swap(place: Path, partial: Path, old: Path) -> None:
    """Put `partial` at its place; what was there goes to `old`, and comes back if the second step fails."""
    moved = False
    try:
        if place.exists():
            place.rename(old)
            moved = True
        partial.rename(place)
    except BaseException as error:
        if old.exists() and not place.exists():
            old.rename(place)
        if isinstance(error, OSError) and not moved and error.errno == errno.EBUSY:
            raise OSError(error.errno, "is a mount point; name a folder in it", str(place)) from None
        raise
