// One AXI4-Lite access at a time: `request` and what goes with it stay until `done`.
module axil_manager (
    input  wire        clk,
    input  wire        rst,

    input  wire        request,
    input  wire        write,
    input  wire [11:0] address,
    input  wire [31:0] write_data,
    output wire        done,
    output wire        okay,        // with `done`
    output wire [31:0] read_data,   // with `done`

    output wire [11:0] awaddr,
    output reg         awvalid,
    input  wire        awready,
    output wire [31:0] wdata,
    output reg         wvalid,
    input  wire        wready,
    input  wire [ 1:0] bresp,
    input  wire        bvalid,
    output wire        bready,
    output wire [11:0] araddr,
    output reg         arvalid,
    input  wire        arready,
    input  wire [31:0] rdata,
    input  wire [ 1:0] rresp,
    input  wire        rvalid,
    output wire        rready
);
    reg busy;

    assign awaddr = address;
    assign araddr = address;
    assign wdata = write_data;
    assign bready = busy;
    assign rready = busy;
    assign done = busy & (bvalid | rvalid);
    assign okay = (write ? bresp : rresp) == 2'b00;
    assign read_data = rdata;

    always @(posedge clk) begin
        if (awready) awvalid <= 0;
        if (wready) wvalid <= 0;
        if (arready) arvalid <= 0;
        if (request & ~busy) begin
            busy <= 1;
            awvalid <= write;
            wvalid <= write;
            arvalid <= ~write;
        end
        if (done) busy <= 0;
        if (rst) begin
            busy <= 0;
            awvalid <= 0;
            wvalid <= 0;
            arvalid <= 0;
        end
    end
endmodule
