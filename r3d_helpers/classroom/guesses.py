"""Guesses: a learner answers a question before seeing the answer, and gets a reply to the guess.

A lesson writes a question with lettered options. Below it `ask` shows a button for each; after the
cells that answer it, `reply` tells for the chosen option why it is right or wrong.
"""

import html

import ipywidgets

from . import course, printed, progress
from .course import Guess

NONE = "No guess yet"


class Ask(ipywidgets.VBox):
    """A button for each option; the last one pressed before the answer is stored.

    Args:
        guess: the question.

    Attributes:
        buttons: ``value`` is the letter, or ``None``.
        text: the stored guess, in words.
    """

    def __init__(self, guess: Guess) -> None:
        self.guess = guess
        kept = progress.load().guesses.get(guess.name)
        self.buttons = ipywidgets.ToggleButtons(
            options=list(guess.replies),
            value=kept.option if kept and kept.option in guess.replies else None,
            description="Your guess",
            style={"button_width": "3.5em", "description_width": "initial"},
        )
        self.text = ipywidgets.HTML()
        self._show(kept)
        self.buttons.observe(self._keep, names="value")
        style = ipywidgets.HTML(printed.STYLE, layout={"display": "none"})
        super().__init__([self.buttons, self.text, style])

    def __repr__(self) -> str:
        letters = list(self.guess.replies)
        return f"Your guess: {', '.join(letters[:-1])} or {letters[-1]}"

    def _keep(self, change: dict) -> None:
        try:
            with progress.change() as record:
                kept = record.guesses.get(self.guess.name)
                if kept is None or not kept.answered:
                    kept = progress.Guessed(change["new"])
                    record.guesses[self.guess.name] = kept
        except OSError as error:
            self._say(f"Your guess could not be saved: {error}")
        else:
            self._show(kept)

    def _show(self, kept: progress.Guessed | None) -> None:
        if kept is None:
            self._say(f"{NONE}: press a letter, then go on.")
        elif kept.answered:
            self.buttons.value, self.buttons.disabled = kept.option, True
            self._say(f"You said {kept.option}, and the answer has been shown since.")
        else:
            self._say(f"Kept: {kept.option}. You may change it until the answer is shown.")

    def _say(self, words: str) -> None:
        self.text.value = f'<div role="status">{html.escape(words)}</div>'


def ask(name: str) -> Ask:
    """Show the buttons of a guess.

    Raises:
        KeyError: no guess has this name.
    """
    return Ask(course.guess(name))


def reply(name: str) -> None:
    """Reply to the stored guess; without one there is no reply.

    Raises:
        KeyError: no guess has this name.
    """
    guess = course.guess(name)
    with progress.change() as record:
        if kept := record.guesses.get(name):
            kept.answered = True
    if kept is None:
        print(f"{NONE}, so there is no reply: choose above, then run this cell again.")
    else:
        right = "and that is right" if kept.option == guess.right else "but it is not so"
        print(f"You said {kept.option}, {right}: {guess.replies[kept.option]}")


def folded(guess: Guess) -> str:
    """The answer as Markdown, folded, for readers without a kernel."""
    lines = [f"- **{letter}**{', right' * (letter == guess.right)}: {said}"
             for letter, said in guess.replies.items()]  # fmt: skip
    return "\n".join(["<details><summary>Answer</summary>", "", *lines, "", "</details>"])
