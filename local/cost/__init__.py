"""Computes the cost of a stack from its resource graph and one file of prices."""
