// Memory of a port to write and one to read, which answers two clocks later; a flow for ASICs puts its macro here.
// A word that is read in the clock in which it is written need not be the old one nor the new one.
module block_memory #(
    parameter BITS = 8,
    parameter DEPTH = 2,
    parameter ADDRESS_BITS = 1
) (
    input wire clk,
    input wire [ADDRESS_BITS-1:0] write_address,
    input wire [BITS-1:0] write_data,
    input wire write_enable,
    input wire [ADDRESS_BITS-1:0] address,
    output reg [BITS-1:0] data
);
  reg [BITS-1:0] words [0:DEPTH-1];
  reg [BITS-1:0] word;

  always @(posedge clk) begin
    if (write_enable) words[write_address] <= write_data;
    word <= words[address];
    data <= word;
  end
endmodule
