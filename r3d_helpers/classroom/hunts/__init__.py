"""Hunts: programs that run and train but have bugs, for learners to find and fix.

`start` gives the learner a program in a cell that starts with ``%%hunt``. Running the changed cell
prints how many of its bugs are gone. The programs are in ``programs/``.
"""

from IPython import get_ipython

from .desk import answer, case, check, folded, hint, program, solution, start

__all__ = ["answer", "case", "check", "folded", "hint", "program", "solution", "start"]

if shell := get_ipython():
    shell.register_magic_function(lambda line, cell: check(cell, *line.split()), "cell", "hunt")
