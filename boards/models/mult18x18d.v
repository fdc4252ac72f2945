// MULT18X18D of the ECP5, as it behaves: A * B through up to three registers.
//
// Yosys has this cell as a black box only (share/ecp5/cells_bb.v), so that this model is our own,
// written from Lattice's description of the sysDSP slice. What nobody here uses is not in it: port
// C, the shift chains (SOURCEA and SOURCEB must be 0), MULT_BYPASS, the outputs ROA, ROB, ROC, SROA
// and SROB, asynchronous resets and the global one.

module MULT18X18D (
    input A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0, B17,
        B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0, C17, C16,
        C15, C14, C13, C12, C11, C10, C9, C8, C7, C6, C5, C4, C3, C2, C1, C0, SIGNEDA, SIGNEDB,
        SOURCEA, SOURCEB, CLK3, CLK2, CLK1, CLK0, CE3, CE2, CE1, CE0, RST3, RST2, RST1, RST0,
        SRIA17, SRIA16, SRIA15, SRIA14, SRIA13, SRIA12, SRIA11, SRIA10, SRIA9, SRIA8, SRIA7,
        SRIA6, SRIA5, SRIA4, SRIA3, SRIA2, SRIA1, SRIA0, SRIB17, SRIB16, SRIB15, SRIB14,
        SRIB13, SRIB12, SRIB11, SRIB10, SRIB9, SRIB8, SRIB7, SRIB6, SRIB5, SRIB4, SRIB3, SRIB2,
        SRIB1, SRIB0,
    output P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19,
        P18, P17, P16, P15, P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0,
        SIGNEDP
);
    parameter REG_INPUTA_CLK = "NONE";
    parameter REG_INPUTA_CE = "CE0";
    parameter REG_INPUTA_RST = "RST0";
    parameter REG_INPUTB_CLK = "NONE";
    parameter REG_INPUTB_CE = "CE0";
    parameter REG_INPUTB_RST = "RST0";
    parameter REG_PIPELINE_CLK = "NONE";
    parameter REG_PIPELINE_CE = "CE0";
    parameter REG_PIPELINE_RST = "RST0";
    parameter REG_OUTPUT_CLK = "NONE";
    parameter REG_OUTPUT_CE = "CE0";
    parameter REG_OUTPUT_RST = "RST0";
    parameter GSR = "ENABLED";

    wire [3:0] clk = {CLK3, CLK2, CLK1, CLK0};
    wire [3:0] ce = {CE3, CE2, CE1, CE0};
    wire [3:0] rst = {RST3, RST2, RST1, RST0};

    // A sign goes through the registers of its factor.
    wire [18:0] a, b;
    mult18x18d_register #(REG_INPUTA_CLK, REG_INPUTA_CE, REG_INPUTA_RST, 19) input_a (
        clk, ce, rst, {SIGNEDA, A17, A16, A15, A14, A13, A12, A11, A10, A9,
        A8, A7, A6, A5, A4, A3, A2, A1, A0}, a);
    mult18x18d_register #(REG_INPUTB_CLK, REG_INPUTB_CE, REG_INPUTB_RST, 19) input_b (
        clk, ce, rst, {SIGNEDB, B17, B16, B15, B14, B13, B12, B11, B10, B9,
        B8, B7, B6, B5, B4, B3, B2, B1, B0}, b);

    wire signed [18:0] factor_a = {a[18] & a[17], a[17:0]};
    wire signed [18:0] factor_b = {b[18] & b[17], b[17:0]};
    wire signed [37:0] exact = factor_a * factor_b;
    wire [36:0] product, result;
    mult18x18d_register #(REG_PIPELINE_CLK, REG_PIPELINE_CE, REG_PIPELINE_RST, 37) pipeline (
        clk, ce, rst, {a[18] | b[18], exact[35:0]}, product);
    mult18x18d_register #(REG_OUTPUT_CLK, REG_OUTPUT_CE, REG_OUTPUT_RST, 37) at_output (
        clk, ce, rst, product, result);

    assign {SIGNEDP, P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24,
        P23, P22, P21, P20, P19, P18, P17, P16, P15, P14, P13, P12,
        P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = result;
endmodule

// One of its registers, or none where CLK is "NONE".
module mult18x18d_register #(
    parameter CLK = "NONE",
    parameter CE = "CE0",
    parameter RST = "RST0",
    parameter WIDTH = 1
) (input [3:0] clk, input [3:0] ce, input [3:0] rst, input [WIDTH-1:0] d, output [WIDTH-1:0] q);
    // The number that a name ends in; no other name ends in 0 to 3.
    localparam [7:0] CLK_END = CLK;
    localparam [7:0] CE_END = CE;
    localparam [7:0] RST_END = RST;
    wire edges = clk[CLK_END[1:0]];
    wire enable = ce[CE_END[1:0]];
    wire reset = rst[RST_END[1:0]];
    reg [WIDTH-1:0] kept;
    always @(posedge edges)
        if (reset) kept <= 0;
        else if (enable) kept <= d;
    generate
        if (CLK == "NONE") assign q = d;
        else assign q = kept;
    endgenerate
endmodule
