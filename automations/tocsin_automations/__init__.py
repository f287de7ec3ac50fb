"""What to do about it: the rule language, the pure engine, replay and explanation."""
