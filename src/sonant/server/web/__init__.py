"""HTML pages; each has a JSON form."""
