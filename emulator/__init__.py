"""What stands for AWS's services on one machine. Who comes for the product need not read it."""
