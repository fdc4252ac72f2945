"""The buses around the engine, and what is counted and kept for them."""
