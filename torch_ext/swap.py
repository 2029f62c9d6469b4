"""Exchange the conv, pool and fold layers of a model for the reference's, in place, and back.

A swap reassigns the class of a layer and nothing else, so parameters, buffers, hooks, the training
flag and the identity of the module stay: optimizers, shared modules and the root itself included.

A parametrized layer has a class that torch generated for it: a subclass of Conv2d, say, in which
`weight` is computed, and the forward is Conv2d's own. A swap gives it such a class over the
reference's Conv2d. It is a new one, because copies of a layer share theirs.
Torch's own means may add parametrizations to it or remove them later: what remains is the
reference's layer.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn
from torch.jit import ScriptModule
from torch.nn.utils import parametrize

from torch_ext import nn as reference

__all__ = ["Report", "Row", "restore", "swap"]

Selector = str | type

REFERENCE: dict[type[nn.Module], type[nn.Module]] = {
    nn.Conv1d: reference.Conv1d,
    nn.Conv2d: reference.Conv2d,
    nn.Conv3d: reference.Conv3d,
    nn.ConvTranspose1d: reference.ConvTranspose1d,
    nn.ConvTranspose2d: reference.ConvTranspose2d,
    nn.ConvTranspose3d: reference.ConvTranspose3d,
    nn.LazyConv1d: reference.LazyConv1d,
    nn.LazyConv2d: reference.LazyConv2d,
    nn.LazyConv3d: reference.LazyConv3d,
    nn.LazyConvTranspose1d: reference.LazyConvTranspose1d,
    nn.LazyConvTranspose2d: reference.LazyConvTranspose2d,
    nn.LazyConvTranspose3d: reference.LazyConvTranspose3d,
    nn.Fold: reference.Fold,
    nn.Unfold: reference.Unfold,
    nn.MaxPool1d: reference.MaxPool1d,
    nn.MaxPool2d: reference.MaxPool2d,
    nn.MaxPool3d: reference.MaxPool3d,
    nn.MaxUnpool1d: reference.MaxUnpool1d,
    nn.MaxUnpool2d: reference.MaxUnpool2d,
    nn.MaxUnpool3d: reference.MaxUnpool3d,
    nn.AvgPool1d: reference.AvgPool1d,
    nn.AvgPool2d: reference.AvgPool2d,
    nn.AvgPool3d: reference.AvgPool3d,
    nn.FractionalMaxPool2d: reference.FractionalMaxPool2d,
    nn.FractionalMaxPool3d: reference.FractionalMaxPool3d,
    nn.LPPool1d: reference.LPPool1d,
    nn.LPPool2d: reference.LPPool2d,
    nn.LPPool3d: reference.LPPool3d,
    nn.AdaptiveMaxPool1d: reference.AdaptiveMaxPool1d,
    nn.AdaptiveMaxPool2d: reference.AdaptiveMaxPool2d,
    nn.AdaptiveMaxPool3d: reference.AdaptiveMaxPool3d,
    nn.AdaptiveAvgPool1d: reference.AdaptiveAvgPool1d,
    nn.AdaptiveAvgPool2d: reference.AdaptiveAvgPool2d,
    nn.AdaptiveAvgPool3d: reference.AdaptiveAvgPool3d,
}
ORIGINAL = {ours: original for original, ours in REFERENCE.items()}
NAMES = {kind.__name__ for kind in REFERENCE}
FAMILY = ("torch.nn.modules.conv", "torch.nn.modules.pooling", "torch.nn.modules.fold")
QUANTIZED = "torch.ao."
SWAPPED = "_torch_ext_swapped"  # set on a layer that was exchanged, for restore


@dataclass(frozen=True)
class Row:
    """What happened to one layer: exchanged for `to`, or left alone for `reason`."""

    name: str
    kind: str
    to: str | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Report:
    """What `swap` or `restore` did, one row for each conv, pool or fold layer of the model."""

    rows: tuple[Row, ...]

    @property
    def changed(self) -> tuple[Row, ...]:
        """The layers that were exchanged."""
        return tuple(row for row in self.rows if row.to is not None)

    @property
    def left(self) -> tuple[Row, ...]:
        """The layers that were left alone."""
        return tuple(row for row in self.rows if row.to is None)

    def __str__(self) -> str:
        """Return the rows as a table, and the counts."""
        lines = [("layer", "from", "to")]
        lines += [
            (row.name or "(model)", row.kind, row.to or f"- {row.reason}") for row in self.rows
        ]
        wide, wider = (max(len(line[column]) for line in lines) for column in (0, 1))
        table = [f"{name:{wide}}  {kind:{wider}}  {to}" for name, kind, to in lines]
        return "\n".join([*table, f"{len(self.changed)} changed, {len(self.left)} left alone"])


def swap(
    model: nn.Module,
    only: Selector | Iterable[Selector] | None = None,
    skip: Selector | Iterable[Selector] | None = None,
) -> Report:
    """Give the layers of a model the reference's forward and gradients; `restore` undoes it.

    Exchanged are modules that are exactly a `torch.nn` layer that `torch_ext.nn` has, parametrized
    or not; a lazy one becomes the reference's layer when it learns its channels. Left alone, with a
    reason in the report: subclasses, which may compute something else (`override` reaches what they
    call), quantized and scripted modules, and layers whose `forward` was set on the instance.

    A swapped layer is an instance of torch's class, but its class is another. Tools that look
    classes up by identity (`type(m) is nn.Conv2d`, a dictionary of classes) do not know it:
    torch.ao.quantization's fuse_modules refuses it, its prepare, prepare_qat and convert pass it
    over. Call `restore(model)` before such a tool, and `swap` again after it. What asks by
    isinstance or takes parameters goes on working: parametrizations, pruning, fuse_conv_bn_eval.
    `torch.jit.trace` records the reference, for every size; to load a saved trace elsewhere,
    `import torch_ext` there. `torch.jit.script` is refused: it takes a restored model, and
    `override(level="aten")` reaches what it made.

    Args:
        model: changed in place; may itself be such a layer.
        only: exchange these and no others.
        skip: leave these alone; wins over `only`.

    `only` and `skip` are one or several of: a name as in `model.named_modules()`, where `*`, `?`
    and `[...]` match as in a shell (`*` also across dots); a class. Either means the modules it
    fits and everything inside them: "layer1", "layer*.conv2", torch.nn.MaxPool2d, BasicBlock.

    Returns:
        A `Report`, to print. A module used in several places is one row, under its first name.

    Raises:
        TypeError: `model` is not a module; `only` or `skip` holds something other than names and
            types.
        ValueError: a name or class that fits no module of the model. Nothing was changed then.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.LPPool2d(2, 2))
    >>> print(swap(model, skip="2"))
    layer  from       to
    0      Conv2d     torch_ext.nn.Conv2d
    2      MaxPool2d  - skipped
    3      LPPool2d   torch_ext.nn.LPPool2d
    2 changed, 1 left alone
    """
    layers = _layers(model)
    chosen = None if only is None else _select("only", only, model)
    skipped = set() if skip is None else _select("skip", skip, model)

    rows = []
    for name, module in layers:
        kind = type(module)
        reason = _obstacle(module)
        if reason is None and chosen is not None and module not in chosen:
            reason = "not in only"
        if reason is None and module in skipped:
            reason = "skipped"
        if reason is None:
            vars(module)[SWAPPED] = True
            _become(module, REFERENCE[_written(kind)])
            rows.append(Row(name, kind.__name__, to=f"torch_ext.nn.{_written(kind).__name__}"))
        else:
            rows.append(Row(name, kind.__name__, reason=reason))
    return Report(tuple(rows))


def restore(model: nn.Module) -> Report:
    """Give every layer that `swap` exchanged torch's class back, in a copy of the model too.

    One that was lazy and has learned its channels since becomes what torch's would have become. One
    that was parametrized since stays so. A `torch_ext.nn` layer that was built as one stays.

    Returns:
        A `Report` of the layers given back.

    Raises:
        TypeError: `model` is not a module.

    >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), reference.MaxPool2d(2))
    >>> _ = swap(model)
    >>> print(restore(model))
    layer  from       to
    0      Conv2d     torch.nn.Conv2d
    1      MaxPool2d  - built as a reference layer
    1 changed, 1 left alone
    """
    rows = []
    for name, module in _layers(model):
        kind = type(module)
        written = _written(kind)
        if SWAPPED not in vars(module):
            if written in ORIGINAL:
                rows.append(Row(name, kind.__name__, reason="built as a reference layer"))
        elif written not in ORIGINAL:
            rows.append(Row(name, kind.__name__, reason="its class was changed after the swap"))
        else:
            del vars(module)[SWAPPED]
            _become(module, ORIGINAL[written])
            rows.append(Row(name, kind.__name__, to=f"torch.nn.{written.__name__}"))
    return Report(tuple(rows))


def _layers(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Return the conv, pool and fold layers of a model, torch's and others', each once."""
    if not isinstance(model, nn.Module):
        raise TypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    return [(name, module) for name, module in model.named_modules() if _is_layer(module)]


def _is_layer(module: nn.Module) -> bool:
    if isinstance(module, ScriptModule):
        return module.original_name in NAMES
    return any(base.__module__ in FAMILY or _is_quantized(base) for base in type(module).__mro__)


def _is_quantized(kind: type) -> bool:
    return kind.__module__.startswith(QUANTIZED) and kind.__name__ in NAMES


def _obstacle(module: nn.Module) -> str | None:
    """Return why a layer cannot be exchanged, or None if it can."""
    kind = type(module)
    written = _written(kind)
    if written in REFERENCE:
        replaced = vars(module).keys() & {"forward", "_conv_forward"}
        return "forward set on the instance" if replaced else None
    if written in ORIGINAL:
        return "already a reference layer"
    if isinstance(module, ScriptModule):
        return "scripted"
    if kind.__module__.startswith(QUANTIZED):
        return "quantized"
    if isinstance(module, tuple(REFERENCE)):
        return "a subclass; override() reaches it"
    return "no such reference layer"


def _written(kind: type[nn.Module]) -> type[nn.Module]:
    """Return the class that someone wrote: for a generated, parametrized one, the one below."""
    return kind.__bases__[0] if kind.__module__ == parametrize.__name__ else kind


def _become(module: nn.Module, kind: type[nn.Module]) -> None:
    """Give a layer a class, or if its own is generated, the same over that class."""
    own = type(module)
    if _written(own) is not own:
        kind = type(own.__name__, (kind,), dict(vars(own)))
    module.__class__ = kind


def _select(
    argument: str, given: Selector | Iterable[Selector], model: nn.Module
) -> set[nn.Module]:
    """Return the modules that any of the names or classes fits, with everything inside them."""
    selectors = (given,) if isinstance(given, str | type) else given
    if not isinstance(selectors, Iterable):
        raise TypeError(f"{argument} must be names and classes, got {selectors!r:.80}")
    modules = list(model.named_modules(remove_duplicate=False))
    selected: set[nn.Module] = set()
    for selector in selectors:
        if isinstance(selector, str):
            fits = [module for name, module in modules if fnmatchcase(name, selector)]
        elif isinstance(selector, type):
            fits = [module for _, module in modules if isinstance(module, selector)]
        else:
            raise TypeError(f"{argument} must be names and classes, got {selector!r:.80}")
        if not fits:
            raise ValueError(f"{argument}={selector!r:.80} fits no module of the model")
        selected.update(*(module.modules() for module in fits))
    return selected
