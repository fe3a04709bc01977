"""What ends a trial that lags behind, asked after each fold; imported only where a study is opened, because Optuna is."""

from __future__ import annotations

import copy

import optuna

# Complete trials before the first may be pruned: the default recipe is one of them, so the mean of two is a fair bar already.
# Optuna's five are almost half of a search of twelve.
BEFORE_PRUNING = 2


class MedianPruner(optuna.pruners.MedianPruner):
    """Ends a trial whose running mean is worse than the median of the complete trials after as many folds.

    Optuna's own compares the best of all that the trial has reported (5.0, `_percentile.py`): after an easy first fold no running
    mean could be worse than that, and the trial would run over all folds.
    """

    def prune(self, study: optuna.Study, trial: optuna.trial.FrozenTrial) -> bool:
        """Return whether the trial is to end, by what it reported last."""
        step = trial.last_step
        if step is None:
            return False
        now = copy.copy(trial)
        now.intermediate_values = {step: trial.intermediate_values[step]}
        return super().prune(study, now)


def pruner_of(name: str) -> optuna.pruners.BasePruner:
    """Return the pruner of a name: `median` or `asha`.

    The median judges from the first fold on: its rows are the same for all trials, so what makes a fold hard cancels out.
    """
    if name == "asha":
        return optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=2, min_early_stopping_rate=0)
    return MedianPruner(n_startup_trials=BEFORE_PRUNING, n_warmup_steps=0, interval_steps=1)
