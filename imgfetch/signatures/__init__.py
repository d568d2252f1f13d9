"""Signatures of images, verified offline: cosign's two forms, by keys and by identities.

It knows neither registries nor archives: it gets manifests, and a function that reads blobs.
"""
