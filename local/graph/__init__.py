"""The program's resource graph, without making any of it."""
