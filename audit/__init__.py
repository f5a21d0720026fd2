"""Outside scanners over the program and its packages: `make audit`."""
