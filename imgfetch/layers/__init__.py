"""A layer's tar stream: recognized, decompressed within bounds, and hashed against its diff_id.

Nothing here knows where the bytes come from or where they go.
"""
