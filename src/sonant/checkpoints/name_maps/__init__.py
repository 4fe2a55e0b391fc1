"""Parameter-name maps of each toolkit: sonant's names on the left, the toolkit's on the right."""
