# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What others would build for the same task, to be synthesised beside ours by the same recipe."""
