"""WHICH settings: studies over the same folds."""
