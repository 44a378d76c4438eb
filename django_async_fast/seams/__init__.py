"""The seams into Django, and what stands behind them."""
