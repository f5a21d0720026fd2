"""What the parts agree on: one home for each schema, layout and name that crosses from one part to another.

Standard library only: it is packaged into the Lambda functions and into the Glue job, and read by training.
"""
