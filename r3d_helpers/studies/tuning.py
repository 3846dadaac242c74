"""A search for better settings that never sees the test people.

For each split of the people an Optuna study trains settings on the training people and compares
them on the validation people. Then the best settings and the default ones are trained again and
scored on the test people, because a score that was chosen for being high is too high.
"""

import os
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import optuna
from filelock import FileLock
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.pool import NullPool

from .. import datasets
from .recipe import Recipe, score_views, train
from .sweep import command_of, sweep

optuna.logging.set_verbosity(optuna.logging.WARNING)

SPACE = {
    "lr": FloatDistribution(1e-4, 3e-3, log=True),
    "weight_decay": FloatDistribution(1e-3, 0.3, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "warmup": FloatDistribution(0.0, 0.3),
    "se": CategoricalDistribution(("none", "output", "residual")),
    "se_init": CategoricalDistribution(("default", "identity")),
}
DEFAULT = {name: getattr(Recipe, name) for name in SPACE}
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


def tuning(
    root: str | os.PathLike,
    path: str | os.PathLike,
    *,
    work: str | os.PathLike = "runs",
    seeds: int = 3,
    trials: int = 12,
    epochs: int = 4,
    clip_len: int = Recipe.clip_len,
    size: int = Recipe.size,
) -> list[dict[str, str]]:
    """Tune for each split of the people, and compare with the default settings.

    The trials are written to a second file beside ``path``, whose name ends in ``-trials``; the
    studies themselves are in a database below ``work``.

    Args:
        root: samples as `datasets.ravdess` reads them.
        path: the result file.
        work: folder for the runs in progress, 1 GB, and the studies.
        seeds: splits of the people, each with a study of its own.
        trials: settings tried in each study; the first are `DEFAULT`.
        epochs: of training, in each run.
        clip_len: frames, ``T``.
        size: pixels, ``H`` = ``W``.

    Returns:
        Two rows per split, with ``settings`` ``default`` or ``tuned``: ``trial_uar``, the
        validation score in the study; the result of `score_views` after training from another
        start; and the settings.

    Raises:
        ValueError: ``path`` or the file of the trials holds the results of another command, or
            there is nothing to run.
    """
    clips = datasets.ravdess(root)
    path, work = Path(path), Path(work)
    base = Recipe(epochs=epochs, clip_len=clip_len, size=size)
    command = command_of(
        "tuning", seeds=seeds, trials=trials, epochs=epochs, clip_len=clip_len, size=size
    )

    opened = cache(open_study)

    def one_trial(setting: Mapping, folder: Path) -> dict[str, float | str]:
        seed, number = setting["seed"], setting["trial"]
        with FileLock(folder.with_name("study.lock")):
            study = opened(folder.with_name("study.db"), f"split {seed}")
            trial = _begin(study, seed, number)
        if isinstance(trial, Trial):
            recipe = replace(base, seed=seed, **trial.params)
            trial = _tell(study, trial, partial(train, recipe, clips, folder))
        return {
            "state": trial.state.name.lower(),
            "uar": max(trial.intermediate_values.values()),
            **trial.params,
            "curve": " ".join(f"{uar:.4g}" for uar in trial.intermediate_values.values()),
        }

    def one_winner(setting: Mapping, folder: Path) -> dict[str, float | str]:
        seed = setting["seed"]
        own = [row for row in tried if row["seed"] == str(seed)]
        row = own[0] if setting["settings"] == "default" else max(own, key=_uar)
        recipe = replace(base, seed=seed, start=1000 + seed, **settings_of(row))
        noted = score_views(*train(recipe, clips, folder))
        return {"trial_uar": _uar(row), **noted, **settings_of(row)}

    grid = [{"seed": seed, "trial": n} for n in range(trials) for seed in range(seeds)]
    tried = sweep(
        path.with_stem(f"{path.stem}-trials"), grid, one_trial, command=command, work=work
    )
    grid = [{"settings": s, "seed": n} for n in range(seeds) for s in ("default", "tuned")]
    return sweep(path, grid, one_winner, command=command, work=work)


def open_study(storage: str | Path | None, name: str) -> optuna.Study:
    """Open or create a study that maximises the validation UAR.

    From the fifth trial and the second epoch on, a trial is pruned (stopped early) if its best UAR
    is below the median of the earlier trials at the same epoch.

    Args:
        storage: the path of an SQLite file, which several processes can share; or the URL of a
            database, such as ``sqlite:///runs/tuning.db`` or that of a server, which several
            machines can share; None keeps the study in memory.
        name: of the study in that database.
    """
    if isinstance(storage, Path):  # in a URL, characters such as ? and % would mean something
        connect = {"creator": partial(sqlite3.connect, storage), "poolclass": NullPool}
        # pyrefly: ignore[bad-assignment]
        storage = optuna.storages.RDBStorage("sqlite://", engine_kwargs=connect)
    return optuna.create_study(
        storage=storage,
        study_name=name,
        direction="maximize",
        pruner=optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2),
        load_if_exists=True,
    )


def study_of(rows: Sequence[Mapping[str, str]]) -> optuna.Study:
    """Rebuild a study, in memory, from the rows of a ``-trials`` file."""
    study = open_study(None, "from a file")
    for row in rows:
        curve = [float(uar) for uar in row["curve"].split()]
        study.add_trial(
            optuna.trial.create_trial(
                state=TrialState[row["state"].upper()],
                value=_uar(row) if row["state"] == "complete" else curve[-1],
                params=settings_of(row),
                distributions=SPACE,
                intermediate_values=dict(enumerate(curve, start=1)),
            )
        )
    return study


def settings_of(row: Mapping[str, str]) -> dict[str, float | str]:
    """The settings in a row of either result file."""
    return {
        name: row[name] if isinstance(kind, CategoricalDistribution) else float(row[name])
        for name, kind in SPACE.items()
    }


def _begin(study: optuna.Study, seed: int, number: int) -> Trial | FrozenTrial:
    """The trial with this ``number``: a new one, one that was stopped, or a finished one."""
    for trial in study.get_trials():
        if trial.user_attrs.get("number") == number:
            # Its process has ended, because otherwise it would hold the lock of this run.
            return trial if trial.state in FINISHED else Trial(study, trial._trial_id)
    if number == 0:
        study.enqueue_trial(DEFAULT, skip_if_exists=True)
    # With one seed for all trials, each interruption would draw the same settings again.
    study.sampler = optuna.samplers.TPESampler(seed=1000 * seed + number, n_startup_trials=6)
    trial = study.ask(SPACE)
    trial.set_user_attr("number", number)
    return trial


def _tell(study: optuna.Study, trial: Trial, run: Callable[..., object]) -> FrozenTrial:
    """Run a trial to its end, or until it is pruned, and store the result."""
    reported = study.trials[trial.number].intermediate_values

    def report(record: dict) -> None:
        if record["epoch"] not in reported:  # before an interruption
            trial.report(record["val_uar"], record["epoch"])
        if trial.should_prune():
            raise optuna.TrialPruned

    try:
        run(after_epoch=report)
    except optuna.TrialPruned:
        return study.tell(trial, state=TrialState.PRUNED)
    return study.tell(trial, max(study.trials[trial.number].intermediate_values.values()))


def _uar(row: Mapping[str, str]) -> float:
    return float(row["uar"])
