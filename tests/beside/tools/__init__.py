"""One tool, one file: what to configure, what to hook, what to read off."""
