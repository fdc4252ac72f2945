// Plays the next recording, element by element, as AXI4-Stream. The memory wraps to the first one.
module player #(
    parameter INPUTS = 1,    // elements of a frame
    parameter ELEMENTS = 1   // of all recordings
) (
    input  wire       clk,
    input  wire       rst,
    input  wire       start,
    output reg        playing,
    output wire [7:0] tdata,
    output wire       tvalid,
    input  wire       tready,
    output wire       tlast
);
    localparam ADDRESS_BITS = $clog2(ELEMENTS);
    localparam COLUMN_BITS = $clog2(INPUTS);
    localparam [ADDRESS_BITS-1:0] LAST_ADDRESS = ELEMENTS - 1;
    localparam [COLUMN_BITS-1:0] LAST_COLUMN = INPUTS - 1;

    // Bit 8 marks a recording's last element.
    reg [8:0] memory [0:ELEMENTS-1];
    initial $readmemh("frames.hex", memory);

    reg [8:0] word;
    reg word_valid;    // the memory answers a cycle late, so an element takes two
    reg [ADDRESS_BITS-1:0] address;
    reg [COLUMN_BITS-1:0] column;

    assign tdata = word[7:0];
    assign tvalid = playing & word_valid;
    assign tlast = column == LAST_COLUMN;
    wire sent = tvalid & tready;

    always @(posedge clk) begin
        word <= memory[address];
        word_valid <= ~sent;
        if (start) playing <= 1;
        if (sent) begin
            address <= address == LAST_ADDRESS ? 0 : address + 1;
            column <= tlast ? 0 : column + 1;
            playing <= ~word[8];
        end
        if (rst) begin
            word_valid <= 0;
            address <= 0;
            column <= 0;
            playing <= 0;
        end
    end
endmodule
