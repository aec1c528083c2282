"""The hostile world as a standing campaign: ``python -m campaign NAME``."""
