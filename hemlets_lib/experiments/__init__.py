"""Experiments: a registry of what to run, cells that resume, a scorecard against the paper."""
