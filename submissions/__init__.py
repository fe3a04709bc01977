"""WHAT is handed in: plan, ensembles, CSVs and their checks."""
