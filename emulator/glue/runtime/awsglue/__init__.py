"""The part of Glue's Python library that the project's job uses."""
