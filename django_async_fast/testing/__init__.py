"""Test cases and fixtures for coroutines."""
