"""Migrations: `env.py` runs them, `versions/` holds one file a change, in the order of their numbers."""
