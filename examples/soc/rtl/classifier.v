// The answer for a recording: which result is the greatest, summed over its frames.
module classifier #(
    parameter RESULTS = 1,   // of a frame, one a beat
    parameter BITS = 32      // of a result on the bus
) (
    input  wire            clk,
    input  wire            start,    // a new recording: what was summed is forgotten
    input  wire [BITS-1:0] tdata,
    input  wire            tvalid,
    input  wire            tlast,
    output reg  [     7:0] answer    // once the last frame's last result is in
);
    localparam INDEX_BITS = $clog2(RESULTS);
    localparam SUM_BITS = BITS + 8;

    reg signed [SUM_BITS-1:0] sums [0:RESULTS-1];
    reg signed [SUM_BITS-1:0] greatest;
    reg [INDEX_BITS-1:0] index;
    reg first;

    wire signed [SUM_BITS-1:0] value = {{8{tdata[BITS-1]}}, tdata};
    wire signed [SUM_BITS-1:0] sum = first ? value : sums[index] + value;

    always @(posedge clk) begin
        if (tvalid) begin
            sums[index] <= sum;
            if (index == 0 || sum > greatest) begin
                greatest <= sum;
                answer <= {{8 - INDEX_BITS{1'b0}}, index};
            end
            index <= tlast ? 0 : index + 1;
            if (tlast) first <= 0;
        end
        if (start) begin
            index <= 0;
            first <= 1;
        end
    end
endmodule
