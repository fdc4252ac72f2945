// A W25Q128JV: it is woken, says who it is, gets its four lines until its power goes, and reads with
// them. A read for which it is not ready ends the simulation.
module deltarnn_flash_chip #(
  parameter FILE = "", BASE = 0, SIZE = 1, ASLEEP = 1, CONTINUOUS = 0, WAKING = 30,
  parameter [23:0] ID = 24'hef7018
) (
  input clk, input cs_n, input sck, inout [3:0] io, output reg [3:0] mine
);
  reg [7:0] memory [0:SIZE-1];
  integer file, got;
  initial begin
    for (got = 0; got < SIZE; got = got + 1) memory[got] = 8'hff;
    file = FILE == "" ? 0 : $fopen(FILE, "rb");
    if (file != 0) begin
      got = $fread(memory, file);
      $fclose(file);
    end
  end

  reg asleep, wakes, quad, may_set, continues;
  reg [3:0] given;
  reg [31:0] n, nibbles, now, woken;
  reg [7:0] command, mode, status;
  reg [23:0] address;
  wire of_four = continues | (n >= 8 & command == 8'heb);
  wire [31:0] place = address - BASE + (nibbles - 12) / 2;
  wire [7:0] read = place < SIZE ? memory[place] : 8'hff;
  assign io[0] = mine[0] ? given[0] : 1'bz;
  assign io[1] = mine[1] ? given[1] : 1'bz;
  assign io[2] = mine[2] ? given[2] : 1'bz;
  assign io[3] = mine[3] ? given[3] : 1'bz;

  initial begin
    {wakes, quad, may_set, mine, given, n, nibbles, now, woken, command, mode, status, address} = 0;
    asleep = ASLEEP;
    continues = CONTINUOUS;
  end

  always @(posedge clk) begin
    now <= now + 1;
    if (wakes & (now - woken >= WAKING)) begin
      wakes <= 1'b0;
      asleep <= 1'b0;
    end
  end

  always @(posedge sck) if (~cs_n) begin
    n <= n + 1;
    if (of_four) begin
      nibbles <= nibbles + 1;
      if (nibbles < 6) address <= {address[19:0], io};
      else if (nibbles < 8) mode <= {mode[3:0], io};
    end else if (n < 8) command <= {command[6:0], io[0]};
    else status <= {status[6:0], io[0]};
  end

  always @(negedge sck or posedge cs_n) if (cs_n) begin
    mine <= 0;
    n <= 0;
    nibbles <= 0;
    if (of_four & nibbles != 0) continues <= nibbles >= 8 & mode[5:4] == 2'b10;
    else if (n == 8 & command == 8'hab) begin
      wakes <= 1'b1;
      woken <= now;
    end else if (~asleep & n == 8 & command == 8'h50) may_set <= 1'b1;
    else begin
      may_set <= 1'b0;
      if (~asleep & may_set & n == 16 & command == 8'h31) quad <= status[1];
    end
  end else if (of_four & nibbles >= 12) begin
    if (asleep | ~quad) begin
      $display("flash, cycle %0d: it has one line, or sleeps", now);
      $fatal;
    end
    mine <= 4'hf;
    given <= nibbles[0] ? read[3:0] : read[7:4];
  end else if (~asleep & n >= 8 & command == 8'h9f) begin
    mine <= 4'h2;
    given <= n < 32 ? {2'd0, ID[31 - n], 1'b0} : 4'd0;
  end
endmodule

// The same behind pads with registers. Who drives a line that the flash drives ends the simulation.
module deltarnn_quad_flash #(
  parameter FILE = "", BASE = 0, SIZE = 1
) (
  input clk, input cs_n, input clocks, input [3:0] out, input [3:0] drives, output reg [3:0] back
);
  reg pad_cs_n, pad_clocks;
  reg [3:0] pad_out, pad_drives;
  wire [3:0] io, mine;
  assign io[0] = pad_drives[0] ? pad_out[0] : 1'bz;
  assign io[1] = pad_drives[1] ? pad_out[1] : 1'bz;
  assign io[2] = pad_drives[2] ? pad_out[2] : 1'bz;
  assign io[3] = pad_drives[3] ? pad_out[3] : 1'bz;
  deltarnn_flash_chip #(.FILE(FILE), .BASE(BASE), .SIZE(SIZE)) chip (
    .clk(clk), .cs_n(pad_cs_n), .sck(pad_clocks & ~clk), .io(io), .mine(mine)
  );
  initial begin
    {pad_clocks, pad_out, pad_drives} = 0;
    pad_cs_n = 1'b1;
  end
  always @(posedge clk) begin
    pad_cs_n <= cs_n;
    pad_clocks <= clocks;
    pad_out <= out;
    pad_drives <= drives;
    back <= io;
    if ((pad_drives & mine) != 0) begin
      $display("flash: a line is driven twice");
      $fatal;
    end
  end
endmodule
