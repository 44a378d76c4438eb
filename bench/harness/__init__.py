"""Contenders in processes of their own take turns; the figures become tables."""
