"""The run on one machine that a person starts."""
