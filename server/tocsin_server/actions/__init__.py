"""What an automation does when it fires: one file for each kind of action, and the runner that does each once."""
