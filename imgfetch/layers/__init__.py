"""A layer's tar stream: recognized, decompressed within limits and hashed for its diff_id.

This package is independent of the source and the destination of the bytes.
"""
