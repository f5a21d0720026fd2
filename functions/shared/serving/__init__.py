"""What answers a batch from a version: run by inference, and by the loader when it tries a version."""
