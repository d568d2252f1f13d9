"""Verified content on disk: partial downloads, blobs by digest, locks and eviction.

A blob gets its name here after its size and digest were verified, and nowhere else. Where blobs come from is not
known here.
"""
