"""Convolution, pooling and their gradients in plain NumPy."""
