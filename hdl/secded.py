# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""SECDED code in logic: check bits of data, and data of a word that may have been damaged."""

from amaranth.hdl import Cat, Signal, Value

from ..model.secded import Secded


def encode(code: Secded, data: Value) -> Value:
    """Code word of a data word: its bits, and above them the check bits. Combinational."""
    return Cat(data, _parities(code, data))


def syndrome(code: Secded, word: Value) -> Value:
    """Syndrome of a code word: 0 for one that is whole. Combinational."""
    return _parities(code, word[: code.data_bits]) ^ word[code.data_bits :]


def correct(code: Secded, data: Value, syndrome: Signal) -> tuple[Value, Value, Value]:
    """Data of a code word, whether a bit of it was wrong and is right now, whether more were. Combinational.

    Parameters
    ----------
    code : Secded
    data : Value
    syndrome : Signal
        Those of the word. The syndrome is compared with each column: an expression would be written out as often.
    """
    wrong = Cat(syndrome == column for column in code.columns)
    corrected = wrong.any()
    return data ^ wrong[: code.data_bits], corrected, syndrome.any() & ~corrected


def _parities(code: Secded, data: Value) -> Value:
    """Parity of the data bits in each row of the parity-check matrix."""
    columns = code.columns[: code.data_bits]
    return Cat(
        Cat(data[k] for k, column in enumerate(columns) if column >> row & 1).xor() for row in range(code.check_bits)
    )
