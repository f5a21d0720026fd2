"""What a data scientist runs: train a two-tower model, evaluate it, publish it."""
