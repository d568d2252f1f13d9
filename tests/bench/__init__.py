"""The benchmark: imgfetch, its peers and the floor under them all, in turn, on the same image and the same machine."""
