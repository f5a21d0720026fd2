"""The acceptance run: a stack of its own in a real account, used once as a team would, and destroyed."""
