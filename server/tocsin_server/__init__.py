"""The wiring: settings, database, deployments, runs, actions, HTTP API, CLI."""
