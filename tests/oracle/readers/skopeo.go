package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"io"
	"io/fs"
	"math"
	"path"
)

// A member of a tar that is read again for each file, as skopeo and crane do; the first one of a name counts.
type member struct {
	header  *tar.Header
	content []byte
}

func members(stream io.Reader) []member {
	found := []member{}
	for files := tar.NewReader(stream); ; {
		header, err := files.Next()
		if err == io.EOF {
			return found
		}
		check(err)
		content, err := io.ReadAll(files)
		check(err)
		found = append(found, member{header, content})
	}
}

func first(all []member, name string) *member {
	for i := range all {
		if path.Clean(all[i].header.Name) == path.Clean(name) {
			return &all[i]
		}
	}
	refuse("no %s", name)
	return nil
}

// component returns a file of a docker-archive, behind at most one symbolic link.
func component(all []member, name string) []byte {
	found := first(all, name)
	if found.header.FileInfo().Mode()&fs.ModeType == fs.ModeSymlink {
		found = first(all, path.Join(path.Dir(name), found.header.Linkname))
	}
	if !found.header.FileInfo().Mode().IsRegular() {
		refuse("%q is not a regular file", name)
	}
	return found.content
}

// dockerArchive is skopeo's and podman's reader of manifest.json; the first one of a name counts.
func dockerArchive(a *archive) []loaded {
	all := members(a.decompressed())
	var items []item
	check(json.Unmarshal(component(all, "manifest.json"), &items))
	images := []loaded{}
	tags := map[string]bool{}
	for _, each := range items {
		image := dockerArchiveImage(all, each)
		if len(each.RepoTags) == 0 {
			images = append(images, image)
		}
		for _, text := range each.RepoTags {
			name, ok := parse(text)
			if !ok || name.tag == "" {
				refuse("invalid tag %q", text)
			}
			if image.Name = name.String(); !tags[image.Name] {
				images = append(images, image)
			}
			tags[image.Name] = true
		}
	}
	if len(images) == 0 {
		refuse("no image")
	}
	return images
}

func dockerArchiveImage(all []member, each item) loaded {
	raw := component(all, each.Config)
	config := parseConfig(raw)
	if len(each.Layers) != len(config.RootFS.DiffIDs) {
		refuse("inconsistent layer count")
	}
	paths := map[string]string{} // the first path of a diff_id counts
	used := map[string]bool{}
	layers := [][]byte{}
	for i, diffID := range config.RootFS.DiffIDs {
		if _, ok := paths[diffID]; !ok {
			where := path.Clean(each.Layers[i])
			if used[where] {
				refuse("layer tarfile %q used for two different DiffID values", where)
			}
			paths[diffID], used[where] = where, true
			first(all, where)
		}
		layers = append(layers, component(all, paths[diffID]))
	}
	return loaded{Config: sum(raw), Layers: verified(config, layers)}
}

// ociArchive is skopeo's and podman's reader of index.json.  It unpacks the archive, and never reads oci-layout.
func ociArchive(a *archive) []loaded {
	root := untar(a.decompressed())
	if find(root, "index.json", false) == nil {
		refuse("no index.json")
	}
	var top index
	check(json.Unmarshal(firstValue(read(root, "index.json")), &top))
	images := []loaded{}
	seen := map[string]bool{}
	for _, entry := range top.Manifests {
		name := entry.Annotations[refName]
		if name == "" && len(top.Manifests) > 1 {
			continue // it cannot be asked for
		}
		if isKnown := isIndex(entry.MediaType) || isManifest(entry.MediaType); !isKnown && len(top.Manifests) > 1 || seen[name] {
			continue
		}
		seen[name] = true
		image := ociArchiveImage(root, &top, entry)
		if image.Name = fullOrTag(name); entry.Annotations[imageName] != "" && len(top.Manifests) == 1 {
			image.Name = full(entry.Annotations[imageName]) // podman's choice
		}
		images = append(images, image)
	}
	if len(images) == 0 {
		refuse("no image that can be asked for")
	}
	return images
}

// firstValue returns the first JSON value of a text, behind which such a reader does not look.
func firstValue(raw []byte) []byte {
	var value json.RawMessage
	check(json.NewDecoder(bytes.NewReader(raw)).Decode(&value))
	return value
}

func blobOf(root *node, digest string) []byte {
	if !knownSum.MatchString(digest) {
		refuse("unexpected digest reference %q", digest)
	}
	kind, encoded := digest[:6], digest[7:]
	return read(root, path.Join("blobs", kind, encoded))
}

func verifiedBlob(root *node, digest string) []byte {
	raw := blobOf(root, digest)
	if "sha256:"+sum(raw) != digest {
		refuse("a blob differs from its digest %s", digest)
	}
	return raw
}

// ociArchiveImage follows an entry to its image for this platform; only the digest of the entry itself is not verified.
func ociArchiveImage(root *node, top *index, entry descriptor) loaded {
	digest := entry.Digest
	raw := blobOf(root, digest)
	mediaType := typeOf(raw, entry.MediaType)
	for depth := 0; isIndex(mediaType); depth++ {
		if depth > maxDepth {
			refuse("an index too deep")
		}
		digest = instance(raw)
		raw = verifiedBlob(root, digest)
		mediaType = typeOf(raw, mediaTypeIn(top, digest))
	}
	if !isManifest(mediaType) {
		refuse("no manifest: %q", mediaType)
	}
	_, _, hasManifests, hasOld := essential(raw)
	if hasManifests || hasOld {
		refuse("ambiguous manifest")
	}
	found := parseJSON[manifest](raw)
	if isArtifact(found) {
		return loaded{Digest: "sha256:" + sum(raw), Artifact: true}
	}
	config := verifiedBlob(root, found.Config.Digest)
	layers := [][]byte{}
	for _, layer := range found.Layers {
		layers = append(layers, verifiedBlob(root, layer.Digest))
	}
	sums := verified(parseConfig(config), layers)
	return loaded{Config: sum(config), Layers: sums, Digest: "sha256:" + sum(raw), Chosen: true}
}

// mediaTypeIn returns what index.json calls a document, for no other index is asked.
func mediaTypeIn(top *index, digest string) string {
	for _, other := range top.Manifests {
		if other.Digest == digest {
			return other.MediaType
		}
	}
	return ""
}

// typeOf guesses the media type of a document that has none.
func typeOf(raw []byte, mediaType string) string {
	if mediaType != "" {
		return mediaType
	}
	own := parseJSON[manifest](raw)
	_, _, hasManifests, _ := essential(raw)
	switch {
	case isIndex(own.MediaType) || isManifest(own.MediaType):
		return own.MediaType
	case own.SchemaVersion != 2:
		return ""
	case own.Config.MediaType == dockerConfig:
		return dockerManifest
	case own.Config.MediaType == "" && hasManifests:
		return ociIndex
	}
	return ociManifest
}

// instance returns the digest of the image for linux/amd64; one without a platform comes last.
func instance(raw []byte) string {
	hasConfig, hasLayers, _, hasOld := essential(raw)
	if hasConfig || hasLayers || hasOld {
		refuse("ambiguous index")
	}
	best, found := math.MaxInt, ""
	for _, child := range parseJSON[index](raw).Manifests {
		rank := math.MaxInt - 1
		if child.Platform != nil {
			if child.Platform.OS != "linux" || child.Platform.Architecture != "amd64" || child.Platform.Variant != "" {
				continue
			}
			rank = 0
		}
		if rank < best {
			best, found = rank, child.Digest
		}
	}
	if found == "" {
		refuse("no image found in image index for this platform")
	}
	return found
}
