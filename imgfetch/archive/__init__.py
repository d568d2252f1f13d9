"""Archives: tar headers, layout and formats, and the reading and verification of any tool's archive.

This package makes no requests and uses no cache.
"""
