"""Measures what an approval costs, beside the bare engine in the same run."""
