"""Emulates AWS's services on one machine. A reader of the product itself does not need this folder."""
