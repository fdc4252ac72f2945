"""The results: every task trained by several methods and seeds, as tables and pictures."""
