// DP16KD as a ROM, which Yosys has as a black box only: port A, read, shapes of 1, 2 and 4 bits,
// with or without its output register. Written after the documented behaviour; the contents lie
// as in Yosys' own mapping (tests/test_boards_ecp5.py compares them).
module DP16KD(
  input ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0,
  input CEA, OCEA, CLKA, WEA, RSTA, CSA2, CSA1, CSA0,
  input CLKB, CEB, OCEB, WEB, RSTB, CSB2, CSB1, CSB0,
  output DOA3, DOA2, DOA1, DOA0
);
  parameter DATA_WIDTH_A = 1;
  parameter DATA_WIDTH_B = 1;
  parameter REGMODE_A = "NOREG";
  parameter REGMODE_B = "NOREG";
  parameter GSR = "ENABLED";
  parameter [319:0] INITVAL_00 = 320'd0;
  parameter [319:0] INITVAL_01 = 320'd0;
  parameter [319:0] INITVAL_02 = 320'd0;
  parameter [319:0] INITVAL_03 = 320'd0;
  parameter [319:0] INITVAL_04 = 320'd0;
  parameter [319:0] INITVAL_05 = 320'd0;
  parameter [319:0] INITVAL_06 = 320'd0;
  parameter [319:0] INITVAL_07 = 320'd0;
  parameter [319:0] INITVAL_08 = 320'd0;
  parameter [319:0] INITVAL_09 = 320'd0;
  parameter [319:0] INITVAL_0A = 320'd0;
  parameter [319:0] INITVAL_0B = 320'd0;
  parameter [319:0] INITVAL_0C = 320'd0;
  parameter [319:0] INITVAL_0D = 320'd0;
  parameter [319:0] INITVAL_0E = 320'd0;
  parameter [319:0] INITVAL_0F = 320'd0;
  parameter [319:0] INITVAL_10 = 320'd0;
  parameter [319:0] INITVAL_11 = 320'd0;
  parameter [319:0] INITVAL_12 = 320'd0;
  parameter [319:0] INITVAL_13 = 320'd0;
  parameter [319:0] INITVAL_14 = 320'd0;
  parameter [319:0] INITVAL_15 = 320'd0;
  parameter [319:0] INITVAL_16 = 320'd0;
  parameter [319:0] INITVAL_17 = 320'd0;
  parameter [319:0] INITVAL_18 = 320'd0;
  parameter [319:0] INITVAL_19 = 320'd0;
  parameter [319:0] INITVAL_1A = 320'd0;
  parameter [319:0] INITVAL_1B = 320'd0;
  parameter [319:0] INITVAL_1C = 320'd0;
  parameter [319:0] INITVAL_1D = 320'd0;
  parameter [319:0] INITVAL_1E = 320'd0;
  parameter [319:0] INITVAL_1F = 320'd0;
  parameter [319:0] INITVAL_20 = 320'd0;
  parameter [319:0] INITVAL_21 = 320'd0;
  parameter [319:0] INITVAL_22 = 320'd0;
  parameter [319:0] INITVAL_23 = 320'd0;
  parameter [319:0] INITVAL_24 = 320'd0;
  parameter [319:0] INITVAL_25 = 320'd0;
  parameter [319:0] INITVAL_26 = 320'd0;
  parameter [319:0] INITVAL_27 = 320'd0;
  parameter [319:0] INITVAL_28 = 320'd0;
  parameter [319:0] INITVAL_29 = 320'd0;
  parameter [319:0] INITVAL_2A = 320'd0;
  parameter [319:0] INITVAL_2B = 320'd0;
  parameter [319:0] INITVAL_2C = 320'd0;
  parameter [319:0] INITVAL_2D = 320'd0;
  parameter [319:0] INITVAL_2E = 320'd0;
  parameter [319:0] INITVAL_2F = 320'd0;
  parameter [319:0] INITVAL_30 = 320'd0;
  parameter [319:0] INITVAL_31 = 320'd0;
  parameter [319:0] INITVAL_32 = 320'd0;
  parameter [319:0] INITVAL_33 = 320'd0;
  parameter [319:0] INITVAL_34 = 320'd0;
  parameter [319:0] INITVAL_35 = 320'd0;
  parameter [319:0] INITVAL_36 = 320'd0;
  parameter [319:0] INITVAL_37 = 320'd0;
  parameter [319:0] INITVAL_38 = 320'd0;
  parameter [319:0] INITVAL_39 = 320'd0;
  parameter [319:0] INITVAL_3A = 320'd0;
  parameter [319:0] INITVAL_3B = 320'd0;
  parameter [319:0] INITVAL_3C = 320'd0;
  parameter [319:0] INITVAL_3D = 320'd0;
  parameter [319:0] INITVAL_3E = 320'd0;
  parameter [319:0] INITVAL_3F = 320'd0;
  wire [13:0] address = {
    ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0
  };
  // Without the ninth bits: what the narrow shapes see.
  reg mem [0:16383];
  reg [319:0] list;
  integer n, k, bit_in_word, place;
  initial begin
    for (n = 0; n < 64; n = n + 1) begin
      case (n)
        0: list = INITVAL_00;
        1: list = INITVAL_01;
        2: list = INITVAL_02;
        3: list = INITVAL_03;
        4: list = INITVAL_04;
        5: list = INITVAL_05;
        6: list = INITVAL_06;
        7: list = INITVAL_07;
        8: list = INITVAL_08;
        9: list = INITVAL_09;
        10: list = INITVAL_0A;
        11: list = INITVAL_0B;
        12: list = INITVAL_0C;
        13: list = INITVAL_0D;
        14: list = INITVAL_0E;
        15: list = INITVAL_0F;
        16: list = INITVAL_10;
        17: list = INITVAL_11;
        18: list = INITVAL_12;
        19: list = INITVAL_13;
        20: list = INITVAL_14;
        21: list = INITVAL_15;
        22: list = INITVAL_16;
        23: list = INITVAL_17;
        24: list = INITVAL_18;
        25: list = INITVAL_19;
        26: list = INITVAL_1A;
        27: list = INITVAL_1B;
        28: list = INITVAL_1C;
        29: list = INITVAL_1D;
        30: list = INITVAL_1E;
        31: list = INITVAL_1F;
        32: list = INITVAL_20;
        33: list = INITVAL_21;
        34: list = INITVAL_22;
        35: list = INITVAL_23;
        36: list = INITVAL_24;
        37: list = INITVAL_25;
        38: list = INITVAL_26;
        39: list = INITVAL_27;
        40: list = INITVAL_28;
        41: list = INITVAL_29;
        42: list = INITVAL_2A;
        43: list = INITVAL_2B;
        44: list = INITVAL_2C;
        45: list = INITVAL_2D;
        46: list = INITVAL_2E;
        47: list = INITVAL_2F;
        48: list = INITVAL_30;
        49: list = INITVAL_31;
        50: list = INITVAL_32;
        51: list = INITVAL_33;
        52: list = INITVAL_34;
        53: list = INITVAL_35;
        54: list = INITVAL_36;
        55: list = INITVAL_37;
        56: list = INITVAL_38;
        57: list = INITVAL_39;
        58: list = INITVAL_3A;
        59: list = INITVAL_3B;
        60: list = INITVAL_3C;
        61: list = INITVAL_3D;
        62: list = INITVAL_3E;
        63: list = INITVAL_3F;
        default: list = 320'd0;
      endcase
      for (k = 0; k < 16; k = k + 1)
        for (bit_in_word = 0; bit_in_word < 18; bit_in_word = bit_in_word + 1) begin
          place = (n * 16 + k) * 18 + bit_in_word;
          if (place % 9 != 8) mem[place / 9 * 8 + place % 9] = list[k * 20 + bit_in_word];
        end
    end
  end

  reg [3:0] array, register;
  always @(posedge CLKA) begin
    if (CEA)
      array <= {
        DATA_WIDTH_A > 2 ? mem[address | 14'd3] : 1'b0,
        DATA_WIDTH_A > 2 ? mem[(address & ~14'd3) | 14'd2] : 1'b0,
        DATA_WIDTH_A > 1 ? mem[(address & ~14'd1) | 14'd1] : 1'b0,
        mem[address]
      };
    if (OCEA) register <= array;
  end
  assign {DOA3, DOA2, DOA1, DOA0} = REGMODE_A == "OUTREG" ? register : array;
endmodule
