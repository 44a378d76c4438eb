"""Budgets of Python calls and instructions: the same on a busy machine."""
