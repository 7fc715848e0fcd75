# SPDX-License-Identifier: Apache-2.0
# SPDX-FileCopyrightText: 2026 ptychopress developers
"""Beats through a netlist under Icarus, one a clock and never stalled, with the waveforms of all its nets."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .tools import ToolError, icarus_version
from .verilog_bench import hexadecimal

_BENCH = """`timescale 1ns/1ns
module bench;
  localparam BEATS = @BEATS@;
  localparam SETTLE = @SETTLE@;  // beats until every register holds one
  reg aclk = 0, aresetn = 0;
  always #500 aclk = ~aclk;  // longer than a unit of delay for each cell of the longest path
  reg [@IN@:0] beats [0:BEATS-1];
  reg [@IN@:0] beat = 0;
  reg valid = 0;
  wire ready, came;
  wire [@OUT@:0] data;
  integer sent = 0, outputs;

  dut dut (
      .aclk(aclk), .aresetn(aresetn), .s_axis_tdata(beat), .s_axis_tlast(1'b1), .s_axis_tvalid(valid),
      .s_axis_tready(ready), .m_axis_tdata(data), .m_axis_tvalid(came), .m_axis_tready(1'b1)
  );

  initial begin
    $readmemh("beats.hex", beats);
    outputs = $fopen("outputs.hex");
    $dumpfile("run.vcd");
    repeat (4) @(posedge aclk);
    aresetn <= 1;
  end

  always @(posedge aclk) begin
    if (aresetn) begin
      valid <= sent < BEATS;
      beat <= beats[sent < BEATS ? sent : BEATS - 1];
      sent <= sent + 1;
      if (valid && ready !== 1'b1) $fdisplay(outputs, "stalled");
      if (came === 1'b1) $fdisplay(outputs, "%h", data);
    end
    if (sent == SETTLE) $dumpvars(1, dut);
    if (sent == BEATS) $dumpoff;
    if (sent == BEATS + SETTLE) $finish;
  end
endmodule
"""


@dataclass(frozen=True)
class Recording:
    """What came of a run.

    Parameters
    ----------
    outputs : list of int
        tdata of every beat that came out.
    waveforms : Path
        VCD of the nets of the netlist, over clocks in which every register holds a beat.
    """

    outputs: list[int]
    waveforms: Path


def record(
    verilog: str, beats: Sequence[int], directory: Path, *, in_bits: int, out_bits: int, settle: int
) -> Recording:
    """Send beats through a block behind `AxiStreamTop`, one a clock, each a frame of its own.

    Parameters
    ----------
    verilog : str
        The block with all it needs; its top module is ``dut``.
    beats : sequence of int
        tdata.
    directory : Path
        Where the files go.
    in_bits, out_bits : int
        Width of tdata on the way in and out.
    settle : int
        Beats that are sent before waveforms are recorded: more than the block's latency.

    Raises
    ------
    ToolError
        If Icarus is missing or fails, or the block stalls or puts out unknown bits.
    """
    icarus_version()
    bench = _BENCH
    for name, value in {"BEATS": len(beats), "SETTLE": settle, "IN": in_bits - 1, "OUT": out_bits - 1}.items():
        bench = bench.replace(f"@{name}@", str(value))
    texts = {"bench.v": bench, "dut.v": verilog, "beats.hex": hexadecimal(beats, in_bits)}
    for name, text in texts.items():
        (directory / name).write_text(text)
    compiler = ["iverilog", "-g2005", "-s", "bench", "-o", "run.vvp", "bench.v", "dut.v"]
    for command in (compiler, ["vvp", "-n", "run.vvp"]):
        done = subprocess.run(command, cwd=directory, capture_output=True, text=True)
        if done.returncode:
            said = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
            raise ToolError(f"{command[0]} failed on the netlist: {said[0]}")
    words = (directory / "outputs.hex").read_text().split()
    if wrong := [word for word in words if set(word) - set("0123456789abcdef")]:
        raise ToolError(f"the netlist does not work: {wrong[0]} instead of a beat")
    return Recording([int(word, 16) for word in words], directory / "run.vcd")
