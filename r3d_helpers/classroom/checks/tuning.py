"""Lesson 10: Tuning."""

import torch

from .grading import Wrong, check, grade, run_answer


@check
def honest(answer: object) -> str:
    """``answer(val [N, S], test [N, S])``: the mean test score of the settings validation chose."""
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        val, test = torch.rand(2, 6, 4, generator=generator)
        result = run_answer(answer, val, test)
        try:
            result = float(result)
        except (TypeError, ValueError):
            raise Wrong(f"expected one number, got {result!r:.60}.") from None
        chosen = val.argmax(0, keepdim=True)
        right = test.gather(0, chosen).mean().item()
        others = {
            val.amax(0).mean().item(): "this is the validation score of the winners: chosen for "
            "being high, so too high.",
            test.amax(0).mean().item(): "this takes the best test score of each split: the test "
            "people were used to choose.",
            test.mean(1).max().item(): "this takes the setting that is best on the test people.",
            test[val.mean(1).argmax()].mean().item(): "this chooses one setting for all splits, "
            "by an average in which each split's test people were validated on elsewhere. Choose "
            "for each split by its own validation people.",
            test.mean().item(): "this is the mean over all settings, without a choice.",
            test[val.argmax(0)].mean().item(): "`test[chosen]` takes whole rows: each winner, on "
            "every split. Each split should read its own column only.",
            val.gather(0, test.argmax(0, keepdim=True)).mean().item(): "the two are swapped: "
            "choose by validation, read from test.",
        }
        if abs(result - right) < 1e-5:
            continue
        for value, reason in others.items():
            if abs(result - value) < 1e-5:
                raise Wrong(reason)
        raise Wrong(
            f"expected {right:.4f} for the example with seed {seed}, got {result:.4f}. For each "
            "split (column): which setting (row) is best in `val`, and what is its score in `test`?"
        )
    return "each split chooses by its own validation people and is scored on its test people."


@check
def quiz_tuning(answer: object) -> str:
    """Validation 0.93 for the best of fifty trials, 0.86 on the test people: what is the cause?"""
    reasons = {
        "a": "overfitting of the weights would show in each trial, between training and validation "
        "people; the difference between validation and test is a second effect.",
        "b": "then half of all searches would end with a test score that is higher.",
        "c": "the highest of fifty scores is high because it is good, and because it was lucky; "
        "its luck does not carry over to other people.",
        "d": "pruning stops bad trials and does not change the others.",
        "e": "more trials make it worse: the highest of five hundred scores has even more luck.",
        "f": "if the test people had been seen, the score on them would be too high.",
    }
    return grade(answer, "c", reasons)
