"""Wheels for Linux, cross-compiled with zig: old glibc and musl without containers."""
