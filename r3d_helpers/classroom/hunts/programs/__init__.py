"""The programs of the hunts."""

from ..parts import Hunt
from . import easy, exams, hard, middle, team

HUNTS: dict[str, Hunt] = {
    hunt.name: hunt for hunt in (team.TEAM, *easy.HUNTS, *middle.HUNTS, *hard.HUNTS, *exams.HUNTS)
}
