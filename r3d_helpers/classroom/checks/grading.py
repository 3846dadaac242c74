"""How a check takes an answer apart, and what it prints.

Every check takes an answer and prints one paragraph: "Right", "Not attempted" where the stub is
untouched, or "Not yet" and why. None of them raises, so that Run All goes on. In a learner's copy
every answer counts for the progress, and a button below it offers the solution.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from .. import progress, reveal

# What a learner's own code may die of, and what that means.
_REASONS = {
    "is not equal to len(dims)": "The tensor has another number of axes than the order you ask "
    "for: this is the bug of lesson 01. Split the merged axis first, then permute.",
    "has no attribute 'out_channels'": "This is the bug of lesson 02: the name belongs to a "
    "convolution, and what you hold only contains one. Print it and see where.",
    "has no attribute 'bn2'": "This is the bug of lesson 02: the 2-D block has that name, the "
    "video block does not. Print it.",
    "channels, but got": "A convolution read another axis as channels, or was built for another "
    "width.",
    "is invalid for input of size": "The sizes you ask for do not multiply to the numbers there "
    "are. Did a letter come from an earlier cell? Read the sizes off the input.",
    "must be equal to input_size": "A recurrent layer takes the last axis for features; something "
    "else stands there. Move the axis.",
    "Dimension out of range": "There are fewer axes than you count: print the shape. (A network's "
    "own forward may flatten at the end.)",
    "must match the size of tensor": "Two tensors meet whose shapes do not fit; print both.",
    "Sizes of tensors must match": "Two tensors meet whose shapes do not fit; print both.",
}


class Wrong(Exception):
    """An answer that is not right yet; the message says why."""


class Untouched(Exception):
    """The stub as the lesson ships it."""


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
        except Exception as error:  # an answer that nobody has thought of
            print(f"Not yet: the answer cannot be examined, {type(error).__name__}: {error}")
            _count(judge.__name__)
        reveal.offer(judge.__name__)

    return wrapper


def _count(name: str, right: bool = False) -> None:
    """Note a try, up to the first right one."""
    try:
        with progress.change() as record:
            tried = record.exercises.setdefault(name, progress.Tried())
            tried.tries += not tried.solved
            tried.solved |= right
    except OSError as error:
        print(f"Your progress could not be kept: {error}")


def run_answer(function: Any, *arguments: object) -> Any:  # noqa: ANN401 (a learner's)
    """Call a learner's code; whatever it dies of becomes a reason."""
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
    """Insist on the mended program, with the parts that it had."""
    if isinstance(answer, type):
        answer = answer()
    missing = [name for name in names if not hasattr(answer, name)]
    if not isinstance(answer, nn.Module) or missing:
        raise Wrong(f"pass the mended model; it should still have {', '.join(names)}.")
    return answer


def expect_tensor(result: object, shape: Mapping[str, int], **others: int) -> Tensor:
    """Insist on a tensor of this shape; ``others`` are axes that should be gone."""
    wanted = f"[{', '.join(shape)}] = {list(shape.values())}"
    if not isinstance(result, Tensor):
        raise Wrong(f"expected a tensor {wanted}, got a {type(result).__name__}.")
    if list(result.shape) != list(shape.values()):
        letters = {size: letter for letter, size in {**others, **shape}.items() if size > 1}
        seen = [letters.get(size, "?") for size in result.shape]
        looks = "" if "?" in seen else f", which looks like [{', '.join(seen)}]"
        got = f"{list(result.shape)}{looks}"
        raise Wrong(f"expected {wanted}, got {got}. Name your axes one by one.")
    return result


def grade(answer: object, right: str, reasons: Mapping[str, str]) -> str:
    """Mark one letter; ``reasons`` says of every letter why it is right or wrong."""
    letter = answer.strip(" ).").lower() if isinstance(answer, str) else answer
    if letter not in reasons:
        raise Wrong(f"answer with one letter in quotes, {', '.join(reasons)}; got {answer!r}.")
    if letter != right:
        raise Wrong(reasons[letter])
    return reasons[letter]
