"""What the benchmarks found over time: small records in bench/history/, and a page."""
