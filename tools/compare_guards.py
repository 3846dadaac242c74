"""Compare our guards with general libraries on the models of tests/zoo.py: a Markdown table.

    python -m tools.compare_guards                         the table, to the terminal
    python -m tools.compare_guards docs/learn/guards.md    put it into that page

A library that is not installed is left out, and the table says so:
``pip install torchtest2==0.1.0 torch-audit==0.3.0 torcheck==1.0.1``.
"""

import contextlib
import io
import re
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

import torch
import zoo
from torch import Tensor, nn
from torch.nn import functional as F

from r3d_helpers import guards

from .between import rewrite

MARKS = "<!-- table: made by tools/compare_guards.py -->", "<!-- end of table -->"


def loss_of(answer: Tensor | tuple, targets: Tensor) -> Tensor:
    """Cross-entropy of the first part of an answer; in training, some models return several."""
    return F.cross_entropy(answer[0] if isinstance(answer, tuple) else answer, targets)


def ours(model: nn.Module, video: Tensor, targets: Tensor) -> str:
    """Whether our guards report a fault in a model."""
    return "" if guards.check(model, video, targets).ok else "found"


def torchtest2(model: nn.Module, video: Tensor, targets: Tensor) -> str:
    """Whether one of its checks fails or warns; all checks except the long training."""
    from torchtest2 import check_model

    skip = ["overfit_batch"]
    report = check_model(model, video, targets, loss_fn=loss_of, skip=skip)
    warned = any(str(result.status).upper() == "WARN" for result in report.results)
    return "warned" if report.ok and warned else "" if report.ok else "found"


def torch_audit(model: nn.Module, video: Tensor, targets: Tensor) -> str:
    """Whether three audited steps of training give an error."""
    from torch_audit import audit_dynamic

    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    with audit_dynamic(model, optimizer=optimizer, every_n_steps=1, fail_level="ERROR") as auditor:
        auditor.audit_static()
        auditor.audit_init()
        for _ in range(3):
            optimizer.zero_grad()
            loss = loss_of(auditor.forward(video), targets)
            auditor.backward(loss)
            auditor.optimizer_step()
    return "found" if auditor.finish().exit_code else ""  # it warns about every model


def torcheck(model: nn.Module, video: Tensor, targets: Tensor) -> str:
    """Whether it stops two training steps: parameters must change, no value may be NaN or inf."""
    import torcheck as library

    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    library.register(optimizer)
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            options = {"changing": True, "check_nan": True, "check_inf": True}
            library.add_tensor(parameter, tensor_name=name, **options)
    library.add_module_nan_check(model, module_name="model")
    library.add_module_inf_check(model, module_name="model")
    for _ in range(2):
        optimizer.zero_grad()
        loss_of(model(video), targets).backward()
        optimizer.step()
    return ""


LIBRARIES = {"torchtest2": torchtest2, "torch-audit": torch_audit, "torcheck": torcheck}


def accuses(ask: Callable, make: Callable, shape: tuple[int, ...]) -> str:
    """Make a model and check it; an error in its training counts as found."""
    torch.manual_seed(0)
    model, video = make(), torch.randn(shape)
    targets = torch.arange(len(video)) % zoo.K
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            return ask(model.train(), video, targets)
        except Exception:
            return "found"


def count(verdicts: list[str]) -> str:
    """How many are found, and how many more get a warning."""
    warned = verdicts.count("warned")
    return str(verdicts.count("found")) + (f" (+ {warned} warned)" if warned else "")


def table() -> str:
    """The table: who finds each broken model; then how many of each kind are reported."""
    tools, missing = {"guards.check": ours}, []
    for name, ask in LIBRARIES.items():
        try:
            tools[f"{name} {version(name)}"] = ask
        except PackageNotFoundError:
            missing.append(name)
    rows = [["broken model", "our guard", *tools], ["---"] * (2 + len(tools))]
    counts = {name: [] for name in tools}
    for specimen, (make, shape, guard) in zoo.BROKEN.items():
        row = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", specimen), guard]
        for name, ask in tools.items():
            accused = accuses(ask, make, shape)
            counts[name].append(accused)
            row.append(accused)
        rows.append(row)
    alarms = {name: [] for name in tools}
    for make, shape in zoo.SOUND.values():
        for name, ask in tools.items():
            alarms[name].append(accuses(ask, make, shape))
    rows += [
        [f"**of {len(zoo.BROKEN)} broken, found**", "", *map(count, counts.values())],
        [f"**of {len(zoo.SOUND)} sound, accused**", "", *map(count, alarms.values())],
    ]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    if missing:
        lines += ["", f"Not installed, so not asked: {', '.join(missing)}."]
    return "\n".join(lines)


if __name__ == "__main__":
    made = table()
    if len(sys.argv) > 1:
        rewrite(Path(sys.argv[1]), *MARKS, made)
    else:
        print(made)
