"""The distribution protocol: manifests, blobs and tags, and the settings to reach registries and mirrors.

It neither interprets manifests nor stores blobs.
"""
