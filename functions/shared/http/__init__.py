"""What the functions behind API Gateway share: requests checked by the contract, answers and problem details."""
