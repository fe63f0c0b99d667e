"""Inspection of model directories and tables."""
