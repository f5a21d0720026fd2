"""Runs a Glue 5.1 job on this machine: the job's own script and arguments, on a real Spark, as the job's own role."""
