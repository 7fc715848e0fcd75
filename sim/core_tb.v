// Self-checking bench of @NAME@: seeded frames in, and every octet of every packet as the golden model has it.
// Plain Verilog 2005. Prints PASS and ends with exit status 0, or prints FAIL and ends with another.@ABOUT_ALL@

// Sends the words of a file, each {tuser, tlast, tdata}, as far as `allowed`; with pauses, or one a clock.
module @NAME@_tb_source #(
    parameter FILE = "",
    parameter BITS = 8,
    parameter WORDS = 1,
    parameter PAUSES = 0
) (
    input wire clk,
    input wire reset,
    input wire pause,
    input wire [31:0] allowed,
    output reg [BITS-1:0] word,
    output reg valid,
    input wire ready,
    output reg [31:0] sent
);
  reg [BITS-1:0] words [0:WORDS-1];
  reg [31:0] next;

  initial begin
    $readmemh(FILE, words);
    word = 0;
    valid = 0;
    next = 0;
    sent = 0;
  end

  always @(posedge clk) begin
    if (valid && ready) sent <= sent + 1;
    if (!valid || ready) begin
      valid <= 0;
      if (!reset && next < allowed && !(PAUSES && pause)) begin
        valid <= 1;
        word <= words[next];
        next <= next + 1;
      end
    end
  end
endmodule

module @NAME@_tb;
  localparam PIXEL_BITS = @PIXEL_BITS@;  // of tdata
  localparam WORD_BITS = @WORD_BITS@;
  localparam OCTETS = WORD_BITS / 8;
  localparam FRAMES = @FRAMES@;
  localparam BEATS = @BEATS@;  // of all frames
  localparam WORDS = @WORDS@;  // of all packets
  localparam QUICK_FRAMES = @QUICK_FRAMES@;  // those in front that need no weights
  localparam QUICK_WORDS = @QUICK_WORDS@;
  localparam PATIENCE = @PATIENCE@;  // clocks in which something must move

  reg aclk = 0;
  always #5 aclk = ~aclk;
  reg reset = 1;

  // Pauses of either side: a pace for 64 clocks (none, some, many, all), then another.
  reg [31:0] lfsr = 32'h1234_5678;
  reg [5:0] clocks = 0;
  reg [1:0] pace_in = 0;
  reg [1:0] pace_out = 0;
  wire pause_in = pace_in == 3 || (pace_in == 1 && lfsr[1:0] == 0) || (pace_in == 2 && lfsr[1:0] != 0);
  wire pause_out = pace_out == 3 || (pace_out == 1 && lfsr[3:2] == 0) || (pace_out == 2 && lfsr[3:2] != 0);
  always @(posedge aclk) begin
    lfsr <= {1'b0, lfsr[31:1]} ^ (lfsr[0] ? 32'hA300_0000 : 32'h0);
    clocks <= clocks + 1;
    if (clocks == 0) {pace_out, pace_in} <= lfsr[7:4];
  end

  wire all = @ALL@;
  wire [31:0] last_frame = all ? FRAMES : QUICK_FRAMES;
  wire [31:0] last_word = all ? WORDS : QUICK_WORDS;

  reg [31:0] allowed = 0;
  wire [31:0] sent;
  wire s_axis_tuser, s_axis_tlast, s_axis_tvalid, s_axis_tready;
  wire [PIXEL_BITS-1:0] s_axis_tdata;
  @NAME@_tb_source #(
      .FILE("@NAME@_pixels.hex"), .BITS(PIXEL_BITS + 2), .WORDS(BEATS), .PAUSES(1)
  ) pixels (
      .clk(aclk), .reset(reset), .pause(pause_in), .allowed(allowed), .sent(sent),
      .word({s_axis_tuser, s_axis_tlast, s_axis_tdata}), .valid(s_axis_tvalid), .ready(s_axis_tready)
  );
@TABLE_SOURCES@
  reg [7:0] s_axi_awaddr = 0, s_axi_araddr = 0;
  reg [31:0] s_axi_wdata = 0;
  reg s_axi_awvalid = 0, s_axi_wvalid = 0, s_axi_bready = 0, s_axi_arvalid = 0, s_axi_rready = 0;
  wire s_axi_awready, s_axi_wready, s_axi_bvalid, s_axi_arready, s_axi_rvalid;
  wire [1:0] s_axi_bresp, s_axi_rresp;
  wire [31:0] s_axi_rdata;

  wire [WORD_BITS-1:0] m_axis_tdata;
  wire [OCTETS-1:0] m_axis_tkeep;
  wire m_axis_tlast, m_axis_tvalid, irq;
  wire m_axis_tready = !pause_out;

  @NAME@ dut (
      .aclk(aclk), .@RESET@(@RESET_VALUE@), .irq(irq),
      .s_axis_tdata(s_axis_tdata), .s_axis_tuser(s_axis_tuser), .s_axis_tlast(s_axis_tlast),
      .s_axis_tvalid(s_axis_tvalid), .s_axis_tready(s_axis_tready),
@TABLE_PORTS@
      .m_axis_tdata(m_axis_tdata), .m_axis_tkeep(m_axis_tkeep), .m_axis_tlast(m_axis_tlast),
      .m_axis_tvalid(m_axis_tvalid), .m_axis_tready(m_axis_tready),
      .s_axi_awaddr(s_axi_awaddr), .s_axi_awprot(3'b000), .s_axi_awvalid(s_axi_awvalid), .s_axi_awready(s_axi_awready),
      .s_axi_wdata(s_axi_wdata), .s_axi_wstrb(4'b1111), .s_axi_wvalid(s_axi_wvalid), .s_axi_wready(s_axi_wready),
      .s_axi_bresp(s_axi_bresp), .s_axi_bvalid(s_axi_bvalid), .s_axi_bready(s_axi_bready),
      .s_axi_araddr(s_axi_araddr), .s_axi_arprot(3'b000), .s_axi_arvalid(s_axi_arvalid), .s_axi_arready(s_axi_arready),
      .s_axi_rdata(s_axi_rdata), .s_axi_rresp(s_axi_rresp), .s_axi_rvalid(s_axi_rvalid), .s_axi_rready(s_axi_rready)
  );

  // Packets, each word {tlast, tkeep, tdata}. Octets that tkeep leaves out count for nothing.
  reg [WORD_BITS+OCTETS:0] expected [0:WORDS-1];
  reg [WORD_BITS+OCTETS:0] wanted, offered;
  reg [WORD_BITS-1:0] mask;
  reg [31:0] seen = 0, packets = 0, still = 0;
  reg waiting = 0;
  integer octet;
  always @(posedge aclk) if (!reset) begin
    if (m_axis_tvalid !== 0 && m_axis_tvalid !== 1) begin
      $display("FAIL packet %0d: m_axis_tvalid is unknown", packets);
      $fatal;
    end
    if (waiting && (!m_axis_tvalid || {m_axis_tlast, m_axis_tkeep, m_axis_tdata} !== offered)) begin
      $display("FAIL packet %0d: a word changed while it waited for m_axis_tready", packets);
      $fatal;
    end
    offered = {m_axis_tlast, m_axis_tkeep, m_axis_tdata};
    waiting = m_axis_tvalid && !m_axis_tready;
    if (m_axis_tvalid && m_axis_tready) begin
      if (seen >= last_word) begin
        $display("FAIL a word behind the last packet: %h", offered);
        $fatal;
      end
      wanted = expected[seen];
      for (octet = 0; octet < OCTETS; octet = octet + 1) mask[8*octet+:8] = {8{wanted[WORD_BITS+octet]}};
      if ({m_axis_tlast, m_axis_tkeep, m_axis_tdata & mask} !== {wanted[WORD_BITS+:OCTETS+1], wanted[WORD_BITS-1:0] & mask})
      begin
        $display("FAIL packet %0d, word %0d of all: {tlast, tkeep, tdata} is %h, expected %h", packets, seen, offered, wanted);
        $fatal;
      end
      seen <= seen + 1;
      packets <= packets + m_axis_tlast;
    end
    still <= (m_axis_tvalid && m_axis_tready) || (s_axis_tvalid && s_axis_tready)@TABLE_MOVES@ ? 0 : still + 1;
    if (still == PATIENCE && seen < last_word) begin
      $display("FAIL packet %0d: nothing has moved for %0d clocks; %0d of %0d beats sent", packets, PATIENCE, sent, BEATS);
      $fatal;
    end
  end

  reg done_address, done_data, done;
  task write_register(input [7:0] address, input [31:0] value);
    begin
      s_axi_awaddr <= address;
      s_axi_wdata <= value;
      s_axi_awvalid <= 1;
      s_axi_wvalid <= 1;
      s_axi_bready <= 1;
      done_address = 0;
      done_data = 0;
      done = 0;
      while (!done) begin
        @(posedge aclk);
        if (!done_address && s_axi_awready) begin
          done_address = 1;
          s_axi_awvalid <= 0;
        end
        if (!done_data && s_axi_wready) begin
          done_data = 1;
          s_axi_wvalid <= 0;
        end
        if (s_axi_bvalid) begin
          done = 1;
          s_axi_bready <= 0;
          if (s_axi_bresp !== 0) begin
            $display("FAIL write of register %h: bresp is %b", address, s_axi_bresp);
            $fatal;
          end
        end
      end
    end
  endtask

  task check_register(input [7:0] address, input [31:0] value);
    begin
      s_axi_araddr <= address;
      s_axi_arvalid <= 1;
      s_axi_rready <= 1;
      done_address = 0;
      done = 0;
      while (!done) begin
        @(posedge aclk);
        if (!done_address && s_axi_arready) begin
          done_address = 1;
          s_axi_arvalid <= 0;
        end
        if (s_axi_rvalid) begin
          done = 1;
          s_axi_rready <= 0;
          if (s_axi_rresp !== 0 || s_axi_rdata !== value) begin
            $display("FAIL register %h: rresp is %b, rdata %h, expected %h", address, s_axi_rresp, s_axi_rdata, value);
            $fatal;
          end
        end
      end
    end
  endtask

  // Of each frame its beats and what goes into the register `control`, which holds its mode.
  reg [63:0] frames [0:FRAMES-1];
  integer frame;
  reg [31:0] start = 0;
  initial begin
    $readmemh("@NAME@_frames.hex", frames);
    $readmemh("@NAME@_packets.hex", expected);
  end

  // It runs once. Not an initial block, in which Verilator takes <= for =.
  always begin
    repeat (4) @(posedge aclk);
    reset <= 0;
@CHECKS_BEFORE@
    for (frame = 0; frame < last_frame; frame = frame + 1) begin
      write_register(8'h@CONTROL@, frames[frame][31:0]);
      // A frame has the mode that is set when its first beat is taken; the next may be set while it is under way.
      allowed <= start + frames[frame][63:32];
      while (sent <= start) @(posedge aclk);
      start = start + frames[frame][63:32];
    end
    while (seen < last_word) @(posedge aclk);
    // Nothing may follow.
    repeat (200) @(posedge aclk);
@CHECKS_AFTER@
    if (all) $display("PASS %0d packets", packets);
    else $display("PASS %0d packets, without coefficients: +all for those too", packets);
    $finish;
  end
endmodule
