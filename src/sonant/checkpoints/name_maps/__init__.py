"""Parameter-name maps of each toolkit: on the left our names (as in `sonant.models`), on the right the toolkit's."""
