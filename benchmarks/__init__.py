"""Speed, measured against a limit in the same run: ``python -m benchmarks NAME… | all``."""
