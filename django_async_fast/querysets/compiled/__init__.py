"""Queries that need not be built and compiled again."""
