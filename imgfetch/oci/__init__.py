"""The terms of the specifications: references, digests, descriptors, manifests, indexes and configs.

This package only parses and compares; it opens no files and no connections.
"""
