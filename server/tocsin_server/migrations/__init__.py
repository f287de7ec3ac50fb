"""The schema's history, one module a revision; `python -m tocsin_server.migrations` writes a new one."""
