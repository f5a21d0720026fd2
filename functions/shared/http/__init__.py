"""Code of all functions behind API Gateway: requests checked by the contract, answers and problem details."""
