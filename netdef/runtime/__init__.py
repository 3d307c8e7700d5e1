"""Contexts, plans and executors."""
