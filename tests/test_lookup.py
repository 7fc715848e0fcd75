# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers

import numpy as np
import pytest
from ptychopress.model import lookup
from ptychopress.model.codebook import Codebook


@pytest.fixture(autouse=True)
def short_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_BLOCK", 16)


@pytest.mark.parametrize("dtype", ["u1", "<u2", ">u2", "u4", "u8", "i2", ">i4", "i8"])
@pytest.mark.parametrize("shape", [(), (0,), (16,), (17,), (3, 5, 7), (2, 0)])
def test_blocks_do_not_show(dtype: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(5)
    table = rng.integers(0, 1 << 16, 50, np.uint16)
    indices = rng.integers(0, min(60, np.iinfo(dtype).max), shape).astype(dtype)
    found = lookup.look_up(table, indices)
    assert (found.dtype, found.shape) == (table.dtype, shape)
    out = np.zeros(shape, table.dtype)
    np.testing.assert_array_equal(lookup.look_up(table, indices, out), out)
    np.testing.assert_array_equal(found, out)
    assert found.reshape(-1).tolist() == [table[min(int(index), 49)] for index in indices.reshape(-1)]


def test_views_and_the_largest_of_64_bit() -> None:
    table = np.arange(9.0)
    indices = np.arange(40, dtype=np.uint8).reshape(5, 8) % 9
    np.testing.assert_array_equal(lookup.look_up(table, indices.T[::-2]), table[indices.T[::-2]])
    assert lookup.look_up(table, np.array([1, 2**63, 2**64 - 1], np.uint64)).tolist() == [1, 8, 8]


@pytest.mark.parametrize("name", Codebook.names())
def test_encode_and_decode_are_the_table_and_the_levels(name: str) -> None:
    book = Codebook.named(name)
    counts = np.arange(book.edges[-1] + 5).astype(np.uint16).reshape(-1, 1)
    codes = book.encode(counts)
    edges = np.array(book.edges)
    inside = np.minimum(counts, book.edges[-1] - 1)
    assert (edges[codes] <= inside).all() and (inside < edges[codes.astype(int) + 1]).all()
    for dtype in (np.float32, np.float64):
        found = book.decode(codes, dtype=dtype)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, ((edges[:-1] + edges[1:] - 1) / 2)[codes].astype(dtype))
