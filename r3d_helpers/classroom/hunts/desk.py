"""What a learner sees of a hunt: the program, what the check says, hints, the solution."""

import html
import linecache
import time
from functools import cache
from types import SimpleNamespace
from typing import Any

import ipywidgets
import torch
from IPython import get_ipython
from IPython.display import display

from .. import printed, progress
from .judge import FILE, Verdict, judge
from .parts import Bug, Case, deal
from .programs import HUNTS

STEPS = 3  # hints for each bug
_LEVELS: dict[tuple[str, int, int], int] = {}  # hints given, by name, seed and bug
_TEXTS: dict[tuple[str, int], str] = {}  # the program that was checked last
_FOUND: dict[tuple[str, int], tuple[bool, ...]] = {}  # the result of the last check


@cache
def case(name: str, seed: int = 0) -> Case:
    """The program that a learner with this number gets.

    Raises:
        ValueError: there is no such hunt, or ``seed`` is not an integer.
    """
    if name not in HUNTS:
        raise ValueError(f"there is no hunt {name!r}; there are {', '.join(HUNTS)}")
    if not isinstance(seed, int):
        raise ValueError(f"the seed is your number, such as 7; got {seed!r}")
    return deal(HUNTS[name], seed)


class Program:
    """The program as the learner got it, for reading."""

    def __init__(self, text: str) -> None:
        self.text = text.rstrip()

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        program = f'<div class="highlight"><pre>{html.escape(self.text)}</pre></div>'
        if progress.home() is None:
            return program
        folded = f"<details><summary>The program as you got it</summary>{program}</details>"
        return f"{printed.STYLE}{folded}"


def start(name: str, seed: int = 0, *, again: bool = False) -> None:
    """Give the learner a program; in JupyterLab a new cell below holds a copy to change.

    Args:
        name: of the hunt.
        seed: the learner's number; another number gives other names, sizes and bugs.
        again: create the new cell once more.

    Raises:
        ValueError: there is no such hunt, or ``seed`` is not an integer.
    """
    given = case(name, seed)
    new = again
    with progress.change() as record:
        kept = record.hunts.get(name)
        if kept is None or kept.seed != seed:
            record.hunts[name] = progress.Hunted(seed, len(given.bugs))
            new = True
    T, C, H, W = given.shape
    print(f"{judge(given, given.text)}\nA clip is [T, C, H, W] = [{T}, {C}, {H}, {W}].")
    display(Program(given.text))
    if new and (shell := get_ipython()):
        shell.set_next_input(f"%%hunt {name} {seed}\n{given.text.rstrip()}")
    if progress.home() is None:
        return  # no learner: this is executed for the book
    if new:
        print("The new cell below is your copy. Change it, and run it to check. "
              f"You begin at {time.strftime('%H:%M')}.")  # fmt: skip
    else:
        more = f"seed={seed}, " if seed else ""
        print(f'Your copy is in a cell below. For a fresh one: hunts.start("{name}", '
              f"{more}again=True)")  # fmt: skip


def program(name: str, seed: int = 0) -> SimpleNamespace:
    """What a program defines, in the version that was checked last, for the learner's tests.

    Args:
        name: of the hunt.
        seed: the learner's number.

    Returns:
        Its functions and classes, with ``model``, a new model, and ``video``, ``[B, T, C, H, W]``.

    Raises:
        ValueError: there is no such hunt, or ``seed`` is not an integer.
        Exception: any error of the program itself.
    """
    given = case(name, seed)
    text = _TEXTS.get((name, seed), given.text)
    linecache.cache[FILE] = len(text), None, text.splitlines(True), FILE  # for a traceback
    space: dict[str, Any] = {"__name__": "hunt"}
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        exec(compile(text, FILE, "exec"), space)
        model = given.hunt.make(space[str(given.values["Model"])])
        return SimpleNamespace(**space, model=model, video=torch.rand(2, *given.shape))


def check(text: str, name: str = "", seed: int | str = 0) -> None:
    """Print how many bugs of a program are gone, and count the try."""
    try:
        given = case(name, int(seed))
    except ValueError as error:
        print(f"The first line has to be %%hunt, a name and your number: {error}")
        return
    verdict = judge(given, text)
    print(verdict)
    _TEXTS[name, given.seed] = text
    _FOUND[name, given.seed] = verdict.found
    if verdict.untouched:
        return
    try:
        _count(given, verdict)
    except OSError as error:
        print(f"Your progress could not be saved: {error}")
    if get_ipython() and not verdict.right:
        display(Help(given))


def _count(given: Case, verdict: Verdict) -> None:
    with progress.change() as record:
        kept = record.hunts.get(given.hunt.name)
        if kept is None or kept.seed != given.seed:
            kept = progress.Hunted(given.seed, len(given.bugs))
            record.hunts[given.hunt.name] = kept
        # the last bug does not count as found if something else is broken
        found = sum(verdict.found) - (all(verdict.found) and not verdict.right)
        kept.tries += kept.found < kept.of
        kept.found = max(kept.found, found)
        if not kept.hints:
            kept.alone = kept.found


class Help(ipywidgets.VBox):
    """Two buttons: a hint, and the solution.

    Attributes:
        hint, solution: the buttons.
        text: what they show.
    """

    def __init__(self, given: Case) -> None:
        self.given = given
        self.hint = ipywidgets.Button(description="Show a hint")
        self.solution = ipywidgets.Button(description="Show the solution")
        self.text = ipywidgets.HTML()
        self.hint.on_click(lambda _: self._say(_next_hint(given)))
        self.solution.on_click(lambda _: self._say(_solved(given)))
        about = ipywidgets.HTML("Bugs that you find after the first hint are counted separately.")
        buttons = ipywidgets.HBox([self.hint, self.solution], layout={"flex_flow": "row wrap"})
        super().__init__([buttons, about, self.text])

    def _say(self, markdown: str) -> None:
        from nbconvert.filters import markdown2html  # slow to import, and rarely needed

        self.text.value = f'<div role="status">{markdown2html(markdown)}</div>'


def hint(name: str, seed: int = 0) -> None:
    """Print the next hint, for frontends without buttons."""
    print(_next_hint(case(name, seed)))


def solution(name: str, seed: int = 0) -> None:
    """Print what was wrong, and how it should be."""
    print(_solved(case(name, seed)))


def _next_hint(given: Case) -> str:
    key = given.hunt.name, given.seed
    found = _FOUND.get(key, (False,) * len(given.bugs))
    if all(found):
        return "All are found. If the check still complains, undo your last change."
    number = found.index(False)
    step = _LEVELS[*key, number] = min(STEPS, _LEVELS.get((*key, number), 0) + 1)
    _helped(given)
    return f"**Hint {step} of {STEPS}** for the next bug: {steps(given.bugs[number])[step - 1]}"


def _solved(given: Case) -> str:
    _helped(given)
    return answer(given)


def _helped(given: Case) -> None:
    with progress.change() as record:
        kept = record.hunts.setdefault(
            given.hunt.name, progress.Hunted(given.seed, len(given.bugs))
        )
        kept.hints += 1


def steps(bug: Bug) -> tuple[str, str, str]:
    """The three hints for a bug as Markdown: what to measure, where to look, what to write."""
    return bug.look, _where(bug), change(bug)


def change(bug: Bug) -> str:
    """What to write instead of the bug, as Markdown."""
    places = [
        f"Write\n\n{_code(sound)}\n\nin place of\n\n{_code(broken)}" for sound, broken in bug.places
    ]
    return "\n\n".join(places)


def answer(given: Case) -> str:
    """The solution as Markdown."""
    return "\n\n".join(f"**{i}.** {bug.why} {change(bug)}" for i, bug in enumerate(given.bugs, 1))


def folded(given: Case) -> str:
    """Hints and solution as Markdown, for readers without a kernel."""
    hints = "\n".join(f"{i}. {bug.look} {_where(bug)}" for i, bug in enumerate(given.bugs, 1))
    parts = (("Hints", hints), ("Solution", answer(given)))
    return "\n\n".join(
        f"<details><summary>{name}</summary>\n\n{text}\n\n</details>" for name, text in parts
    )


def _where(bug: Bug) -> str:
    return f"Look at {bug.where}" + "." * (not bug.where.endswith("?"))


def _code(text: str) -> str:
    return f"```python\n{text.strip(chr(10))}\n```"
