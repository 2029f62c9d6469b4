"""The operators of refconv as operators of torch, torch.ops.refconv.*, below autograd.

Each file has, for its family, the kernels (tensors to arrays, refconv, and back), the shapes of the
results for tensors without data, and the vmap rules. Inputs are batched and options complete, one
for each axis: `torch_ext.functional` is the way in. The derivatives are in `torch_ext.functions`.
"""
