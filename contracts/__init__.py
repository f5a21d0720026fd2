"""The data formats that the parts agree on: each schema, layout and name that crosses between parts is defined here.

Standard library only: it is packaged into the Lambda functions and into the Glue job, and read by training.
"""
