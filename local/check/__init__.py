"""Examines a shop's database as the ETL will, before Spark starts or without a run at all."""
