"""Search for options with optuna: the search space, the trials, and their study in a journal."""
