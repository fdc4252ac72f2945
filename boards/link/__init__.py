"""The host link: its protocol and its gateware."""
