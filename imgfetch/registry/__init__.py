"""The distribution protocol: manifests, blobs and tags, and the settings to reach registries and mirrors.

What a manifest means, and where a blob is stored, is not decided here.
"""
