"""The two modes of torch that `torch_ext.override` opens, and what they put in place of what.

    functions    a TorchFunctionMode: functions where Python calls them, with refconv's autograd
    aten         a TorchDispatchMode: kernels of ATen's operators, under torch's autograd

`convolution` and `pooling` give the reference ATen's signatures, where they are not those of
torch.nn.functional.
"""
