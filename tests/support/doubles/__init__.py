"""Doubles of libraries that this machine may not have."""
