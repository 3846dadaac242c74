"""The results of the guards: a finding, and the report of all findings."""

import textwrap
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        guard: which guard found it.
        where: the module or parameter, by its name in the model, or ``""`` for the whole model.
        message: what is wrong, and why it matters.
        remedy: what to do about it.
        lesson: the number of the lesson about such faults.
    """

    guard: str
    where: str
    message: str
    remedy: str
    lesson: str

    def __str__(self) -> str:
        first = f"{self.guard} · {self.where or 'the model'} · lesson {self.lesson}"
        body = textwrap.fill(self.message, 96), textwrap.fill(f"To do: {self.remedy}", 96)
        return "\n".join([first, *(textwrap.indent(part, "    ") for part in body)])


@dataclass(frozen=True)
class Report:
    """What `check` found.

    Attributes:
        findings: the faults, in the order of the guards.
        notes: what could not be checked.
    """

    findings: tuple[Finding, ...]
    notes: tuple[str, ...] = field(default=())

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def __str__(self) -> str:
        count = len(self.findings)
        first = "No fault found." if self.ok else f"{count} fault{'s' if count > 1 else ''} found."
        notes = [textwrap.fill(f"Note: {note}", 100) for note in self.notes]
        return "\n\n".join([first, *map(str, self.findings), *notes])
