"""Which task's statement goes next on one connection."""
