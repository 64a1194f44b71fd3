"""Features on the wire."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.qml.fixed_point import decode, encode


def test_the_wire_form_is_big_endian_16_bit():
    """Hand-computed codes: the ends, the middle (32767.5 goes to the even neighbour) and one step."""
    code = encode(np.array([0.0, 1.0, 0.5, 1 / 65535]))
    assert code == bytes.fromhex("0000 ffff 8000 0001")


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=12))
def test_features_come_back_to_half_a_step(features):
    """Decoding an encoded query gives the features to within 1/131070, at two bytes each."""
    code = encode(np.array(features))
    assert len(code) == 2 * len(features)
    assert np.abs(decode(code) - features).max() <= 0.5 / 65535 + 1e-15


def test_every_code_comes_back_exactly():
    """Encoding is the inverse of decoding for each of the 65536 codes."""
    codes = np.arange(65536).astype(">u2").tobytes()
    assert encode(decode(codes)) == codes


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -1e-9, 1.0 + 1e-9])
def test_a_feature_that_does_not_fit_is_refused(value):
    """NaN, infinities and values outside [0, 1] raise a ValueError that names the feature."""
    with pytest.raises(ValueError, match="feature 1 is"):
        encode(np.array([0.5, value]))


@pytest.mark.parametrize("shape", [(), (0,), (1, 2)])
def test_what_is_not_a_list_of_features_is_refused(shape):
    """Anything but one non-empty dimension raises a ValueError that gives the shape."""
    with pytest.raises(ValueError, match="expected"):
        encode(np.zeros(shape))


@pytest.mark.parametrize("code", [b"", b"\x00", b"\x00\x01\x02"])
def test_a_code_of_the_wrong_length_is_refused(code):
    """No bytes, or half a feature, raise a ValueError that gives the length."""
    with pytest.raises(ValueError, match=f"a code of {len(code)} bytes"):
        decode(code)
