// A W25Q128JV as a chip with registers in its pads sees it: it is woken, says who it is, gets its
// four lines until its power goes, and reads with them. Whoever drives a line that it drives ends
// the simulation, and so does a read for which it is not ready.
module deltarnn_quad_flash #(
  parameter FILE = "", BASE = 0, SIZE = 1, ASLEEP = 1, CONTINUOUS = 0, WAKING = 30,
  parameter [23:0] ID = 24'hef7018
) (
  input clk, input cs_n, input clocks, input [3:0] out, input [3:0] drives, output reg [3:0] back
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

  // The pads.
  reg pad_cs_n, pad_clocks;
  reg [3:0] pad_out, pad_drives;
  wire sck = pad_clocks & ~clk;
  wire [3:0] lines = (pad_drives & pad_out) | (~pad_drives & (mine & given | ~mine));
  always @(posedge clk) begin
    pad_cs_n <= cs_n;
    pad_clocks <= clocks;
    pad_out <= out;
    pad_drives <= drives;
    back <= lines;
  end

  // The flash.
  reg asleep, wakes, quad, may_set, continues;
  reg [3:0] mine, given;
  reg [31:0] n, nibbles, now, woken;
  reg [7:0] command, mode, status;
  reg [23:0] address;
  wire of_four = continues | (n >= 8 & command == 8'heb);
  wire [31:0] place = address - BASE + (nibbles - 12) / 2;
  wire [7:0] read = place < SIZE ? memory[place] : 8'hff;

  task require(input fits, input [32*8-1:0] what);
    if (!fits) begin
      $display("flash, cycle %0d: %0s", now, what);
      $fatal;
    end
  endtask

  initial begin
    {wakes, quad, may_set, mine, given, n, nibbles, now, woken, command, mode, status, address} = 0;
    {pad_clocks, pad_out, pad_drives} = 0;
    pad_cs_n = 1'b1;
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

  always @(posedge sck) if (~pad_cs_n) begin
    require((pad_drives & mine) == 0, "a line is driven twice");
    n <= n + 1;
    if (of_four) begin
      nibbles <= nibbles + 1;
      if (nibbles < 6) address <= {address[19:0], lines};
      else if (nibbles < 8) mode <= {mode[3:0], lines};
    end else if (n < 8) command <= {command[6:0], lines[0]};
    else status <= {status[6:0], lines[0]};
  end

  always @(negedge sck or posedge pad_cs_n) if (pad_cs_n) begin
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
    require(~asleep & quad, "it has one line, or sleeps");
    mine <= 4'hf;
    given <= nibbles[0] ? read[3:0] : read[7:4];
  end else if (~asleep & n >= 8 & command == 8'h9f) begin
    mine <= 4'h2;
    given <= n < 32 ? {2'd0, ID[31 - n], 1'b0} : 4'd0;
  end
endmodule
