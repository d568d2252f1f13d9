"""Patches: the difference between an archive with decompressed layers and the layers of an older image.

This package makes no requests and uses no cache; docs/patch-format.md describes the file.
"""
