// SDR memory as its controller sees it; at the falling edge of the clock. A command that comes too
// early ends the simulation. Times are in cycles, of chips with tRCD and tRP of 20 ns, tRAS 44, tRC
// and tRFC 66, tWR 15, at 100 MHz; a row is to be refreshed once in 782 cycles in the mean, and
// eight refreshes may be late.
module deltarnn_sdram #(parameter FILE = "", WORDS = 1) (
  input clk, input [12:0] a, input [1:0] ba, input cas_n, input cke, input cs_n, input [1:0] dm,
  inout [15:0] dq, input ras_n, input we_n
);
  // Of 32 bits: Icarus gives numbers without a size more of them.
  localparam [31:0] RCD = 2, RP = 2, RAS = 5, RC = 7, RFC = 7, MRD = 2, WR = 2,
    REFRESHES = 9 * 782;
  reg [15:0] memory [0:WORDS-1];
  initial if (FILE != "") $readmemh(FILE, memory);
  reg [12:0] row [0:3];
  reg [3:0] open;
  reg [31:0] activated [0:3], precharged [0:3], written [0:3], refreshed, moded, now;
  reg ready, reads, drives;
  reg [15:0] read, out;
  assign dq = drives ? out : 16'bz;
  integer n;
  wire [23:0] address = {row[ba], ba, a[8:0]};
  wire [2:0] command = {ras_n, cas_n, we_n};

  task require(input fits, input [20*8-1:0] what);
    if (!fits) begin
      $display("SDRAM, cycle %0d: %0s comes too early, or not at all", now, what);
      $fatal;
    end
  endtask

  task rests;
    begin
      require(open == 0, "a precharge");
      for (n = 0; n < 4; n = n + 1) require(now - precharged[n] >= RP, "tRP");
      require(now - refreshed >= RFC, "tRFC");
      require(now - moded >= MRD, "tMRD");
    end
  endtask

  initial begin
    {open, ready, now, read, reads, out, drives} = 0;
    refreshed = -RFC;
    moded = -MRD;
    for (n = 0; n < 4; n = n + 1) begin
      activated[n] = -RC;
      precharged[n] = -RP;
      written[n] = -WR;
    end
  end

  always @(negedge clk) begin
    now <= now + 1;
    out <= read;
    drives <= reads;
    reads <= 1'b0;
    if (ready) require(now - refreshed <= REFRESHES, "a refresh");
    if (cke & ~cs_n) case (command)
      3'b011: begin // activate
        require(!open[ba] & ready, "a precharge");
        require(now - precharged[ba] >= RP, "tRP");
        require(now - activated[ba] >= RC, "tRC");
        require(now - refreshed >= RFC, "tRFC");
        require(now - moded >= MRD, "tMRD");
        row[ba] <= a;
        open[ba] <= 1'b1;
        activated[ba] <= now;
      end
      3'b101: begin // read
        require(open[ba], "an activation");
        require(now - activated[ba] >= RCD, "tRCD");
        read <= address < WORDS ? memory[address] : 16'd0;
        reads <= 1'b1;
        if (a[10]) begin // and precharge
          require(now - activated[ba] >= RAS, "tRAS of a read");
          open[ba] <= 1'b0;
          precharged[ba] <= now;
        end
      end
      3'b100: begin // write
        require(open[ba] & ~a[10], "an activation");
        require(now - activated[ba] >= RCD, "tRCD");
        require(!drives & !reads, "the end of a read");
        if (!dm[0]) memory[address][7:0] <= dq[7:0];
        if (!dm[1]) memory[address][15:8] <= dq[15:8];
        written[ba] <= now;
      end
      3'b010: // precharge, one bank or all
        for (n = 0; n < 4; n = n + 1) if (a[10] | (ba == n)) begin
          if (open[n]) require(now - activated[n] >= RAS, "tRAS");
          if (open[n]) require(now - written[n] >= WR, "tWR");
          if (open[n]) precharged[n] <= now;
          open[n] <= 1'b0;
        end
      3'b001: begin // refresh
        rests;
        refreshed <= now;
      end
      3'b000: begin // mode: one word a burst, CAS latency 2; bit 8 is left alone
        rests;
        require({a[12:9], a[7:0]} == 12'h020, "mode 0x020");
        moded <= now;
        ready <= 1'b1;
        if (!ready) refreshed <= now; // before, there is nothing to be kept
      end
      default: ;
    endcase
  end
endmodule
