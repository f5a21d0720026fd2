"""The resource graph of the program, recorded without making any resource."""
