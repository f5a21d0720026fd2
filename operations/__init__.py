"""An operator's commands, for a stack on AWS or for a local run that is up."""
