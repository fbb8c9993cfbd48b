"""Shows the whole gateway on one machine, with mail of its own."""
