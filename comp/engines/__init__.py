"""Engines: one way of running jobs = one file."""
