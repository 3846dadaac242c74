"""Check a learner's program against the program as the learner got it."""

import contextlib
import io
import traceback
import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from . import probes
from .parts import Bug, Case
from .probes import Complaint, Complaints

FILE = "<your program>"
UNKNOWN = Complaint("it cannot be checked.")


@dataclass(frozen=True)
class Verdict:
    """The result of checking a program.

    Attributes:
        found: for each bug of the case whether it is gone.
        stops: why the program does not run; empty if it does.
        reasons: what is still wrong where the learner changed it, or was right before.
        untouched: whether it is the program as the learner got it.
    """

    found: tuple[bool, ...]
    stops: str = ""
    reasons: tuple[str, ...] = ()
    untouched: bool = False

    @property
    def right(self) -> bool:
        """Nothing is left to do."""
        return all(self.found) and not self.reasons and not self.stops

    def __str__(self) -> str:
        count, of = sum(self.found), len(self.found)
        if self.right:
            return f"Right: {count} of {of} found, and nothing else is broken."
        first = f"{count} of {of} found."
        if self.untouched:
            runs = "stops" if self.stops else "runs and trains"
            ways = "one way" if of == 1 else f"{of} ways"
            first += f" This is the program as you got it. It {runs}, and is wrong in {ways}."
        stops = ""
        if self.stops:
            stops = f"It stops {self.stops}"
            if not self.untouched:
                stops += "\nWhile it stops, bugs that cannot be looked at count as not found."
        reasons = [f"Not right yet: {reason}" for reason in self.reasons]
        return "\n".join(filter(None, [first, stops, *reasons]))


def judge(case: Case, text: str) -> Verdict:
    """Run a learner's program and say how many of the bugs are gone."""
    now = complaints(case, text)
    stops = " ".join(complaint.said for complaint in now.pop("stops"))
    found = tuple(_gone(case, bug, now[bug.family]) for bug in case.bugs)
    untouched = _bare(text) == _bare(case.text)
    if stops or untouched:
        return Verdict(found, stops, untouched=untouched)
    known = {UNKNOWN}
    if not all(found):  # leave out complaints that the bugs cause, together or alone
        now["learns"] = []  # the bugs may be the reason
        programs = [case.text, *(case.broken(bug) for bug in case.bugs)]
        known |= {c for program in programs for c in _all(complaints(case, program))}
    for bug, gone in zip(case.bugs, found, strict=True):
        if not gone and not all(broken in text for _, broken in bug.places):
            known -= set(now[bug.family])  # the learner has tried to fix it: say what is wrong
    return Verdict(found, "", tuple(dict.fromkeys(c.said for c in _all(now) if c not in known)))


def _gone(case: Case, bug: Bug, now: list[Complaint]) -> bool:
    """Whether a bug is gone: all complaints of its family come from the other bugs."""
    if not now or UNKNOWN in now:
        return not now
    others = [complaints(case, case.broken(other)) for other in case.bugs if other is not bug]
    return all(any(one in other[bug.family] for other in others) for one in now)


def _all(found: Complaints) -> list[Complaint]:
    return [complaint for family in found.values() for complaint in family]


def complaints(case: Case, text: str) -> Complaints:
    """What a program does wrong, by family; ``stops`` is why it does not run."""
    key = (case.hunt.name, case.seed, _bare(text))
    if key not in _ASKED:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(action="ignore"),
            torch.random.fork_rng([]),
        ):
            _ASKED[key] = _ask(case, text)
    return dict(_ASKED[key])


_ASKED: dict[tuple[str, int, str], Complaints] = {}


def _ask(case: Case, text: str) -> Complaints:
    torch.manual_seed(0)
    space: dict[str, Any] = {"__name__": "hunt"}
    families = {bug.family: [UNKNOWN] for bug in case.bugs}
    name = case.values["Model"]
    try:
        exec(compile(text, FILE, "exec"), space)
        for function in case.functions:
            if not callable(space.get(function)):
                raise NameError(f"the program no longer has a function `{function}`")
        if not isinstance(space.get(name), type):
            raise NameError(f"the program no longer has a class `{name}`")
    except Exception as error:
        return {**families, "stops": [Complaint(_where(error, text))]}
    found = {**{family: [] for family in families}, "stops": [], **_functions(space)}
    try:
        made = case.hunt.make(space[name])
        if not isinstance(made, nn.Module):
            raise TypeError(f"`{name}` is no longer an nn.Module")
    except Exception as error:
        of_model = {f: [UNKNOWN] for f in ("builds", *probes.OF_THE_MODEL)}
        return {**found, **of_model, "stops": [Complaint(_where(error, text))]}
    try:
        for training in (True, False):
            made.train(training)(torch.rand(2, *case.shape))
    except Exception as error:
        of_model = {f: [UNKNOWN] for f in probes.OF_THE_MODEL}
        return {**found, **of_model, "stops": [Complaint(_where(error, text))]}
    for family, said in probes.model(made.train(), case.shape, _weights(case)).items():
        found[family] = found.get(family, []) + said
    if found["answer"]:
        found |= {f: found[f] or [UNKNOWN] for f in probes.OF_THE_MODEL}
        return found
    try:
        found |= probes.learns(made, space.get("train"), case.shape)
    except Exception as error:
        found["stops"] = [Complaint(_where(error, text))]
    return found


def _functions(space: dict[str, Any]) -> Complaints:
    found = {}
    if "pick" in space:
        found |= probes.frames(space["pick"])
    if "split" in space:
        found |= probes.people(space["split"])
    try:
        found |= probes.modes(space)
    except Exception as error:
        said = f"training or evaluating raises {type(error).__name__}: {error}."
        found |= {"mode": [Complaint(said)]}
    return found


def _weights(case: Case) -> int:
    """The number of weights of the right model (in the hunt ``team``, without its LSTM)."""
    space: dict[str, Any] = {"__name__": "hunt"}
    exec(compile(case.sound, FILE, "exec"), space)
    made = case.hunt.make(space[case.values["Model"]])
    return sum(parameter.numel() for parameter in made.parameters())


def _where(error: Exception, text: str) -> str:
    """The last line of the program in an error's traceback, and the error's message."""
    words = error.msg if isinstance(error, SyntaxError) else str(error)  # without its own line
    said = f"{type(error).__name__}: {(words.splitlines() or [''])[0]}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__)
             if frame.filename == FILE]  # fmt: skip
    number = error.lineno if isinstance(error, SyntaxError) else lines[-1] if lines else None
    if not number:
        return f"with {said}"
    # plus one, because in the learner's cell the line with %%hunt comes first
    return f"in line {number + 1}, `{text.splitlines()[number - 1].strip()}`:\n  {said}"


def _bare(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.strip().splitlines())
