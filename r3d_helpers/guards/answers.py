"""Guards that compare outputs: valid, the same for a clip alone, in both modes, and of a copy."""

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .bench import Bench, Listener
from .findings import Finding

SAME = 3e-5  # relative; another place in the batch usually changes rounding by less


def runs(bench: Bench, targets: Tensor | None) -> Iterator[Finding]:
    """Does the model answer at all, in both modes, with one row of finite numbers for each clip?"""
    guard = "answer"
    several = bench.video if len(bench.video) > 1 else bench.clips  # a batch norm may need them
    for video, train in ((bench.video, False), (several, True), (bench.clips, False)):
        mode, shape = "training" if train else "evaluation", list(video.shape)
        try:
            answer = bench.run(video, train=train)[0]
        except Exception as error:  # a model may raise anything; report it
            text = f"{type(error).__name__}: {error}"
            yield Finding(
                guard,
                "",
                f"raises in {mode} mode, given a video {shape}: {text[:300]}",
                "Read the last line of the error word by word: which axes does it name?",
                "01",
            )
            return
        if answer.ndim != 2 or len(answer) != shape[0]:
            yield Finding(
                guard,
                "",
                f"answers {list(answer.shape)} to a video {shape}, in {mode} mode: there must be "
                f"one row of scores for each of {shape[0]} clips.",
                "Which line merges or drops the batch axis?",
                "01",
            )
            return
        if not answer.isfinite().all():
            yield Finding(
                guard,
                "",
                f"returns infinite values or NaN, in {mode} mode.",
                "Look for `log`, `sqrt` or a division that meets zero, and for overflow.",
                "06",
            )
            return
    if targets is not None and not (
        0 <= int(targets.min()) <= int(targets.max()) < answer.shape[1]
    ):
        yield Finding(
            guard,
            "",
            f"has {answer.shape[1]} scores, and the targets lie between {int(targets.min())} and "
            f"{int(targets.max())}.",
            "Number the classes from 0, and give the last layer one output for each.",
            "04",
        )


def batch(bench: Bench) -> Iterator[Finding]:
    """Does the answer to a clip depend on this clip and on nothing else?"""
    guard, clips = "batch", bench.clips
    answer = bench.run(clips)[0]
    # What rounding alone may change: some networks amplify it.
    rounded = bench.run(clips * (1 + 1e-6 * torch.rand_like(clips)))[0]
    limit = max(SAME * float(answer.abs().max()), 10 * float((rounded - answer).abs().max()))

    def differ(a: Tensor, b: Tensor) -> bool:
        return a.shape != b.shape or not bool((a - b).abs().max() <= limit)

    if bench.changes_video:
        yield Finding(
            "answer",
            "",
            "changes its input: code that uses the same video later gets other values.",
            "Replace operations in place (`+=`, `relu_`, `x[...] = `) on the input.",
            "06",
        )
    if differ(answer, bench.run(clips, before=bench.others, seed=1)[0]):
        if differ(answer, bench.run(clips, seed=1)[0]):
            yield Finding(
                "modes",
                "",
                "answers the same video differently every time, in evaluation mode: something "
                "random is still on, such as dropout.",
                "`F.dropout` needs `training=self.training`; `eval()` does not reach modules in "
                "a plain list.",
                "02",
            )
            return
        yield Finding(
            guard,
            "",
            "answers differently after it has seen other videos, in evaluation mode: it keeps "
            "something from one call to the next.",
            "Start from the same state in every `forward`.",
            "03",
        )
    moved = bench.run(torch.cat([bench.others[:1], clips[:1]]))[0]
    if not (differ(answer[0], answer[1]) or differ(answer[0], moved[0])):
        yield Finding(
            "answer",
            "",
            "gives the same answer to every video.",
            "Does `forward` return what it computes from the video?",
            "02",
        )
        return
    if differ(moved[1], answer[0]):
        earlier = bench.run(torch.cat([clips[1:], clips[:1]]))[0]
        later = bench.run(torch.cat([clips[:1], bench.others[1:]]))[0]
        neighbours = differ(earlier[1], moved[1]) or differ(later[0], answer[0])
        why = "who else is in the batch" if neighbours else "the place that it has in the batch"
        yield Finding(
            guard,
            "",
            f"the answer to a clip depends on {why}: the batch is read as time, merged with "
            "another axis, or used for statistics or positions.",
            "Change one clip and see which answers change. Does each layer have the batch where "
            "you think it has (`batch_first`)? Do `view` and `reshape` merge it with another axis?",
            "03",
        )
        return
    try:
        alone = bench.run(clips[:1])[0]
        reason = "is another" if differ(alone, answer[:1]) else ""
    except Exception as error:
        reason = f"is an error ({type(error).__name__}: {error})"[:300]
    if reason:
        yield Finding(
            guard,
            "",
            f"the answer to a clip that comes alone, as a batch of one, {reason}.",
            "Look for `squeeze()` without an axis, and for a fixed batch size.",
            "03",
        )


def modes(bench: Bench) -> Iterator[Finding]:
    """Do `train()` and `eval()` reach every module that they should change?"""
    for mode in (True, False):
        answer = bench.run(bench.clips, train=mode)[0]
        deaf = [
            (name, module)
            for name, module in bench.model.named_modules()
            if module.training != mode and not (mode and _frozen(bench.model, name))
        ]
        if not deaf or _only_statistics(deaf, bench.model):
            continue
        bench.found.tidy()
        hooks = [
            m.register_forward_pre_hook(lambda m, _, mode=mode: setattr(m, "training", mode))
            for _, m in deaf
        ]
        forced = bench.run(bench.clips, train=mode, keep=True)[0]
        for hook in hooks:
            hook.remove()
        if not forced.equal(answer):
            name = "training" if mode else "evaluation"
            names = [name or "the model itself" for name, _ in deaf]
            yield Finding(
                "modes",
                ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else ""),
                f"{name} mode never arrives here, and it would make a difference.",
                "If you override `train`, call `super().train(mode)`; do not call `eval()` in "
                "`forward`. What is frozen on purpose has `requires_grad_(False)`.",
                "06",
            )


def _frozen(model: nn.Module, name: str) -> bool:
    """Whether the nearest module around this one that has weights is frozen on purpose."""
    while True:
        weights = list(model.get_submodule(name).parameters())
        if weights or not name:
            return bool(weights) and not any(weight.requires_grad for weight in weights)
        name = name.rpartition(".")[0]


def _only_statistics(deaf: list[tuple[str, nn.Module]], model: nn.Module) -> bool:
    """Whether only modules with statistics keep their mode, while the modules around them follow.

    In fine-tuning, the statistics of batch norms are often frozen like this on purpose.
    """
    names = {name for name, _ in deaf}
    return all(
        list(module.buffers(recurse=False)) and name.rpartition(".")[0] not in names
        for name, module in deaf
    )


def copies(bench: Bench) -> Iterator[Finding]:
    """Is a deep copy independent of the model, as an average of weights must be?"""
    guard, model = "copies", bench.model
    remedy = (
        "A hook or a function must not hold a module in its closure: make it a submodule that "
        "`forward` calls, or take it from the hook's arguments."
    )
    bench.found.tidy()
    try:
        copied = copy.deepcopy(model)
    except Exception as error:
        text = f"cannot be copied ({type(error).__name__}: {error})"[:300]
        yield Finding(guard, "", f"{text}: no average of weights can be made.", remedy, "06")
        return
    listener = _Borrowed(bench)
    answer = bench.run(bench.clips, model=copied, listener=listener)[0]
    if listener.borrowed:
        yield Finding(
            guard,
            bench.where(*listener.borrowed),
            "a copy of the model still computes with the weights of the original: averages of "
            "weights, and copies that are trained further, are wrong.",
            remedy,
            "06",
        )
    elif not answer.allclose(bench.run(bench.clips)[0], rtol=SAME, atol=SAME):
        yield Finding(guard, "", "a copy of the model gives other answers.", remedy, "06")


class _Borrowed(Listener):
    """Records which tensors of the original are used when a copy computes."""

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        kept = [t for t, *_ in bench.found.tensors if id(t) in bench.names or t.requires_grad]
        self.original = {t.untyped_storage().data_ptr(): t for t in kept if t.numel()}
        self.borrowed: list[Tensor] = []

    def operands(self, tensors: list[Tensor]) -> None:
        for tensor in tensors:
            if tensor.numel() and tensor.layout is torch.strided:
                owner = self.original.get(tensor.untyped_storage().data_ptr())
                if owner is not None:
                    self.borrowed.append(owner)
