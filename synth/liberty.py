# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Standard-cell libraries: area and logic function of each cell, from Liberty text or from yosys' own gates."""

import gzip
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Bits = NDArray[np.bool_]


@dataclass(frozen=True)
class Function:
    """Boolean function of a pin, as Liberty's ``function`` attribute states it.

    Parameters
    ----------
    text : str
        Pin names, 0, 1, parentheses and the operators ``'`` (after), ``!`` (before), ``^``, ``&``, ``*`` or a space,
        ``|`` or ``+``, binding in this order.

    Attributes
    ----------
    inputs : tuple of str
        Pins in order of appearance.

    Raises
    ------
    ValueError
        If the text is no such expression.
    """

    text: str
    inputs: tuple[str, ...] = field(init=False)
    _postfix: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        postfix = _Parser(self.text).postfix
        object.__setattr__(self, "_postfix", tuple(postfix))
        object.__setattr__(self, "inputs", tuple(dict.fromkeys(t for t in postfix if t[0].isalpha() or t[0] == "_")))

    def __call__(self, pins: Mapping[str, Bits]) -> Bits:
        """Value of the function, bool, broadcast over the pins' arrays."""
        stack: list[Bits] = []
        for token in self._postfix:
            if token == "!":
                stack.append(~stack.pop())
            elif token in "&|^":
                right, left = stack.pop(), stack.pop()
                stack.append(left & right if token == "&" else left | right if token == "|" else left ^ right)
            else:
                stack.append(np.asarray(token == "1") if token in "01" else pins[token])
        return stack.pop()

    @property
    def verilog(self) -> str:
        """The function as a Verilog expression of the pins."""
        stack: list[str] = []
        for token in self._postfix:
            if token == "!":
                stack.append(f"~{stack.pop()}")
            elif token in "&|^":
                right, left = stack.pop(), stack.pop()
                stack.append(f"({left} {token} {right})")
            else:
                stack.append(f"1'b{token}" if token in "01" else token)
        return stack.pop()


class _Parser:
    """Recursive descent over one expression; `postfix` is the result."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = re.findall(r"[A-Za-z_]\w*|[^\s\w]|\d+", text)
        self.postfix: list[str] = []
        self.either()
        if self.tokens:
            self.fail()

    def fail(self) -> None:
        where = repr(self.tokens[0]) if self.tokens else "the end"
        raise ValueError(f"not a Boolean function: {self.text!r}, at {where}")

    def next_is(self, characters: str) -> bool:
        return bool(self.tokens) and self.tokens[0] in characters

    def either(self) -> None:
        self.both()
        while self.next_is("|+"):
            self.tokens.pop(0)
            self.both()
            self.postfix.append("|")

    def both(self) -> None:
        self.exclusive()
        # Two operands side by side are an AND too.
        while self.tokens and not self.next_is("|+)'^"):
            if self.next_is("&*"):
                self.tokens.pop(0)
            self.exclusive()
            self.postfix.append("&")

    def exclusive(self) -> None:
        self.operand()
        while self.next_is("^"):
            self.tokens.pop(0)
            self.operand()
            self.postfix.append("^")

    def operand(self) -> None:
        if not self.tokens:
            self.fail()
        token = self.tokens.pop(0)
        if token == "!":
            self.operand()
            self.postfix.append("!")
            return
        if token == "(":
            self.either()
            if not self.next_is(")"):
                self.fail()
            self.tokens.pop(0)
        elif token[0].isalpha() or token[0] == "_" or token in ("0", "1"):
            self.postfix.append(token)
        else:
            self.tokens.insert(0, token)
            self.fail()
        while self.next_is("'"):
            self.tokens.pop(0)
            self.postfix.append("!")


@dataclass(frozen=True)
class FlipFlop:
    """The state of a cell, as Liberty's group ``ff`` states it.

    Parameters
    ----------
    state, inverse : str
        What the functions of the cell's outputs call the state and its inverse.
    clocked_on, next_state : Function
        The clock, whose rising edge counts, and what the state becomes then.
    clear, preset : Function or None
        High while the state is held at 0, at 1.
    """

    state: str
    inverse: str
    clocked_on: Function
    next_state: Function
    clear: Function | None = None
    preset: Function | None = None


@dataclass(frozen=True)
class Cell:
    """One cell.

    Parameters
    ----------
    name : str
    area : float
        In the library's unit.
    functions : dict of str to Function
        By output pin; empty where the cell has no Boolean function.
    sequential : bool
        Whether the cell holds a state.
    flip_flop : FlipFlop or None
        The state, if it is that of a flip-flop.
    """

    name: str
    area: float
    functions: dict[str, Function]
    sequential: bool = False
    flip_flop: FlipFlop | None = None

    def computes(self, *truth: bool) -> bool:
        """Whether the cell has one output and this truth table, inputs in order of appearance, the first slowest."""
        if self.sequential or len(self.functions) != 1:
            return False
        (function,) = self.functions.values()
        if 1 << len(function.inputs) != len(truth):
            return False
        rows = np.array(list(product([False, True], repeat=len(function.inputs))))
        return function(dict(zip(function.inputs, rows.T, strict=True))).tolist() == list(truth)


@dataclass(frozen=True)
class Library:
    """Cells of a library.

    Parameters
    ----------
    name : str
    unit : str
        What an area of 1 is.
    cells : dict of str to Cell
    texts : tuple of str
        The Liberty text of each of its files, for the tools that read it; none for yosys' own gates.

    Attributes
    ----------
    nand2 : Cell
        Smallest two-input NAND: its area is 1 gate equivalent (GE).
    """

    name: str
    unit: str
    cells: dict[str, Cell] = field(repr=False)
    texts: tuple[str, ...] = field(default=(), repr=False)

    @property
    def text(self) -> str | None:
        """The Liberty text of a library in one file; None for yosys' own gates, which have none."""
        if len(self.texts) > 1:
            raise ValueError(f"library {self.name} is in {len(self.texts)} files, expected one here")
        return self.texts[0] if self.texts else None

    @cached_property
    def inverter(self) -> Cell:
        """The smallest inverter."""
        return min((cell for cell in self.cells.values() if cell.computes(True, False)), key=lambda cell: cell.area)

    @cached_property
    def nand2(self) -> Cell:
        """The smallest two-input NAND."""
        candidates = [cell for cell in self.cells.values() if cell.computes(True, True, True, False) and cell.area > 0]
        if not candidates:
            raise ValueError(f"library {self.name} has no two-input NAND, which areas are measured in")
        return min(candidates, key=lambda cell: (cell.area, cell.name))

    @classmethod
    def read(cls, *paths: Path) -> "Library":
        """Read a library of one Liberty file or of several, plain or compressed with gzip.

        Raises
        ------
        ValueError
            For a file that is missing, unreadable or no Liberty text; for a cell that is in two of them; for a library
            without two-input NAND, inverter or buffer.
        """
        return cls._of([(str(path), _file_text(path)) for path in paths])

    @classmethod
    def parse(cls, text: str, source: str = "liberty text") -> "Library":
        """Library of a Liberty text; `source` is what errors call it."""
        return cls._of([(source, text)])

    @classmethod
    def _of(cls, texts: list[tuple[str, str]]) -> "Library":
        names, cells = [], {}
        for file, text in texts:
            name, found = _read_cells(text, file)
            if twice := sorted(cells.keys() & found.keys()):
                raise ValueError(f"{file}: cell {twice[0]} is in another file of the library too")
            names.append(name)
            cells |= found
        source = ", ".join(file for file, _ in texts)
        library = cls(" + ".join(names), "the library's unit, usually um2", cells, tuple(text for _, text in texts))
        try:
            _ = library.nand2
        except ValueError as error:
            raise ValueError(f"{source}: {error}") from None
        for what, truth in (("inverter", (True, False)), ("buffer", (False, True))):
            if not any(cell.computes(*truth) for cell in cells.values()):
                raise ValueError(f"{source}: library {library.name} has no {what}, without which ABC does not map")
        return library


def _file_text(path: Path) -> str:
    """Text of a Liberty file."""
    try:
        data = path.read_bytes()
        return (gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data).decode()
    except FileNotFoundError:
        raise ValueError(f"{path}: no such file, expected a Liberty file (.lib or .lib.gz)") from None
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or error}") from None
    except (EOFError, zlib.error, UnicodeDecodeError):
        raise ValueError(f"{path}: not a Liberty file (.lib or .lib.gz): broken gzip data or not text") from None


# Strings and comments first, so that no brace inside them counts.
_TOKEN = re.compile(
    r"""/\*.*?\*/
    | (?P<attribute>\w+) \s* : \s* (?P<value>"[^"]*"|[^;\n}"]+)
    | "[^"]*"
    | (?P<group>\w+) \s* \( \s* (?P<argument>[^()]*?) \s* \) \s* \{
    | (?P<open>\{)
    | (?P<close>\})""",
    re.VERBOSE | re.DOTALL,
)


_STATE = ("clocked_on", "next_state", "clear", "preset")


def _read_cells(text: str, source: str) -> tuple[str, dict[str, Cell]]:
    """Name of the library, and its cells that have an area."""
    library_name, cells = "", {}
    path: list[tuple[str, str]] = []
    area, functions, sequential, flip_flop = None, {}, False, None
    state: dict[str, Function] = {}
    for token in _TOKEN.finditer(text):
        if token["group"]:
            argument = token["argument"].strip().strip('"')
            path.append((token["group"], argument))
            if [kind for kind, _ in path] == ["library"]:
                library_name = argument
            elif len(path) == 2 and path[1][0] == "cell":
                area, functions, sequential, flip_flop, state = None, {}, False, None, {}
            elif len(path) == 3 and path[1][0] == "cell":
                sequential |= token["group"] in ("ff", "latch", "ff_bank", "latch_bank", "statetable")
        elif token["open"]:
            path.append(("", ""))
        elif token["close"]:
            if not path:
                raise ValueError(f"{source}: not a Liberty file: closing brace without an opening one")
            (kind, argument), depth = path.pop(), len(path)
            if depth == 1 and kind == "cell" and area is not None:
                cells[argument] = Cell(argument, area, functions, sequential, flip_flop)
            elif depth == 2 and kind == "ff" and {"clocked_on", "next_state"} <= state.keys():
                flip_flop = FlipFlop(*re.findall(r"\w+", argument)[:2], **state)
        elif token["attribute"] and len(path) >= 2 and path[1][0] == "cell":
            value = token["value"].strip().strip('"')
            try:
                if token["attribute"] == "area" and len(path) == 2:
                    area = float(value)
                elif token["attribute"] == "function" and len(path) == 3 and path[2][0] == "pin":
                    functions[path[2][1]] = Function(value)
                elif token["attribute"] in _STATE and len(path) == 3 and path[2][0] == "ff":
                    state[token["attribute"]] = Function(value)
            except ValueError as error:
                raise ValueError(f"{source}: cell {path[1][1]}: {error}") from None
    if not library_name or path or not cells:
        raise ValueError(f"{source}: not a Liberty file: no complete library group with cells that have an area")
    return library_name, cells


# Transistors of static CMOS: what yosys' `stat -tech cmos` counts and `abc -g cmos` minimises.
_GATES = {
    "$_BUF_": (1, "A"),
    "$_NOT_": (2, "!A"),
    "$_NAND_": (4, "!(A&B)"),
    "$_NOR_": (4, "!(A|B)"),
    "$_AND_": (6, "A&B"),
    "$_OR_": (6, "A|B"),
    "$_ANDNOT_": (6, "A&!B"),
    "$_ORNOT_": (6, "A|!B"),
    "$_MUX_": (12, "(A&!S)|(B&S)"),
    "$_NMUX_": (10, "!((A&!S)|(B&S))"),
    "$_AOI3_": (6, "!((A&B)|C)"),
    "$_OAI3_": (6, "!((A|B)&C)"),
    "$_AOI4_": (8, "!((A&B)|(C&D))"),
    "$_OAI4_": (8, "!((A|B)&(C|D))"),
    "$_XOR_": (12, "A^B"),
    "$_XNOR_": (12, "!(A^B)"),
}

YOSYS_GATES = Library(
    "yosys' own CMOS gates",
    "transistor",
    {name: Cell(name, area, {"Y": Function(text)}) for name, (area, text) in _GATES.items()}
    | {
        f"$_DFF_{edge}_": Cell(
            f"$_DFF_{edge}_",
            16,
            {"Q": Function("IQ")},
            sequential=True,
            flip_flop=FlipFlop("IQ", "IQN", Function(clock), Function("D")),
        )
        for edge, clock in {"P": "C", "N": "!C"}.items()
    },
)
"""Yosys' gates with their transistors: what there is without a Liberty file. A NAND2 has 4."""
