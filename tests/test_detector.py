# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The simulated detector: counts, saturation, invalid pixels."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import ptychopress
import pytest
from ptychopress.reconstruction.acquisition import expose
from ptychopress.reconstruction.detector import Detector, Exposure

BRIGHT = np.random.default_rng(0).uniform(0, 60, (5, 8, 9)).astype(np.float32)


def bad(*pixels: tuple[int, int], shape: tuple[int, int] = (8, 9)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    for pixel in pixels:
        mask[pixel] = True
    return mask


def test_a_perfect_detector_counts_as_expose_does() -> None:
    exposure = Detector().expose(BRIGHT, 7)
    np.testing.assert_array_equal(exposure.counts, expose(BRIGHT, 7))
    assert exposure.counts.dtype == np.uint16 and exposure.full_scale == 16383
    assert not exposure.mask.any() and not exposure.saturated.any()
    np.testing.assert_array_equal(exposure.levels(), exposure.counts)


def test_saturated_and_invalid_stay_apart() -> None:
    detector = Detector(full_scale=31, bad_pixels=bad((0, 0), (7, 8)))
    exposure, free = detector.expose(BRIGHT, 7), expose(BRIGHT, 7)
    assert exposure.mask.sum() == 2 and exposure.mask[0, 0] and exposure.mask[7, 8]
    assert (exposure.counts[:, exposure.mask] == 0).all() and not exposure.saturated[:, exposure.mask].any()
    valid = ~exposure.mask
    np.testing.assert_array_equal(exposure.saturated[:, valid], free[:, valid] >= 31)
    assert exposure.saturated.any() and (exposure.counts[exposure.saturated] == 31).all()
    # Neither the mask nor the full scale changes what the other pixels count.
    below = valid & ~exposure.saturated
    np.testing.assert_array_equal(exposure.counts[below], free[below])


def test_levels_are_nan_where_nothing_was_measured() -> None:
    exposure = Detector(full_scale=31, bad_pixels=bad((2, 3))).expose(BRIGHT, 7)
    levels, distrusted = exposure.levels(), exposure.levels(trust_saturated=False)
    assert levels.dtype == np.float32
    np.testing.assert_array_equal(np.isnan(levels), np.broadcast_to(exposure.mask, levels.shape))
    np.testing.assert_array_equal(np.isnan(distrusted), exposure.mask | exposure.saturated)
    assert (levels[exposure.saturated] == 31).all()
    assert exposure.counts[:, 2, 3].tolist() == [0] * 5  # the record itself is left alone


@pytest.mark.parametrize(
    ("radius", "hidden"),
    [(0.0, 0), (1.0, 1), (1.1, 5), (1.5, 9), (2.1, 13)],  # the centre, its 4 neighbours, the diagonals, 4 at distance 2
)
def test_beam_stop_hides_a_disc_around_the_zero_frequency(radius: float, hidden: int) -> None:
    mask = Detector(beam_stop=radius).mask((8, 9))
    assert mask.sum() == hidden
    np.testing.assert_array_equal(mask[1:, 1:][::-1, ::-1][:, 1:], mask[1:, 1:][:, :-1])  # (4, 4) is its centre


def test_beam_stop_and_bad_pixels_add_up() -> None:
    mask = Detector(beam_stop=1.1, bad_pixels=bad((4, 4), (0, 1))).mask((8, 9))
    assert mask.sum() == 6 and mask[0, 1]


@pytest.mark.parametrize("background", [3.0, np.full((200, 200), 3.0)])
def test_background_is_counted_as_light_is(background: Any) -> None:
    counts = Detector(background=background).expose(np.full((200, 200), 4.0), 1).counts
    # 40,000 draws of mean 7: the mean is known to 0.013, the variance to 0.05 (one sigma).
    assert counts.mean() == pytest.approx(7, abs=0.07)
    assert counts.var() == pytest.approx(7, abs=0.25)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"full_scale": 0}, "full_scale: 0"),
        ({"full_scale": 65536}, "full_scale: 65536"),
        ({"beam_stop": -1.0}, "beam_stop: -1.0"),
        ({"bad_pixels": np.zeros((8, 9), int)}, r"bad_pixels: int64 \(8, 9\), expected bool"),
        ({"bad_pixels": np.zeros(9, bool)}, r"bad_pixels: bool \(9,\)"),
        ({"background": -0.1}, "background"),
        ({"background": np.full((8, 9), np.nan)}, "background"),
        ({"background": np.zeros((1, 8, 9))}, "background"),
    ],
)
def test_detector_checks_itself(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Detector(**fields)


def test_expose_refuses_frames_of_another_shape() -> None:
    with pytest.raises(ValueError, match=r"bad_pixels: shape \(4, 4\), expected \(8, 9\)"):
        Detector(bad_pixels=bad(shape=(4, 4))).expose(BRIGHT, 0)
    with pytest.raises(ValueError, match=r"background: shape \(9, 8\), expected \(8, 9\)"):
        Detector(background=np.zeros((9, 8))).expose(BRIGHT, 0)
    with pytest.raises(ValueError, match=r"intensity: shape \(9,\)"):
        Detector().expose(BRIGHT[0, 0], 0)
    with pytest.raises(ValueError, match="negative values or NaN"):
        Detector().expose(-BRIGHT, 0)


def test_documented_snippet() -> None:
    """The whole chain of docs/simulation.md, from zone plate to frames."""
    page = Path(ptychopress.__file__).parent / "docs" / "simulation.md"
    (snippet,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(snippet, names)
    frames, exposure = names["frames"], names["exposure"]
    assert frames.shape == (150, 64, 64) and frames.dtype == np.float32
    assert np.isnan(frames[0]).sum() == 21  # pixels nearer than 2.5 to the centre
    # All the light that the stop lets pass, and 0.02 counts a pixel.
    mean = names["diffract"](names["obj"], names["acquisition"])
    expected = mean[:, ~exposure.mask].sum() + 0.02 * (~exposure.mask).sum() * 150
    assert np.nansum(frames.astype(float)) == pytest.approx(expected, rel=1e-3)
    assert mean.sum() == pytest.approx(150 * 1e5, rel=1e-3)


def test_a_full_count_is_saturated_whatever_came_before() -> None:
    exposure = Exposure(np.array([[30, 31]], np.uint16), np.zeros((1, 2), bool), 31)
    assert exposure.saturated.tolist() == [[False, True]]
