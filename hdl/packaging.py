# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""What tools take a generated core by: a file list, a FuseSoC core file, a script for Vivado's IP packager."""

from collections.abc import Sequence

from .. import __version__
from .verilog import WAIVERS

_FUSESOC = """CAPI=2:
# FuseSoC: fusesoc --cores-root . run --target=sim @VLNV@
name: "@VLNV@"
description: "@DESCRIPTION@"

filesets:
  rtl:
    files: [@NAME@.v]
    file_type: verilogSource-2005
  waivers:
    files: [@WAIVERS@]
    file_type: vlt
  tb:
    files:
@BENCH@
  sdc:
    files: [@NAME@.sdc]
    file_type: SDC
  xdc:
    files: [@NAME@.xdc]
    file_type: xdc

targets:
  default:
    filesets: [rtl]
    toplevel: @NAME@
  lint:
    description: Verilator's warnings, of which there is none
    default_tool: verilator
    filesets: [waivers, rtl]
    toplevel: @NAME@
    tools:
      verilator:
        mode: lint-only
        verilator_options: [@LINT@]
  sim:
    description: Every packet against the golden model's
    default_tool: icarus
    filesets: [rtl, tb]
    toplevel: @NAME@_tb
    tools:
      icarus:
        iverilog_options: [-g2005]
  synth:
    description: Synthesis alone; another tool with --tool, another device with its options
    default_tool: yosys
    filesets: [rtl, "tool_vivado? (xdc)", "tool_quartus? (sdc)"]
    toplevel: @NAME@
    tools:
      yosys:
        arch: @ARCH@
        output_format: json
      vivado:
        part: xc7a200tfbg484-1
        pnr: none
"""

_VIVADO = """# Packages @NAME@ as an IP for Vivado's catalogue, into the folder ip beside this script:
#   vivado -mode batch -source package_ip.tcl [-tclargs PART]
# Commands as in UG1118 and UG835. It has not been run by those who wrote the script's generator.
set here [file dirname [file normalize [info script]]]
set part [expr {$argc > 0 ? [lindex $argv 0] : "xc7a200tfbg484-1"}]

create_project -force @NAME@_package [file join $here vivado] -part $part
add_files -norecurse [file join $here @NAME@.v]
add_files -fileset constrs_1 -norecurse [file join $here @NAME@.xdc]
# In a design the clock is the design's: these constraints are for the IP's own run.
set_property USED_IN {synthesis implementation out_of_context} [get_files @NAME@.xdc]
set_property top @NAME@ [current_fileset]
update_compile_order -fileset sources_1

# Clock, reset and interrupt are known by attributes in the Verilog, the buses by their names.
ipx::package_project -root_dir [file join $here ip] -vendor ptychopress -library core -taxonomy /UserIP \\
    -import_files -set_current true -force
set core [ipx::current_core]
set_property name @NAME@ $core
set_property version @VERSION@ $core
set_property display_name {@NAME@} $core
set_property description {@DESCRIPTION@} $core
foreach bus {@BUSES@} {
    ipx::associate_bus_interfaces -busif $bus -clock aclk $core
}
ipx::associate_bus_interfaces -clock aclk -reset @RESET@ $core
ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
"""


def vlnv(name: str) -> str:
    """Name of a core in FuseSoC: vendor, library, name, version."""
    return f"ptychopress:core:{name}:{__version__}"


def lint_options(*, ecp5: bool) -> list[str]:
    """Options of Verilator's lint: it knows nothing of a family's parts, nor of what drives the wires at them."""
    return ["-Wall", *(("-Wno-MODMISSING", "-Wno-UNDRIVEN", "-Wno-ASCRANGE") if ecp5 else ())]


def file_list(name: str) -> str:
    """Text of a file list of the Verilog, as ``-f`` of most tools takes it."""
    return f"{name}.v\n"


def fusesoc_core(name: str, description: str, bench: Sequence[str], *, ecp5: bool) -> str:
    """Text of a FuseSoC core file (CAPI 2).

    Parameters
    ----------
    name, description : str
        Of the core; all files but the waivers have its name.
    bench : sequence of str
        Files of the bench: Verilog, and what it reads where it runs.
    ecp5 : bool
        Whether the core has parts of that family.
    """
    lines = [
        f"      - {file}: {{file_type: {'verilogSource-2005' if file.endswith('.v') else f'user, copyto: {file}'}}}"
        for file in bench
    ]
    return _filled(
        _FUSESOC,
        VLNV=vlnv(name),
        NAME=name,
        DESCRIPTION=description,
        BENCH="\n".join(lines),
        LINT=", ".join(lint_options(ecp5=ecp5)),
        ARCH="ecp5" if ecp5 else "xilinx",
    )


def vivado_script(name: str, description: str, buses: Sequence[str], *, reset: str) -> str:
    """Text of a Tcl script that packages a core for Vivado's catalogue.

    Parameters
    ----------
    name, description : str
        Of the core.
    buses : sequence of str
        Names of its bus interfaces, all of the clock ``aclk``.
    reset : str
        Port.
    """
    version = ".".join(__version__.split(".")[:2])
    return _filled(_VIVADO, NAME=name, DESCRIPTION=description, BUSES=" ".join(buses), RESET=reset, VERSION=version)


def _filled(template: str, **values: str) -> str:
    for key, value in {"WAIVERS": WAIVERS, **values}.items():
        template = template.replace(f"@{key}@", value)
    return template
