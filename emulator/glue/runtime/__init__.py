"""The environment of a job's script inside its process, as Glue's own runtime has it. Imports nothing of the
project."""
