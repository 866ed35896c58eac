"""Statistics over what has finished: the only home of numpy and scipy, which the modules that need them import lazily."""
