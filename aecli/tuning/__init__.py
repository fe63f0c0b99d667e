"""Search for options: which ones to try, and a study of trials in a journal; optuna lives here."""
