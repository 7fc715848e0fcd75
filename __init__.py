# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""On-detector compression for X-ray ptychography: RTL generator, golden models and reconstruction."""

__version__ = "0.1.0"
