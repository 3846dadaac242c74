"""The parts that all checks share.

Every check takes an answer and prints one paragraph: "Right", "Not attempted" if the stub is
unchanged, or "Not yet" and why. No check raises, so that Run All continues. In a learner's copy
every try is counted in the progress, and a button below it shows the solution.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from .. import progress, reveal

# Parts of error messages that learners' code often raises, and what they mean.
_REASONS = {
    "is not equal to len(dims)": "The tensor has another number of axes than the order you ask "
    "for: this is the bug of lesson 01. Split the merged axis first, then permute.",
    "has no attribute 'out_channels'": "This is the bug of lesson 02: the name belongs to a "
    "convolution, and your object only contains one. Print it and see where.",
    "has no attribute 'bn2'": "This is the bug of lesson 02: the 2-D block has that name, the "
    "video block does not. Print it.",
    "channels, but got": "A convolution read another axis as channels, or was built for another "
    "width.",
    "is invalid for input of size": "The product of the sizes is not the number of values. Did a "
    "letter come from an earlier cell? Take the sizes from the input.",
    "must be equal to input_size": "A recurrent layer takes the last axis for features; here it "
    "is another axis. Move the axis.",
    "Dimension out of range": "There are fewer axes than you count: print the shape. (A network's "
    "own forward may flatten at the end.)",
    "must match the size of tensor": "The shapes of two tensors do not fit; print both.",
    "Sizes of tensors must match": "The shapes of two tensors do not fit; print both.",
}


class Wrong(Exception):
    """An answer that is not right yet; the message says why."""


class Untouched(Exception):
    """The answer is the unchanged stub of the lesson."""


def check(judge: Callable[[object], str]) -> Callable[[object], None]:
    """Print what ``judge`` returns (praise) or raises (a reason)."""

    @functools.wraps(judge)
    def wrapper(answer: object) -> None:
        try:
            if answer is ...:
                raise Untouched
            print("Right:", judge(answer))
            _count(judge.__name__, right=True)
        except Untouched:
            print("Not attempted: put your answer in place of the three dots and run this again.")
            return
        except Wrong as wrong:
            print("Not yet:", wrong)
            _count(judge.__name__)
        except Exception as error:  # an answer that no check expects
            print(f"Not yet: the answer cannot be checked, {type(error).__name__}: {error}")
            _count(judge.__name__)
        reveal.offer(judge.__name__)

    return wrapper


def _count(name: str, right: bool = False) -> None:
    """Count a try, up to the first right one."""
    try:
        with progress.change() as record:
            tried = record.exercises.setdefault(name, progress.Tried())
            tried.tries += not tried.solved
            tried.solved |= right
    except OSError as error:
        print(f"Your progress could not be saved: {error}")


def run_answer(function: Any, *arguments: object) -> Any:  # noqa: ANN401 (a learner's)
    """Call a learner's code; an error in it becomes a reason.

    Raises:
        Wrong: it cannot be called, raises an error, or returns None.
        Untouched: it returns the three dots of the stub.
    """
    if not callable(function):
        raise Wrong(f"a {type(function).__name__} cannot be called; pass what you defined above.")
    try:
        result = function(*arguments)
    except Exception as error:
        first = (str(error).splitlines() or [""])[0].rstrip(".")
        why = next((text for key, text in _REASONS.items() if key in str(error)), "")
        raise Wrong(f"your code raised {type(error).__name__}: {first}. {why}".strip()) from error
    if result is ...:
        raise Untouched
    if result is None:
        raise Wrong("your code gave None; is a `return` missing?")
    return result


def expect_module(answer: object, *names: str) -> nn.Module:
    """Return the fixed model, which must still have the parts ``names``.

    Raises:
        Wrong: it is no module, or a part is missing.
    """
    if isinstance(answer, type):
        answer = answer()
    missing = [name for name in names if not hasattr(answer, name)]
    if not isinstance(answer, nn.Module) or missing:
        raise Wrong(f"pass the fixed model; it should still have {', '.join(names)}.")
    return answer


def expect_tensor(result: object, shape: Mapping[str, int], **others: int) -> Tensor:
    """Return a tensor that must have this shape; ``others`` are sizes of axes to be removed.

    Raises:
        Wrong: it is no tensor, or has another shape.
    """
    wanted = f"[{', '.join(shape)}] = {list(shape.values())}"
    if not isinstance(result, Tensor):
        raise Wrong(f"expected a tensor {wanted}, got a {type(result).__name__}.")
    if list(result.shape) != list(shape.values()):
        letters = {size: letter for letter, size in {**others, **shape}.items() if size > 1}
        seen = [letters.get(size, "?") for size in result.shape]
        looks = "" if "?" in seen else f", which looks like [{', '.join(seen)}]"
        got = f"{list(result.shape)}{looks}" if result.ndim else "a single number"
        raise Wrong(f"expected {wanted}, got {got}. Name your axes one by one.")
    return result


def grade(answer: object, right: str, reasons: Mapping[str, str]) -> str:
    """Grade one letter; ``reasons`` tells for every letter why it is right or wrong.

    Raises:
        Wrong: it is a wrong letter, or no letter.
    """
    letter = answer.strip(" ).").lower() if isinstance(answer, str) else answer
    if letter not in reasons:
        raise Wrong(f"answer with one letter in quotes, {', '.join(reasons)}; got {answer!r}.")
    if letter != right:
        raise Wrong(reasons[letter])
    return reasons[letter]
