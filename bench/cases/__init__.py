"""Histories whose truth is known, for judging what statistics say of them: drawn from a seed, independent of how anything is discovered."""
