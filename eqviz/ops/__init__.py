"""Operations on pairs within each jet, one folder each: a contract, a readable reference, a fast path."""
