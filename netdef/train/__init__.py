"""Fillers, learning-rate policies, solvers, the training loop, snapshots and evaluation."""
