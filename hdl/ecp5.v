// SPDX-License-Identifier: Apache-2.0
// SPDX-FileCopyrightText: 2026 ptychopress developers

// Cells of a Lattice ECP5 that blocks name, by their documented behaviour (FPGA-TN-02205 "sysDSP Usage Guide",
// FPGA-TN-02204 "Memory Usage Guide"): as far as the blocks use them, for simulation only.

// Multiplier. Registers that are not "NONE" are on CLK0, CE0 and RST0, reset in step with the clock.
module MULT18X18D #(
    parameter REG_INPUTA_CLK = "NONE",
    parameter REG_INPUTB_CLK = "NONE",
    parameter REG_PIPELINE_CLK = "NONE",
    parameter REG_OUTPUT_CLK = "NONE",
    parameter GSR = "ENABLED"
) (
    input
        A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15, A16, A17, B0, B1, B2, B3, B4,
        B5, B6, B7, B8, B9, B10, B11, B12, B13, B14, B15, B16, B17, C0, C1, C2, C3, C4, C5, C6, C7, C8, C9,
        C10, C11, C12, C13, C14, C15, C16, C17, SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CE0, RST0,
    output
        P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12, P13, P14, P15, P16, P17, P18, P19, P20, P21,
        P22, P23, P24, P25, P26, P27, P28, P29, P30, P31, P32, P33, P34, P35
);
    wire [17:0] a_pins = {
        A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0
    };
    wire [17:0] b_pins = {
        B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0
    };

    reg [17:0] a_register, b_register;
    reg [35:0] pipeline_register, output_register;

    wire [17:0] a = REG_INPUTA_CLK == "NONE" ? a_pins : a_register;
    wire [17:0] b = REG_INPUTB_CLK == "NONE" ? b_pins : b_register;
    wire signed [35:0] a_wide = {{18{SIGNEDA & a[17]}}, a};
    wire signed [35:0] b_wide = {{18{SIGNEDB & b[17]}}, b};
    wire [35:0] product = a_wide * b_wide;
    wire [35:0] piped = REG_PIPELINE_CLK == "NONE" ? product : pipeline_register;

    always @(posedge CLK0) begin
        if (RST0) begin
            a_register <= 0;
            b_register <= 0;
            pipeline_register <= 0;
            output_register <= 0;
        end else if (CE0) begin
            a_register <= a_pins;
            b_register <= b_pins;
            pipeline_register <= product;
            output_register <= piped;
        end
    end

    assign {
        P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16,
        P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0
    } = REG_OUTPUT_CLK == "NONE" ? piped : output_register;
endmodule

// Block memory, both ports of one width. Port A writes only, port B reads only; what is read from where something is
// written in that clock is unknown.
module DP16KD #(
    parameter DATA_WIDTH_A = 18,
    parameter DATA_WIDTH_B = 18,
    parameter REGMODE_A = "NOREG",
    parameter REGMODE_B = "NOREG",
    parameter CSDECODE_A = "0b000",
    parameter CSDECODE_B = "0b000",
    parameter WRITEMODE_A = "NORMAL",
    parameter WRITEMODE_B = "NORMAL",
    parameter GSR = "ENABLED"
) (
    input
        ADA0, ADA1, ADA2, ADA3, ADA4, ADA5, ADA6, ADA7, ADA8, ADA9, ADA10, ADA11, ADA12, ADA13, ADB0, ADB1,
        ADB2, ADB3, ADB4, ADB5, ADB6, ADB7, ADB8, ADB9, ADB10, ADB11, ADB12, ADB13, DIA0, DIA1, DIA2, DIA3,
        DIA4, DIA5, DIA6, DIA7, DIA8, DIA9, DIA10, DIA11, DIA12, DIA13, DIA14, DIA15, DIA16, DIA17, CLKA,
        CEA, OCEA, RSTA, WEA, CLKB, CEB, OCEB, RSTB, WEB, CSA0, CSA1, CSA2, CSB0, CSB1, CSB2,
    output
        DOB0, DOB1, DOB2, DOB3, DOB4, DOB5, DOB6, DOB7, DOB8, DOB9, DOB10, DOB11, DOB12, DOB13, DOB14, DOB15,
        DOB16, DOB17
);
    // Below the address of a word, which is left aligned, two pins enable the two bytes of 18 bits.
    localparam UNUSED = DATA_WIDTH_A == 18 ? 4 : DATA_WIDTH_A == 9 ? 3 : DATA_WIDTH_A == 4 ? 2 : DATA_WIDTH_A == 2 ? 1 : 0;

    wire [13:0] write_address = {
        ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0
    };
    wire [13:0] address = {
        ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0
    };
    wire [17:0] data = {
        DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4, DIA3,
        DIA2, DIA1, DIA0
    };
    wire [17:0] written = DATA_WIDTH_A == 18 ? {{9{ADA1}}, {9{ADA0}}} : (1 << DATA_WIDTH_A) - 1;

    reg [17:0] words [0:(16384 >> UNUSED) - 1];
    reg [17:0] word, output_register;

    wire write = CEA & WEA & ~CSA0 & ~CSA1 & ~CSA2;
    wire read = CEB & ~WEB & ~CSB0 & ~CSB1 & ~CSB2;
    wire collision = write & (write_address >> UNUSED) == (address >> UNUSED);

    always @(posedge CLKA)
        if (write)
            words[write_address >> UNUSED] <= (data & written) | (words[write_address >> UNUSED] & ~written);

    always @(posedge CLKB) begin
        if (read)
            word <= collision ? {18{1'bx}} : words[address >> UNUSED];
        if (RSTB)
            output_register <= 0;
        else if (OCEB)
            output_register <= word;
    end

    assign {
        DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3,
        DOB2, DOB1, DOB0
    } = REGMODE_B == "NOREG" ? word : output_register;
endmodule
