"""The kinds of triggers, one file each; `pyproject.toml` registers them by entry point, as a plugin does its own."""
