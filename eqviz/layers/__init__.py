"""Building blocks of networks; each says which representations it takes and gives."""
