"""What surrounds a job's script inside its process, as Glue's own runtime does; nothing of the project is importable."""
