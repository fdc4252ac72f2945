// The system on a ULX3S: eight recordings a second, buttons in step with the clock.
module ulx3s (
    input  wire       clk_25mhz,
    input  wire       button_fire1, // again
    input  wire       button_fire2, // held meanwhile: thresholds 0
    input  wire       button_up,    // shows the events
    output wire [7:0] led
);
    reg [2:0] buttons, buttons_late;
    always @(posedge clk_25mhz) begin
        buttons <= {button_up, button_fire2, button_fire1};
        buttons_late <= buttons;
    end

    // After configuration flip-flops are 0: reset for some cycles, and whenever asked for.
    reg [3:0] awake;
    initial awake = 0;
    always @(posedge clk_25mhz) begin
        if (buttons_late[0]) awake <= 0;
        else if (!awake[3]) awake <= awake + 1;
    end

    soc #(.PAUSE(25_000_000 / 8)) soc (
        .clk(clk_25mhz),
        .rst(~awake[3]),
        .exact(buttons_late[1]),
        .show_events(buttons_late[2]),
        .led(led)
    );
endmodule
