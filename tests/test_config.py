# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
import re
from pathlib import Path
from typing import Any

import pytest
from ptychopress.model.config import NAMED, CoreConfig, Mode

FRAME = {"height": 16, "width": 32}


@pytest.mark.parametrize("name", NAMED)
def test_named_ones_survive_a_round_trip(name: str) -> None:
    config = CoreConfig.named(name)
    assert CoreConfig.from_dict(config.to_dict()) == config


def test_labels_of_modes() -> None:
    assert [Mode.labelled(mode.label) for mode in Mode] == list(Mode)
    assert [mode.label for mode in Mode if mode.projects] == ["count-coefficients", "code-coefficients"]


def test_word_is_the_least_that_keeps_up() -> None:
    # 2 lanes of 12 bits: 24 bits a clock. 256 beats are 192 words of 4 octets, a header of 16 and one of the CRC.
    assert CoreConfig.from_dict({"frame": FRAME | {"lanes": 2, "count_bits": 12}}).word_octets == 4
    # 2 lanes of 16 bits fill words of 4 octets to the last bit: no room for the header.
    assert CoreConfig.from_dict({"frame": FRAME | {"lanes": 2, "count_bits": 16}}).word_octets == 8


def test_toml(tmp_path: Path) -> None:
    path = tmp_path / "core.toml"
    path.write_text('name = "mine"\n[frame]\nheight = 16\nwidth = 32\n[output]\nmodes = ["codes"]\n')
    config = CoreConfig.read(path)
    assert (config.name, config.frame.pixels, config.modes) == ("mine", 512, (Mode.CODES,))
    path.write_text("name = \n")
    with pytest.raises(ValueError, match=re.escape(f"{path}: no TOML: ")):
        CoreConfig.read(path)
    with pytest.raises(FileNotFoundError, match="expected a configuration in TOML"):
        CoreConfig.read(tmp_path / "none.toml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame": 3}, "frame: 3, expected a table"),
        ({"frame": {"height": 16}}, "frame: missing 1 required keyword-only argument: 'width'"),
        ({"frame": FRAME | {"lanes": 3}}, "frame.lanes: 3, expected a power of two that divides the width 32"),
        ({"frame": FRAME | {"depth": 3}}, "frame.depth: no such field, expected height, width, count_bits, lanes"),
        ({"frame": FRAME | {"count_bits": 17}}, "frame.count_bits: 17, expected a whole number from 1 to 16"),
        ({"frame": {"height": 1, "width": 1, "lanes": 1}}, "frame.height: a frame of 1 pixels is too small"),
        ({"frame": FRAME | {"lanes": 32, "count_bits": 16}}, "frame.lanes: 32 pixels of 16 bits a clock"),
        ({"name": "2nd"}, "name: '2nd', expected a Verilog name"),
        ({"name": "always"}, "name: 'always', expected a Verilog name"),
        ({"protect": 1}, "protect: 1, expected true or false"),
        ({"target": "spartan"}, "target: 'spartan', expected portable or ecp5"),
        ({"encoder": {"codebook": "root"}}, "encoder.codebook: unknown codebook 'root'"),
        ({"encoder": {"edges": 3}}, "encoder.edges: 3, expected a list of whole numbers"),
        ({"encoder": {"edges": [0, 1.5, 16]}}, "encoder.edges: [0, 1.5, 16], expected a list of whole numbers"),
        ({"encoder": {"edges": [0, 2, 1, 16]}}, "encoder.edges: edges must not fall"),
        ({"encoder": {"edges": [0, 1 << 15]}}, "encoder.codebook: sqrt-b takes 15 bit counts"),
        ({"encoder": {"edges": [0, 2], "parameters": {"scale": 2}}}, "encoder.parameters: they are for a rule"),
        ({"encoder": {"reloadable": True}, "output": {"modes": ["raw"]}}, "encoder.reloadable: true, expected false"),
        ({"output": {"modes": ["raw", "raw"]}}, "output.modes: ['raw', 'raw'], expected one mode or more, each once"),
        ({"output": {"modes": ["jpeg"]}}, "output.modes: mode 'jpeg': known are raw, codes"),
        ({"output": {"rice_block": 24}}, "output.rice_block: 24, expected 8, 16 or 32"),
    ],
)
def test_errors_name_field_value_and_what_would_be_right(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match="^here: " + re.escape(message)):
        CoreConfig.from_dict({"frame": FRAME} | change, where="here")


def test_edges_of_your_own() -> None:
    edges = [0, 1, 5, 16]
    config = CoreConfig.from_dict({"frame": FRAME, "encoder": {"codebook": "mine", "edges": edges}})
    assert (config.codebook.name, list(config.codebook.edges)) == ("mine", edges)
    assert CoreConfig.from_dict(config.to_dict()) == config
