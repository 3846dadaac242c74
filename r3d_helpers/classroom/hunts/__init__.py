"""Hunts: programs that run, train and are wrong, and nobody says where.

`start` hands out a program; the learner changes it in a cell that begins with ``%%hunt`` and runs
it; the answer says how many of its bugs are gone. The programs are in ``programs/``.
"""

from IPython import get_ipython

from .desk import answer, case, check, folded, hint, program, solution, start

__all__ = ["answer", "case", "check", "folded", "hint", "program", "solution", "start"]

if shell := get_ipython():
    shell.register_magic_function(lambda line, cell: check(cell, *line.split()), "cell", "hunt")
