"""Read, save, verify and roll back a model directory."""
