"""What an operator runs against a stack on AWS, or against a local run."""
