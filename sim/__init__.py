"""Simulations: built once each, played many jobs, by cocotb or by a program of their own."""
