"""The storefront and the console: two web pages on this machine, in front of a stack's API and its operator's data."""
