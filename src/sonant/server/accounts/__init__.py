"""Users, keys, credit and usage, in SQLite or PostgreSQL."""
