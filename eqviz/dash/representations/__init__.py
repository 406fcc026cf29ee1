"""What the Representations tab consists of: the catalogue of groups, figures, texts, turning vectors."""
