"""`python -m django_async_fast doctor`: what a project has of the package, and has not.

Each module answers one question with findings; `examination.py` asks them all.
"""
