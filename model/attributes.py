# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Attributes of HDF5 objects, written so that damage to them cannot hang who reads them."""

from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np

_LONGEST = 1 << 15  # an object header holds 64 KB


def put(item: Any, values: Mapping[str, Any]) -> None:
    """Set attributes of a file, group or data set; texts with a fixed length, which h5py reads as bytes.

    A text of variable length, h5py's default, lies in a heap of the file, and HDF5 never comes back from a heap that
    was overwritten with zeros. Only a text of more than 32 KB goes there.
    """
    for name, value in values.items():
        octets = value.encode() if isinstance(value, str) else b""
        if 0 < len(octets) <= _LONGEST:
            item.attrs[name] = np.array(octets, h5py.string_dtype("utf-8", len(octets)))
        else:
            item.attrs[name] = value


def get(item: Any, name: str) -> Any:
    """An attribute as Python's own value: str, int, float, list; None if there is none."""
    return plain(item.attrs.get(name))


def plain(value: Any) -> Any:
    """The value of an attribute, as h5py gives it, as Python's own."""
    if isinstance(value, (np.ndarray, np.generic)):
        value = value.tolist()
    return value.decode() if isinstance(value, bytes) else value
