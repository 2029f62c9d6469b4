"""Bugs seen in the wild and semantics easily missed -> the planted bugs that stand for each.

A name is a row of `planted` (refconv's own source), of `candidates` (parity's candidates: what
lives in autograd or memory layouts) or of both.
"""

SEEN: dict[str, tuple[str, ...]] = {
    # reported
    "pytorch#198119: divisor of a ceil-mode window in the backward of avg_pool": (
        "divisor of the last window not clipped in ceil mode",
        "divisor not clipped in the gradient",
    ),
    "pytorch#197596: compiled indices transposed on non-contiguous input": (
        "indices transposed",
        "indices transposed unless contiguous",
    ),
    "pytorch#190064: adaptive max pool on sizes that do not divide": (
        "adaptive windows end too early where sizes do not divide",
    ),
    "pytorch#68868: weight gradient of a grouped conv3d": (
        "weight gradient of the first group in three axes",
        "weight gradient from the first group",
    ),
    "pytorch#82060: one input channel, channels_last": ("one channel, channels_last misread",),
    "pytorch#51430: torch.nn.grad with groups > 1": (
        "groups of the input gradient mixed up",
        "input gradient of the wrong group",
    ),
    "pytorch#80766: double backward that ignores transposed": (
        "double backward ignores transposed",
    ),
    "onnx reference: dilation read from the wrong axis": (
        "dilation of the wrong axis",
        "dilation of the wrong axis in the columns",
        "dilation of the wrong axis in the input gradient",
    ),
    "onnx reference: grouped transposed convolution writes one channel a group": (
        "grouped transposed convolution writes one channel a group",
    ),
    # classics
    "no flip": ("no flip in the input gradient",),
    "stride ignored": ("stride ignored in the weight gradient",),
    "divisor not clipped": ("divisor not clipped",),
    "ties split": ("ties split",),
    "NaN dropped": ("NaN dropped",),
    "off-by-one right padding": ("off-by-one padding on the right",),
    "bias axes": ("bias gradient over the wrong axes",),
    "x 1.001": ("input gradient x 1.001",),
    # semantics
    "of equal values the first": ("ties to the last", "the last of equals wins"),
    "of several NaN the last": ("definition: the first NaN wins", "the first NaN wins"),
    "a window of -inf takes its first valid element": (
        "index of a window of -inf in the padding",
        "no index for a window of -inf",
    ),
    "padding of a maximum is never selected": ("padding of zeros takes part",),
    "an average is one rounded division": (
        "averages by the reciprocal",
        "reciprocal of the divisor",
    ),
    "integer averages truncate": ("integer averages rounded down",),
    "integer averages are exact above 2**53": ("integer averages by way of float",),
    "padding counts, or does not": ("count_include_pad ignored",),
    "lp_pool takes no |x|": ("|x| where torch takes x",),
    "lp_pool scales partial windows": ("partial windows summed where torch scales them",),
    "the p-norm does not": ("mathematical form scales partial windows",),
    "norm_type -inf": ("the norm of -inf takes the largest",),
    "max_unpool: the last of duplicates": ("of duplicates the first stays",),
    "its gradient goes to all of them": ("gradient for the last of duplicates only",),
    "its strict gradient to the last": ("strict gradient for those that were replaced",),
    "integers wrap": ("integers by way of float",),
    "-0 becomes +0 in an average": ("an average of -0",),
    "-0 stays -0 in a choice": ("sign of zero lost",),
    "'same' pads an odd one on the right": ("'same' pads on the left", "odd padding on the left"),
    "'same' has no stride": ("'same' taken with a stride",),
    "mixed dtypes are refused": ("dtypes mixed",),
    "output_padding is smaller than stride or dilation": ("output padding of a whole stride",),
    "pools refuse what has no channels": ("no channels taken",),
    "pool padding is at most half the kernel, undilated": ("padding of half a dilated kernel",),
    "divisor_override may be negative": ("sign of the divisor lost",),
    "adaptive sizes may be None": ("an adaptive size of None taken for 1",),
    "halves accumulate in float32": ("convolution summed in float16", "sums kept in the half"),
}


def stands_for(bug: str) -> str:
    """Return what a planted bug was seen as, shortly."""
    return "; ".join(what.split(": ")[0] for what, names in SEEN.items() if bug in names)
