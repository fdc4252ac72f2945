// Plays every recording and holds each result, the answers and the events against the golden
// model's. With +exact: thresholds 0.
module soc_tb;
    `include "recordings.vh"
    `include "expected.vh"

    reg clk = 0, rst = 1, exact = 0;
    wire [7:0] led;
    soc dut (.clk(clk), .rst(rst), .exact(exact), .show_events(1'b0), .led(led));

    always #1 clk = ~clk;

    // The results of all frames: with the model's thresholds first, then those with 0.
    reg [RESULT_BITS-1:0] expected [0:2*FRAMES*RESULTS-1];
    integer offset, seen, right, events;

    // $fatal is SystemVerilog's, but every simulator has it, and exits with an error at it.
    task fail;
        $fatal(1, "FAIL after %0d results, cycle %0d", seen, $time / 2);
    endtask

    initial begin
        $readmemh("expected.hex", expected);
        exact = $test$plusargs("exact") != 0;
        offset = exact ? FRAMES * RESULTS : 0;
        right = exact ? EXACT_RIGHT : RIGHT;
        events = exact ? EXACT_EVENTS : EVENTS;
        seen = 0;
        repeat (4) @(negedge clk);
        rst = 0;
        repeat (FRAMES * 2000) @(posedge clk);
        fail;  // not finished
    end

    always @(posedge clk) begin
        if (dut.result_tvalid) begin
            if (dut.result_tdata !== expected[offset+seen]) fail;
            seen <= seen + 1;
        end
        if (dut.failed) fail;
        if (dut.finished) begin
            if (seen != FRAMES * RESULTS || led !== {1'b1, right[6:0]} || dut.events !== events)
                fail;
            $display("PASS: %0d frames, %0d of %0d right, %0d events", FRAMES, right, RECORDINGS,
                     events);
            $finish;
        end
    end
endmodule
