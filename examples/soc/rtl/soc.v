// A small system around the core: recorded frames go in, LEDs count the right answers.
module soc #(
    parameter [31:0] PAUSE = 0     // cycles after each recording
) (
    input  wire       clk,
    input  wire       rst,
    input  wire       exact,       // thresholds 0 instead of the model's
    input  wire       show_events, // on the LEDs
    output wire [7:0] led
);
    `include "recordings.vh"

    wire [7:0] frame_tdata;
    wire frame_tvalid, frame_tready, frame_tlast;
    wire [RESULT_BITS-1:0] result_tdata;
    wire result_tvalid, result_tlast;

    wire start, playing;
    player #(.INPUTS(INPUTS), .ELEMENTS(ELEMENTS)) player (
        .clk(clk),
        .rst(rst),
        .start(start),
        .playing(playing),
        .tdata(frame_tdata),
        .tvalid(frame_tvalid),
        .tready(frame_tready),
        .tlast(frame_tlast)
    );

    wire [7:0] answer;
    classifier #(.RESULTS(RESULTS), .BITS(RESULT_BITS)) classifier (
        .clk(clk),
        .start(start),
        .tdata(result_tdata),
        .tvalid(result_tvalid),
        .tlast(result_tlast),
        .answer(answer)
    );

    // A frame of results comes for every frame, so the two counts say when all is done.
    wire frame_in = frame_tvalid & frame_tready & frame_tlast;
    wire frame_out = result_tvalid & result_tlast;
    reg [2:0] under_way;
    always @(posedge clk) begin
        if (frame_in & ~frame_out) under_way <= under_way + 1;
        if (frame_out & ~frame_in) under_way <= under_way - 1;
        if (rst) under_way <= 0;
    end

    wire request, write, done, okay;
    wire [11:0] address;
    wire [31:0] write_data, read_data;
    wire [6:0] right;
    // verilator lint_off UNUSEDSIGNAL
    wire [31:0] events;  // the LEDs show eight bits of them
    // verilator lint_on UNUSEDSIGNAL
    wire finished, failed;
    control #(
        .RECORDINGS(RECORDINGS),
        .THETA_X_0(THETA_X_0),
        .THETA_H_0(THETA_H_0),
        .THETA_X_1(THETA_X_1),
        .PAUSE(PAUSE)
    ) control (
        .clk(clk),
        .rst(rst),
        .exact(exact),
        .request(request),
        .write(write),
        .address(address),
        .write_data(write_data),
        .done(done),
        .okay(okay),
        .read_data(read_data),
        .start(start),
        .played(~playing & under_way == 0),
        .answer(answer),
        .right(right),
        .events(events),
        .finished(finished),
        .failed(failed)
    );

    wire [11:0] awaddr, araddr;
    wire [31:0] wdata, rdata;
    wire [1:0] bresp, rresp;
    wire awvalid, awready, wvalid, wready, bvalid, bready, arvalid, arready, rvalid, rready;
    axil_manager manager (
        .clk(clk),
        .rst(rst),
        .request(request),
        .write(write),
        .address(address),
        .write_data(write_data),
        .done(done),
        .okay(okay),
        .read_data(read_data),
        .awaddr(awaddr),
        .awvalid(awvalid),
        .awready(awready),
        .wdata(wdata),
        .wvalid(wvalid),
        .wready(wready),
        .bresp(bresp),
        .bvalid(bvalid),
        .bready(bready),
        .araddr(araddr),
        .arvalid(arvalid),
        .arready(arready),
        .rdata(rdata),
        .rresp(rresp),
        .rvalid(rvalid),
        .rready(rready)
    );

    // verilator lint_off PINMISSING
    deltarnn_core core (  // its monitors are left open
        .clk(clk),
        .rst(rst),
        .s_axis_tdata(frame_tdata),
        .s_axis_tvalid(frame_tvalid),
        .s_axis_tready(frame_tready),
        .s_axis_tlast(frame_tlast),
        .m_axis_tdata(result_tdata),
        .m_axis_tvalid(result_tvalid),
        .m_axis_tready(1'b1),
        .m_axis_tlast(result_tlast),
        .s_axil_awaddr(awaddr),
        .s_axil_awprot(3'b000),
        .s_axil_awvalid(awvalid),
        .s_axil_awready(awready),
        .s_axil_wdata(wdata),
        .s_axil_wstrb(4'b1111),
        .s_axil_wvalid(wvalid),
        .s_axil_wready(wready),
        .s_axil_bresp(bresp),
        .s_axil_bvalid(bvalid),
        .s_axil_bready(bready),
        .s_axil_araddr(araddr),
        .s_axil_arprot(3'b000),
        .s_axil_arvalid(arvalid),
        .s_axil_arready(arready),
        .s_axil_rdata(rdata),
        .s_axil_rresp(rresp),
        .s_axil_rvalid(rvalid),
        .s_axil_rready(rready)
    );
    // verilator lint_on PINMISSING

    assign led = failed ? 8'b01010101 : show_events ? events[15:8] : {finished, right};
endmodule
