"""The dashboard: the only part that imports Panel."""
