"""Native processes: the keeper that holds them, and the launchers that ask for them. Knows no Job."""
