"""Overlaps in tiles and blocks against the plain product, and the projected kernel and alignment built on them."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from nodes.qml import overlaps as tiles
from nodes.qml.overlaps import gram, gram_in_blocks, overlaps, overlaps_in_blocks


def states(amplitudes, count, seed):
    """Random columns of unit length."""
    rng = np.random.default_rng(seed)
    columns = rng.standard_normal((amplitudes, count)) + 1j * rng.standard_normal((amplitudes, count))
    return columns / np.linalg.norm(columns, axis=0)


@pytest.mark.parametrize("amplitudes", [2, 4, 8, 16, 32, 64])  # each way of multiplying
@pytest.mark.parametrize("tile", [7, 250])
def test_every_way_of_multiplying_agrees(amplitudes, tile, monkeypatch):
    """The overlaps equal the plain product to 1e-13, of one list with itself and of two, in tiles that do not fit."""
    monkeypatch.setattr(tiles, "_TILE", tile)
    left, right = states(amplitudes, 23, 1), states(amplitudes, 17, 2)
    found = gram(left)
    assert np.abs(found - np.abs(left.conj().T @ left) ** 2).max() <= 1e-13
    assert np.array_equal(found, found.T)
    assert np.array_equal(np.diag(found), np.ones(23))
    assert np.abs(overlaps(left, right) - np.abs(left.conj().T @ right) ** 2).max() <= 1e-13


@pytest.mark.parametrize("memory", [1, 1000, 3000, 10**6])
def test_blocks_do_not_change_the_matrix(memory):
    """Whatever fits into memory at a time, the matrix is the same to 1e-13."""
    left, right = states(8, 23, 1), states(8, 17, 2)
    found = gram_in_blocks(lambda rows: left[:, rows].copy(), 23, 128, memory)
    assert np.abs(found - gram(left)).max() <= 1e-13
    assert np.array_equal(found, found.T)
    two = overlaps_in_blocks(
        lambda rows: left[:, rows].copy(), lambda rows: right[:, rows].copy(), (23, 17), 128, memory
    )
    assert np.abs(two - overlaps(left, right)).max() <= 1e-13


def test_no_states_have_no_overlaps():
    """Empty lists give empty matrices."""
    assert gram(np.zeros((4, 0), complex)).shape == (0, 0)
    assert overlaps(np.zeros((4, 0), complex), states(4, 3, 1)).shape == (0, 3)


@pytest.mark.parametrize("amplitudes", [4, 8, 32])  # each way of multiplying
def test_matrices_are_the_same_bytes_every_time(amplitudes):
    """Whichever thread does which tile, and whoever else computes meanwhile, the bytes are the same."""
    left, right = states(amplitudes, 450, 1), states(amplitudes, 430, 2)
    alone = gram(left).tobytes(), overlaps(left, right).tobytes()
    found = []
    threads = [
        threading.Thread(
            target=lambda: found.extend(
                (gram(left).tobytes(), overlaps(left, right).tobytes()) for _ in range(3)
            )
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [alone] * 9


@pytest.mark.parametrize("amplitudes", [4, 8, 32])
def test_large_matrices_are_exactly_symmetric(amplitudes):
    """Over several tiles of full size the matrix is symmetric to the last bit, and the product's to 1e-13."""
    columns = states(amplitudes, 610, 3)
    found = gram(columns)
    assert np.array_equal(found, found.T)
    assert np.array_equal(np.diag(found), np.ones(610))
    assert np.abs(found - np.abs(columns.conj().T @ columns) ** 2).max() <= 1e-13
