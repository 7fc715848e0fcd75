# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The RTL run: cocotb benches for the protocol, a compiled model for whole data sets."""
