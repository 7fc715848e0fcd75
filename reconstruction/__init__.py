# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Simulated acquisitions, reconstruction with PyTorch, and the judging of images."""
