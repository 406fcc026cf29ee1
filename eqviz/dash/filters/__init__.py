"""What the Filters tab consists of: which layers a network has, their pictures and controls."""
