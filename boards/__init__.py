"""From Verilog towards boards: synthesis and what it takes of a chip."""
