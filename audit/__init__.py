"""Outside scanners of the program and its packages: `make audit`."""
