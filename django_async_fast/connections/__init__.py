"""Blocks, and the connections that they give to an alias."""
