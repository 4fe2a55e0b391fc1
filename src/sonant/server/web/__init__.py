"""Pages for people; each has a JSON twin."""
