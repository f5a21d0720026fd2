"""What surrounds a job's script inside its process, as Glue's own runtime does; it imports nothing of the project."""
