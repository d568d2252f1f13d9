"""The nouns of the specifications: references, digests, descriptors, manifests, indexes and configs.

Parsing and comparing only: nothing here opens a file or a connection.
"""
