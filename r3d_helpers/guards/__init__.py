"""Guards: checks for any video model that find bugs like those of lessons 01 to 03.

`check` runs a model on its video and on random ones, and reports what is wrong for any task: axes
that have changed places, weights that cannot learn, frames that are never used, answers that
depend on other clips. A guard uses inputs, outputs, gradients, and the inputs of layers; never the
name of a class or parameter, and never the source code.
"""

from collections.abc import Iterator

from torch import Tensor, nn

from .answers import batch, copies, modes, runs
from .axes import axes
from .bench import Bench
from .findings import Finding, Report
from .frames import frames
from .learning import learning

__all__ = ["Finding", "Report", "assert_sound", "check"]

# A layer that starts at zero hides the layers before it, so for these guards weights are moved.
WITH_MOVED_WEIGHTS = (axes, frames, batch)
AS_GIVEN = (learning, modes, copies)


def check(
    model: nn.Module,
    video: Tensor,
    targets: Tensor | None = None,
    *,
    layout: str = "BTCHW",
    seed: int = 0,
) -> Report:
    """Look for faults that no loss shows.

    Weights, buffers, modes, gradients, hooks, attributes and random state are left as they were,
    also after an error.

    Args:
        model: maps a video batch to scores ``[B, K]``.
        video: ``[B, T, C, H, W]``, as the model gets it in training, with B >= 1. Small clips are
            fast; checks of time need two frames or more.
        targets: int64 ``[B]``, to compare with ``K``.
        layout: ``"BCTHW"`` for a model that takes ``[B, C, T, H, W]``.
        seed: of the random clips.

    Returns:
        `Report`: ``ok``, ``findings``, ``notes``; print it.

    Raises:
        ValueError: ``video`` does not have five axes, an unknown ``layout``, or a model with lazy
            layers that have never run.
    """
    if layout not in ("BTCHW", "BCTHW"):
        raise ValueError(f"layout must be 'BTCHW' or 'BCTHW', got {layout!r}")
    if video.ndim != 5 or not video.numel():
        raise ValueError(f"expected a video {list(layout)}, got {list(video.shape)}")
    if any(nn.parameter.is_lazy(parameter) for parameter in model.parameters()):
        raise ValueError("the model has lazy layers: run it once on a video, then check again")
    bench = Bench(model, video, layout, seed)
    notes: list[str] = []
    with bench.left_as_found():
        findings = list(runs(bench, targets))
        if not findings:
            with bench.moved_weights():
                findings += _ask(WITH_MOVED_WEIGHTS, bench, notes)
            findings += _ask(AS_GIVEN, bench, notes)
    first = {(finding.guard, finding.where): finding for finding in reversed(findings)}
    return Report(tuple(f for f in findings if f in first.values()), tuple(notes))


def _ask(guards: tuple, bench: Bench, notes: list[str]) -> Iterator[Finding]:
    for guard in guards:
        try:
            yield from guard(bench)
        except Exception as error:  # an error in one guard must not stop the others
            about = f"{type(error).__name__}: {error}"[:300]
            notes.append(f"the guard {guard.__name__!r} could not check the model: {about}")


def assert_sound(
    model: nn.Module, video: Tensor, targets: Tensor | None = None, **options: object
) -> None:
    """`check` for a test: raises AssertionError with the report if anything is found."""
    report = check(model, video, targets, **options)
    if not report.ok:
        raise AssertionError(f"\n{report}")
