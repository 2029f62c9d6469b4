"""Bugs that are planted on purpose, and the battery that must show them."""
