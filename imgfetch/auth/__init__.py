"""Authentication: challenges, tokens, token servers, and the credentials of docker and podman.

This folder decides which server may receive which credentials. It requests nothing but tokens.
"""
