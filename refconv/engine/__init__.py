"""The machinery under the fast forms: no file here is an operator.

tiles      how work is cut, scratch memory, threads
patches    what a tile reads of x, its windows as a view, and the adjoints of both
columns    the windows of a tile as matrices; columns_back adds them back
pointwise  convolution without windows: x is its own columns
bands      few channels a group: rows of outputs as products with a band
phases     the input gradient at a stride above 1, with nothing to add back
taps       convolution without matrices, tap by tap
planes     what the pools share: images and channels as planes, tap by tap
shifts     the windows of a pool as shifts of flat runs of memory
winners    the contest between taps; gather and scatter on the winners
ragged     windows of any start and size, laid out side by side
shared_windows, large_windows, adaptive_sums
           the same, faster: where all planes share them, where they are large, as one product
"""
