"""`check`: every case of an operator, through both tiers, the candidate and ours side by side."""

import platform
import sys
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from torch_ext import functional
from torch_ext.parity import criterion
from torch_ext.parity.cases import Case, cases
from torch_ext.parity.criterion import Finding
from torch_ext.parity.failure import UNREPEATED, Failure, spelled
from torch_ext.parity.inputs import DTYPES, FORMATS, Values, draw, laid_out
from torch_ext.parity.known import known
from torch_ext.parity.quantities import FORWARD, Operator, expect, observe
from torch_ext.parity.report import Row, Verdict

TIERS = ("exact", "bounded")
OURS: dict[str, Operator] = {
    "conv1d": functional.conv1d,
    "conv2d": functional.conv2d,
    "conv3d": functional.conv3d,
    "max_pool1d": functional.max_pool1d,
    "max_pool2d": functional.max_pool2d,
    "max_pool3d": functional.max_pool3d,
    "avg_pool1d": functional.avg_pool1d,
    "avg_pool2d": functional.avg_pool2d,
    "avg_pool3d": functional.avg_pool3d,
}


def check(
    candidate: Operator,
    op: str,
    *,
    device: str | torch.device = "cpu",
    dtypes: Sequence[torch.dtype] = DTYPES,
    order: int = 2,
    seed: int = 0,
    random_cases: int = 8,
    only: Callable[[Case], bool] | None = None,
    name: str | None = None,
    progress: Callable[[str], None] | None = None,
) -> Verdict:
    """Certify an implementation of `torch.nn.functional.<op>`, its gradients included.

    Every case runs twice. In the exact tier the numbers are small integers times a power of two, so
    that no sum can round: output, indices, gradients and second gradients must be those of exact
    arithmetic, bit for bit. (All NaN are one. A maximum has the sign of the zero it chose; the sign
    of a zero that a sum gives is free, since orders of summation differ in it.) In the bounded tier
    they are normal numbers, and every element must obey

        |y - y*| <= n u S + u_out (|y*| + n u S) + underflow

    with y* and S = sum |a||b| from `refconv.exact`. The halves are summed in float32, so there u is
    that of float32; gradients of pools summed in the half itself, as torch does, pass with a note.
    Ours is held to the same, so that one that was wrong could not go unnoticed. Shapes, dtypes and
    devices must agree, inputs must be left alone, and a second call must give the same bits. An
    exception is a failure; a dtype for which every call raises NotImplementedError is skipped, and
    says so. Known bugs of torch's own functions are shown, and do not fail.

    Args:
        candidate: takes what torch.nn.functional.<op> takes; differentiable by autograd.
        op: conv1d, ..., avg_pool3d.
        device: where the candidate runs; ours always runs on the CPU.
        dtypes: of float32, float64, float16, bfloat16.
        order: how often to differentiate: 0, 1 or 2 times.
        seed: of the random cases and of all values.
        random_cases: how many to add to the named cases.
        only: which cases to run; all if None.
        name: how a script imports the candidate, as `package.module.function`; found if None.
        progress: called with a line of text after every case.

    Returns:
        A `Verdict`; `print(verdict)` shows the table and the smallest failing case as a script.

    Raises:
        ValueError: an op, a dtype or an order that is not known.

    Sources: see `refconv.exact`.

    >>> verdict = check(torch.nn.functional.avg_pool1d, "avg_pool1d", dtypes=[torch.float32])
    >>> verdict.ok, verdict.rows[0].bit_equal == verdict.rows[0].cases
    (True, True)
    """
    for dtype in dtypes:
        if dtype not in FORMATS:
            raise ValueError(f"dtypes must be of {DTYPES}, got {dtype}")
    if order not in (0, 1, 2):
        raise ValueError(f"order must be 0, 1 or 2, got {order!r}")
    todo = [case for case in cases(op, seed, random_cases) if only is None or only(case)]
    name = import_name(candidate) if name is None else name
    where = torch.device(device)
    rows = []
    for dtype in dtypes:
        row = Row(op, dtype)
        for case in todo:
            for tier in TIERS:
                if tier == "exact" or case.values == "plain":
                    Trial(candidate, name, case, dtype, tier, seed, order, where).run(row)
            if progress is not None:
                progress(f"{op} {spelled(dtype)}: {case.name}")
        row.close()
        rows.append(row)
    return Verdict(tuple(rows), environment(where))


@dataclass
class Trial:
    """One case in one dtype and one tier, for the candidate and for ours."""

    candidate: Operator
    name: str | None
    case: Case
    dtype: torch.dtype
    tier: str
    seed: int
    order: int
    device: torch.device

    def __post_init__(self) -> None:
        """Draw the numbers and compute what is expected of them."""
        self.values = draw(self.case, self.dtype, self.tier, self.seed)
        self.leaves = laid_out(self.case, self.values, "cpu")
        self.expected = expect(self.case, self.leaves, self.order)

    def run(self, row: Row) -> None:
        """Compare everything and enter it into the row."""
        ours, trouble = self.observed(OURS[self.case.op], self.leaves)
        failures = self.raised("ours", ours, trouble)
        for quantity, result in ours.items():
            finding = self.against_exact(quantity, result)
            row.omega_ours = max(row.omega_ours, finding.omega)
            if finding.message:
                failures.append(self.failure("ours", quantity, finding.message))
        row.count_nonzero(self.expected.values())

        row.failures += failures
        row.failures += self.of_candidate(row, ours)

    def of_candidate(self, row: Row, ours: Values) -> list[Failure]:
        """Enter the candidate's results into the row, and return its failures."""
        row.trials += 1
        row.cases += self.tier == "exact"
        leaves = laid_out(self.case, self.values, self.device)
        found, trouble = self.observed(self.candidate, leaves)
        if trouble.startswith("NotImplementedError") and not found:
            row.not_implemented += 1
            return self.raised("candidate", found, trouble)
        failures = self.raised("candidate", found, trouble)
        for name, leaf in leaves.items():
            if not criterion.same_bits(leaf.detach().cpu(), self.leaves[name].detach()).all():
                failures.append(self.failure("candidate", name, "was written to"))
        for quantity, result in found.items():
            finding = self.judge(quantity, result)
            row.narrow.update([quantity] * finding.narrow)
            failure = self.failure("candidate", quantity, finding.message)
            if finding.message:
                failures.append(failure)
            if not finding.message or not known(failure):
                row.omega = max(row.omega, finding.omega)
        if self.tier == "exact" and found.keys() == ours.keys() and not failures:
            row.bit_equal += all(self.equal(q, found[q].detach().cpu(), ours[q]) for q in ours)
        return failures or self.repeated(found)

    def repeated(self, first: Values) -> list[Failure]:
        """Return the failures of a second call to give the bits of the first."""
        leaves = laid_out(self.case, self.values, self.device)
        again, trouble = self.observed(self.candidate, leaves)
        return self.raised("candidate", again, trouble) + [
            self.failure("candidate", quantity, UNREPEATED)
            for quantity, result in again.items()
            if not criterion.same_bits(result, first[quantity]).all()
        ]

    def judge(self, quantity: str, result: Tensor) -> Finding:
        """Return the judgement of one quantity of the candidate."""
        dtype = torch.int64 if quantity == "indices" else self.dtype
        message = criterion.wrong_kind(result, self.expected[quantity].shape, dtype, self.device)
        return Finding(message) if message else self.against_exact(quantity, result.detach().cpu())

    def equal(self, quantity: str, one: Tensor, other: Tensor) -> bool:
        """Return whether two results of a quantity agree; of a sum that is zero, either sign."""
        chosen = isinstance(self.expected[quantity], Tensor)
        same = criterion.same_bits if chosen else criterion.same_sums
        return bool(same(one, other).all())

    def demands_bits(self, quantity: str) -> bool:
        """Return whether every right implementation gives the same bits."""
        expected = self.expected[quantity]
        if isinstance(expected, Tensor):
            return True
        return self.tier == "exact" and criterion.rounds_once(
            quantity, expected, FORMATS[self.dtype]
        )

    def against_exact(self, quantity: str, result: Tensor) -> Finding:
        """Return the judgement of one quantity by its definition."""
        expected = self.expected[quantity]
        if isinstance(expected, Tensor):
            return criterion.bitwise(result.detach(), expected.detach())
        if self.demands_bits(quantity):
            return criterion.equal(result.detach(), expected)
        if quantity == "gy(all)" and self.dtype.itemsize == 2:
            # Three results, each rounded before they are added: gy(gx) and gy(gw) are judged alone.
            return Finding()
        return criterion.bounded(result.detach(), expected, quantity not in FORWARD)

    def observed(self, operator: Operator, leaves: Values) -> tuple[Values, str]:
        """Return the quantities an operator gives, and the exception that ended it, if any."""
        found: Values = {}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # torch warns of 'same' with even kernels
                observe(operator, self.case, leaves, self.order, found)
        except Exception as error:
            return found, f"{type(error).__name__}: {error}"
        return found, ""

    def raised(self, party: str, found: Values, trouble: str) -> list[Failure]:
        """Return the failure of an exception, at the first quantity that it left unknown."""
        unknown = [quantity for quantity in self.expected if quantity not in found]
        return [self.failure(party, unknown[0], f"raised {trouble}")] if trouble else []

    def failure(self, party: str, quantity: str, message: str) -> Failure:
        """Return a failure of this trial."""
        name, device = self.name, str(self.device)
        if party == "ours":
            name, device = f"torch_ext.functional.{self.case.op}", "cpu"
        return Failure(
            case=self.case,
            dtype=self.dtype,
            tier=self.tier,
            seed=self.seed,
            party=party,
            name=name,
            device=device,
            quantity=quantity,
            message=message,
        )


def import_name(candidate: Operator) -> str | None:
    """Return `module.name` of a callable, if importing that gives the callable back."""
    module, name = getattr(candidate, "__module__", None), getattr(candidate, "__name__", None)
    for place in (module, "torch.nn.functional"):
        found = sys.modules.get(place or "")
        if name and getattr(found, name, None) is candidate:
            return f"{place}.{name}"
    return None


def environment(device: torch.device) -> dict[str, str]:
    """Return what a result may depend on besides the code: versions, flags, threads."""
    found = {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "machine": platform.machine(),
        "threads": str(torch.get_num_threads()),
        "deterministic": str(torch.are_deterministic_algorithms_enabled()),
        "float32 matmul": torch.get_float32_matmul_precision(),
    }
    if device.type == "cuda":
        found["cudnn TF32"] = str(torch.backends.cudnn.allow_tf32)
    return found
