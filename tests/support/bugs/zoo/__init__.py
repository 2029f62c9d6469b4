"""A zoo of kernels for the oracle: sound ones by several algorithms, and wrong ones of every kind.

Nothing here imports the product: the oracle must be tested by what it did not write.
"""
