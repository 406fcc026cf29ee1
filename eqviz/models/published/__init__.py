"""Published networks as papers and released weights define them, quirks included: readers, oracles."""
