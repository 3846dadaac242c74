"""A worker of lesson 10: joins a study by its URL and tries settings until the budget is used up.

``python -m r3d_helpers.classroom.worker URL DATA BUDGET [DIES_IN]``, once for each process.
"""

import os
import sys
import time
from pathlib import Path

import optuna
import torch
from torch import nn

from ..metrics import score
from ..studies import tuning

NAME, TOGETHER = "colours", 2  # name of the study; number of workers that start together


def objective(trial: optuna.Trial, data: Path) -> float:
    """Train a linear classifier with the settings of a trial; the best UAR of its epochs."""
    train, labels, choose, right = torch.load(data)
    lr = trial.suggest_float("lr", 1e-6, 1.0, log=True)
    decay = trial.suggest_float("weight_decay", 1e-4, 1.0, log=True)
    torch.manual_seed(0)
    linear = nn.Linear(train.shape[1], 7)
    adam = torch.optim.AdamW(linear.parameters(), lr=lr, weight_decay=decay)
    best = 0.0
    for epoch in range(1, 11):
        for batch in torch.randperm(len(train)).split(64):
            adam.zero_grad()
            nn.functional.cross_entropy(linear(train[batch]), labels[batch]).backward()
            adam.step()
        uar = score(linear(choose).detach(), right).uar
        best = max(best, uar)
        trial.report(uar, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return best


def work(url: str, data: Path, budget: int, dies_in: int | None = None) -> None:
    """Try settings until all workers together have finished ``budget`` trials of the study.

    Args:
        url: of the study's database, all that the workers share.
        data: a file of the lesson: features and labels for training and validation.
        budget: trials of all workers.
        dies_in: the number of its own trial in which this worker stops, like in a power failure.
    """
    torch.set_num_threads(1)
    study = tuning.open_study(url, NAME)
    study.set_user_attr(str(os.getpid()), "is here")
    while len(study.user_attrs) < TOGETHER:  # wait until all workers are ready
        time.sleep(0.05)
    begun = 0

    def one(trial: optuna.Trial) -> float:
        nonlocal begun
        begun += 1
        trial.set_user_attr("worker", os.getpid())
        if begun == dies_in:
            os._exit(1)
        return objective(trial, data)

    while len(study.get_trials(states=tuning.FINISHED)) < budget:
        study.optimize(one, n_trials=1)


if __name__ == "__main__":
    where, saved, *numbers = sys.argv[1:]
    work(where, Path(saved), *map(int, numbers))
