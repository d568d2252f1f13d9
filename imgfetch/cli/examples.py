"""Examples for the end of each command's help: a comment, and a command."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, tuple[tuple[str, str], ...]] = {
    "": (
        (
            "save an image, for docker load -i on an offline host",
            "imgfetch save quay.io/prometheus/busybox -o busybox.tar",
        ),
        ("pin a list of images", "imgfetch digest --keep-tag -i images.txt -o images.lock"),
        ("verify an archive offline", "imgfetch verify busybox.tar"),
    ),
    "save": (
        ("save an image for this machine's architecture", "imgfetch save quay.io/prometheus/busybox -o busybox.tar"),
        ("save a list of images for arm64", "imgfetch save -i images.txt --platform linux/arm64 -o bundle.tar"),
        (
            "save only the layers that the target host lacks",
            "imgfetch save quay.io/team/app:1.5 --base app-1.4.tar -o update.tar",
        ),
    ),
    "digest": (
        ("pin an image", "imgfetch digest quay.io/prometheus/busybox:latest"),
        ("pin a list of images for a later save", "imgfetch digest --keep-tag -i images.txt -o images.lock"),
        ("print the digest for one platform", "imgfetch digest alpine:3.20 --platform linux/arm64"),
    ),
    "tags": (
        ("print all tags", "imgfetch tags quay.io/prometheus/busybox"),
        ("print the ten highest versions", "imgfetch tags alpine --sort | tail"),
        ("log in with a token from a file", "imgfetch tags quay.io/team/app -u me --password-stdin < token"),
    ),
    "inspect": (
        ("show an image before you download it", "imgfetch inspect quay.io/prometheus/busybox"),
        ("show the images in an archive", "imgfetch inspect bundle.tar"),
        ("print the manifest for one platform", "imgfetch inspect alpine:3.20 --platform linux/arm64 --raw"),
    ),
    "verify": (
        ("verify an archive", "imgfetch verify busybox.tar"),
        ("verify that it contains the images in a list", "imgfetch verify -i images.lock bundle.tar"),
        ("verify an image that docker saves", "docker save app:1 | imgfetch verify - app:1"),
    ),
    "push": (
        ("push all images in an archive to an offline registry", "imgfetch push bundle.tar registry.example:5000"),
        ("show the new names and what would be sent", "imgfetch push bundle.tar registry.example/mirror --dry-run"),
        ("push them under another name", "imgfetch push bundle.tar registry.example --rewrite quay.io/team=apps"),
    ),
    "patch": (
        ("make a patch", "imgfetch patch app-1.4.tar app-1.5.tar -o app-1.5.patch"),
        ("write it to stdout", "imgfetch patch app-1.4.tar app-1.5.tar | ssh host 'cat > app.patch'"),
        ("use an archive of docker as the old one", "imgfetch patch docker-save.tar app-1.5.tar -o app.patch"),
    ),
    "apply": (
        ("make the new archive", "imgfetch apply app-1.5.patch --from app-1.4.tar -o app-1.5.tar"),
        ("load the new image", "imgfetch apply app-1.5.patch --from /srv/archives | docker load"),
        (
            "require an image in the new archive",
            "imgfetch apply app.patch --from old.tar --expect team/app:1.5 -o new.tar",
        ),
    ),
    "login": (
        ("log in at Docker Hub, and enter the password", "imgfetch login -u alice"),
        ("log in with a token from a file", "imgfetch login quay.io -u team+robot --password-stdin < token.txt"),
        ("log in at a registry with a CA of its own", "imgfetch login registry.example -u alice --ca-file ca.pem"),
    ),
    "logout": (
        ("remove the credentials for Docker Hub", "imgfetch logout"),
        ("remove those for another registry", "imgfetch logout quay.io"),
        ("remove them from another file", "imgfetch logout quay.io --authfile auth.json"),
    ),
    "cache": (
        ("show the size of the cache", "imgfetch cache list | tail -n 1"),
        ("shrink it to 2 GB", "imgfetch cache prune --keep 2GB"),
        ("remove blobs that have not been used for a month", "imgfetch cache prune --older-than 30d"),
    ),
    "cache dir": (
        ("print the cache directory", "imgfetch cache dir"),
        ("show its size on disk", 'du -sh "$(imgfetch cache dir)"'),
        ("print it with another setting", "IMGFETCH_CACHE_DIR=/srv/imgfetch imgfetch cache dir"),
    ),
    "cache list": (
        ("print the blobs and their total size", "imgfetch cache list"),
        ("print them as JSON, for scripts", "imgfetch cache list --json"),
        ("print the blobs in another cache", "imgfetch cache list --cache-dir /srv/imgfetch"),
    ),
    "cache prune": (
        ("remove blobs that have not been used for a month", "imgfetch cache prune --older-than 30d"),
        ("shrink the cache to 2 GB", "imgfetch cache prune --keep 2GB"),
        ("empty the cache", "imgfetch cache prune --all"),
    ),
    "makefile": (
        ("write them beside a Makefile that includes them", "imgfetch makefile > make.mk"),
        ("show how they are used", "imgfetch makefile | head -n 24"),
        ("compare them with those of another version", "imgfetch makefile | diff make.mk -"),
    ),
    "completion": (
        ("for bash, in ~/.bashrc", 'eval "$(imgfetch completion bash)"'),
        ("for zsh, in ~/.zshrc", 'eval "$(imgfetch completion zsh)"'),
        ("for fish, in ~/.config/fish/config.fish", "imgfetch completion fish | source"),
    ),
}
"""By the command's name; the program itself has none."""
