"""What plays Verilator's models without Python: the harness of a core, and a whole board."""
