"""Answers a batch from a model version. Inference runs this code, and so does the loader when it tries a version."""
