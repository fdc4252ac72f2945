"""Networks as programs for Cortex-M processors, and a processor that counts their instructions."""
