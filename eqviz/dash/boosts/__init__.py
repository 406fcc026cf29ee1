"""What the Boosts tab consists of: its controls and tables."""
