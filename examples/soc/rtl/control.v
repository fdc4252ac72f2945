// What software would do: sets up the core over AXI4-Lite, has the recordings played one by one,
// counts the right answers and reads the event counters in the end.
module control #(
    parameter RECORDINGS = 1,        // at most 127
    parameter [31:0] THETA_X_0 = 0,
    parameter [31:0] THETA_H_0 = 0,
    parameter [31:0] THETA_X_1 = 0,
    parameter [31:0] PAUSE = 0       // cycles after each recording, for who watches
) (
    input  wire        clk,
    input  wire        rst,
    input  wire        exact,        // thresholds 0 instead of the model's

    output wire        request,      // to the AXI4-Lite manager
    output reg         write,
    output reg  [11:0] address,
    output reg  [31:0] write_data,
    input  wire        done,
    input  wire        okay,
    input  wire [31:0] read_data,

    output wire        start,        // play the next recording
    input  wire        played,       // it is over, and so are all frames of it
    input  wire [ 7:0] answer,

    output reg  [ 6:0] right,
    output reg  [31:0] events,
    output wire        finished,
    output wire        failed
);
    // The program: an access a step; PLAY and FINISHED are none.
    localparam [3:0]
        CHECK = 0,
        SET_X_0 = 1,                 // from here on for each recording
        SET_H_0 = 2,
        SET_X_1 = 3,
        RESET_STATE = 4,
        PLAY = 5,
        READ_X_0 = 6,                // from here on after the last
        READ_H_0 = 7,
        READ_X_1 = 8,
        FINISHED = 9,
        FAILED = 10;

    localparam [6:0] LAST = RECORDINGS - 1;

    reg [7:0] labels [0:RECORDINGS-1];
    initial $readmemh("labels.hex", labels);

    reg [3:0] step;
    reg [6:0] recording;
    reg started;
    reg [31:0] pause;

    // Addresses as in docs/interfaces.md.
    always @* begin
        write = 0;
        address = 12'h000;           // ID
        write_data = 0;
        case (step)
            SET_X_0: begin
                write = 1;
                address = 12'h100;
                write_data = exact ? 0 : THETA_X_0;
            end
            SET_H_0: begin
                write = 1;
                address = 12'h104;
                write_data = exact ? 0 : THETA_H_0;
            end
            SET_X_1: begin
                write = 1;
                address = 12'h110;
                write_data = exact ? 0 : THETA_X_1;
            end
            RESET_STATE: begin
                write = 1;
                address = 12'h008;
                write_data = 1;
            end
            READ_X_0: address = 12'h108;
            READ_H_0: address = 12'h10C;
            READ_X_1: address = 12'h118;
            default: ;
        endcase
    end

    assign request = step != PLAY && step != FINISHED && step != FAILED;
    assign start = step == PLAY && !started;
    assign finished = step == FINISHED;
    assign failed = step == FAILED;

    always @(posedge clk) begin
        if (request & done) begin
            step <= step + 1;
            if (!okay || (step == CHECK && read_data != "DRNN")) step <= FAILED;
            if (step == READ_X_0 || step == READ_H_0 || step == READ_X_1)
                events <= events + read_data;
        end
        if (step == PLAY) begin
            started <= 1;
            if (started & played) pause <= pause + 1;
            if (started & played && pause == PAUSE) begin
                started <= 0;
                pause <= 0;
                right <= right + {6'd0, answer == labels[recording]};
                recording <= recording + 1;
                step <= recording == LAST ? READ_X_0 : SET_X_0;
            end
        end
        if (rst) begin
            step <= CHECK;
            recording <= 0;
            started <= 0;
            pause <= 0;
            right <= 0;
            events <= 0;
        end
    end
endmodule
