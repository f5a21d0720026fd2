"""Fuzzing of the handlers, for as long as one likes: `python -m tests.fuzz --seconds 300`.

A module for each handler, whose `run(seconds)` calls it with what hypothesis makes up and returns the number of calls.
"""
