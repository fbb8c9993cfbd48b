"""What is true and what it means: pure, told the time and its randomness, doing no I/O."""
