"""A button that shows the solution of an exercise."""

import ipywidgets

from . import progress


class Reveal(ipywidgets.VBox):
    """A button that shows a solution, and hides it again.

    Args:
        check: the name of the exercise's check.
        solution: HTML.

    Attributes:
        button: to press.
        text: empty, or the solution.
    """

    def __init__(self, check: str, solution: str) -> None:
        self.check, self.solution = check, solution
        self.button = ipywidgets.Button(description="Show the solution")
        self.button.layout.width = "12em"
        self.text = ipywidgets.HTML()
        self.button.on_click(self._turn)
        super().__init__([self.button, self.text])

    def _turn(self, _: ipywidgets.Button) -> None:
        if self.text.value:
            self.text.value, self.button.description = "", "Show the solution"
            return
        self.text.value = f'<div role="status">{self.solution}</div>'
        self.button.description = "Hide the solution"
        with progress.change() as record:
            tried = record.exercises.setdefault(self.check, progress.Tried())
            tried.looked |= not tried.solved


def offer(check: str) -> None:
    """Show the button in a learner's copy; elsewhere the solution is folded below the exercise."""
    if solution := progress.solution(check):
        from IPython.display import display

        display(Reveal(check, solution))
