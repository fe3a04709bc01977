"""HOW WELL it generalises: fold assignment, training of one fold, all folds, out-of-fold tables."""
