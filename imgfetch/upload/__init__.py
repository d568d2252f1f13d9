"""Pushing an archive: every image in it, verified, to one registry.

`names` maps the images' names, `contents` finds the documents and blobs, `plan` compares them with the registry, and
`push` sends the missing parts; `blobs` sends a blob to its repositories, `blob` to one, and `session` begins with the
verification.
"""
