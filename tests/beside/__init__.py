"""Other people's tools beside the package: what they see is what they see in stock.

Each runs in a process of its own for each way and moment (`child.py`); the value that is
expected is what the tool saw in stock Django, in the same arrangement.
"""
