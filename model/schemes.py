# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Named count-to-code rules, each as the list of its bin edges."""

from collections.abc import Callable, Iterable
from fractions import Fraction

from .noise import Noise

_MOST_CODES = 1 << 16


def _stepped(stop: int, starts: Iterable[int], steps: Iterable[int]) -> list[int]:
    """Edges below `stop` of equal bins of steps[i] counts from starts[i] up to starts[i + 1]."""
    starts = list(starts)
    edges: list[int] = []
    for start, end, step in zip(starts, [*starts[1:], stop], steps, strict=True):
        edges += range(start, min(end, stop), step)
    return edges


def _octaves(stop: int, first: int, low_step: int, step_bits: Callable[[int], int]) -> list[int]:
    """Bins of `low_step` below 2**first, then bins of 2**step_bits(m) from 2**m to 2**(m + 1)."""
    octaves = range(first, stop.bit_length() - 1)
    return _stepped(stop, [0, *(1 << m for m in octaves)], [low_step, *(1 << step_bits(m) for m in octaves)])


def _roots(stop: int, scale: Fraction, offset: Fraction) -> list[int]:
    """Edges of code = floor(scale * sqrt(N) + offset): the smallest N with scale * sqrt(N) >= k - offset."""
    edges, code = [0], 1
    while (edge := -(-((code - offset) ** 2) // scale**2)) < stop:
        edges.append(int(edge))
        code += 1
    return edges


def sqrt_shift(stop: int, linear_bits: int) -> list[int]:
    """Steps of 1 below 2**linear_bits, above it steps near sqrt(N) in powers of two that double every second octave.

    Schemes a, b and c are of this family, with 4, 2 and 1 linear bits; so their codes are found by shifts alone.
    """
    return _octaves(stop, linear_bits, 1, lambda m: (m - linear_bits + 1) // 2 + 1)


def sqrt_a(stop: int) -> list[int]:
    """Codes near 4 sqrt(N): 14 bits become 9, largest code 511."""
    return sqrt_shift(stop, 4)


def sqrt_b(stop: int) -> list[int]:
    """Codes near 2 sqrt(N): 14 bits become 8, largest code 255."""
    return sqrt_shift(stop, 2)


def sqrt_c(stop: int) -> list[int]:
    """Codes near 1.5 sqrt(N): 14 bits become 8, largest code 191."""
    return sqrt_shift(stop, 1)


def sqrt_b_zero(stop: int) -> list[int]:
    """sqrt-b with zero counted as one of its 255 levels: {0}, then 2**ceil(m/2) from 2**m."""
    return _octaves(stop, 0, 1, lambda m: (m + 1) // 2)


def sqrt_c_zero(stop: int) -> list[int]:
    """sqrt-c with zero counted as one of its 191 levels: [0, 4) by 2, then 2**(k + 1) from 4**k."""
    return _octaves(stop, 2, 2, lambda m: m // 2 + 1)


def nearest_sqrt(stop: int, scale: float = 1) -> list[int]:
    """Code = round(scale * sqrt(N)), as the Jungfraujoch firmware with its integer scales 1 to 16."""
    if not 1 / 16 <= scale <= 16:
        raise ValueError(f"scale must lie between 1/16 and 16, got {scale!r}")
    return _roots(stop, Fraction(scale), Fraction(1, 2))


def floor_sqrt(stop: int) -> list[int]:
    """Code = floor(sqrt(N)): the shortest that keeps |N' - N| <= sigma, 7 bits for 14."""
    return _roots(stop, Fraction(1), Fraction(0))


def argonne_10to7(stop: int) -> list[int]:
    """Argonne's public Chisel encoder (Hammer and Strempfer), 10 bits to 7."""
    return _stepped(stop, (0, 16, 64, 256), (1, 4, 8, 16))


def _script_2020(*steps: int) -> Callable[[int], list[int]]:
    def edges(stop: int) -> list[int]:
        return _stepped(stop, (0, 16, 64, 256, 1024, 4096), steps)

    edges.__doc__ = f"The authors' scripts of 2020: steps {steps} from 0, 16, 64, 256, 1024, 4096."
    return edges


def noise_matched(
    stop: int, gain: float = 1.0, read_noise: float = 0.0, pedestal: float = 0.0, alpha: float = 1.0
) -> list[int]:
    """Equal steps of alpha standard deviations of a charge-integrating detector's noise."""
    noise = Noise(gain, read_noise, pedestal)
    if not 1 / 16 <= alpha <= 16:
        raise ValueError(f"alpha must lie between 1/16 and 16, got {alpha!r}")
    if not pedestal < stop:
        raise ValueError(f"pedestal must lie inside the range of counts, below {stop}, got {pedestal!r}")
    if pedestal > _MOST_CODES * gain * alpha * read_noise and read_noise > 0:
        raise ValueError(f"read_noise {read_noise!r} gives more than {_MOST_CODES} codes below the pedestal")
    # Without read noise nothing lies below the pedestal, and one code serves for all of it.
    steps = -int(pedestal / (gain * alpha * read_noise)) if read_noise else 0
    edges = [0]
    while (edge := noise.first_count(steps + 1, alpha)) < stop:
        steps += 1
        if edge > 0:
            edges.append(edge)
        if len(edges) > _MOST_CODES:
            raise ValueError(f"gain {gain!r} with alpha {alpha!r} gives more than {_MOST_CODES} codes")
    if len(edges) < 2:
        raise ValueError(f"gain {gain!r} with read_noise {read_noise!r} leaves one code for all counts below {stop}")
    return edges


SCHEMES: dict[str, Callable[..., list[int]]] = {
    "sqrt-a": sqrt_a,
    "sqrt-b": sqrt_b,
    "sqrt-c": sqrt_c,
    "sqrt-b-zero": sqrt_b_zero,
    "sqrt-c-zero": sqrt_c_zero,
    "nearest-sqrt": nearest_sqrt,
    "floor-sqrt": floor_sqrt,
    "argonne-10to7": argonne_10to7,
    "script-2020-fine": _script_2020(1, 4, 8, 16, 32, 64),
    "script-2020-medium": _script_2020(1, 4, 8, 32, 64, 128),
    "script-2020-coarse": _script_2020(2, 8, 16, 32, 64, 128),
    "noise-matched": noise_matched,
}
