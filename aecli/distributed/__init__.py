"""Training on several processes, which torchrun starts."""
