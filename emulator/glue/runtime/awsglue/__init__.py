"""The part of Glue's Python library that the project's job uses, over the same AWS APIs and under the same role."""
