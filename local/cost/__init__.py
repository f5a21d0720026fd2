"""What a stack costs, computed from its resource graph and one file of prices."""
