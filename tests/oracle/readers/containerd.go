package main

import (
	"archive/tar"
	"encoding/json"
	"io"
	"path"
	"sort"
	"strings"
)

// containerd reads an archive once, and keeps every file as a blob under its own digest.  If oci-layout gives a version,
// index.json counts; otherwise manifest.json, whose paths are compared with the cleaned names of the files.
type containerd struct {
	blobs    map[string][]byte // by digest
	files    map[string]string // digests by name
	isDocker bool
}

// ctr imports what is for its platform, and discards what has no name.
func ctr(a *archive) []loaded {
	c := &containerd{blobs: map[string][]byte{}, files: map[string]string{}}
	named := []loaded{}
	for _, image := range c.images(c.load(a.plain())) {
		if image.Name != "" {
			named = append(named, image)
		}
	}
	return named
}

// dockerOnContainerd decompresses the archive, takes what is there for any platform, and keeps images without a name.
func dockerOnContainerd(a *archive) []loaded {
	c := &containerd{blobs: map[string][]byte{}, files: map[string]string{}, isDocker: true}
	return c.images(c.load(a.decompressed()))
}

// load returns the descriptors of the images.
func (c *containerd) load(stream io.Reader) []descriptor {
	var layout struct {
		Version string `json:"imageLayoutVersion"`
	}
	var items []item
	links := map[string]string{}
	for files := tar.NewReader(stream); ; {
		header, err := files.Next()
		if err == io.EOF {
			break
		}
		check(err)
		if header.Typeflag == tar.TypeSymlink {
			links[header.Name] = path.Join(path.Dir(header.Name), header.Linkname)
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		switch name := path.Clean(header.Name); name {
		case "oci-layout":
			check(json.NewDecoder(files).Decode(&layout))
		case "manifest.json":
			check(json.NewDecoder(files).Decode(&items))
		default:
			content, err := io.ReadAll(files)
			check(err)
			c.files[name] = c.add(content)
		}
	}
	if layout.Version == "" {
		return c.loadDocker(items, links)
	}
	if layout.Version != "1.0.0" {
		refuse("unsupported OCI version %s", layout.Version)
	}
	return parseJSON[index](c.named("index.json")).Manifests
}

func (c *containerd) add(content []byte) string {
	digest := "sha256:" + sum(content)
	c.blobs[digest] = content
	return digest
}

func (c *containerd) named(name string) []byte {
	digest, ok := c.files[name]
	if !ok {
		refuse("%q not found", name)
	}
	return c.blobs[digest]
}

func (c *containerd) loadDocker(items []item, links map[string]string) []descriptor {
	if items == nil {
		refuse("unrecognized image format")
	}
	for name, target := range links {
		if _, ok := c.files[target]; !ok {
			refuse("no target for symlink layer from %q to %q", name, target)
		}
		c.files[name] = c.files[target]
	}
	descriptors := []descriptor{}
	for _, each := range items {
		made := manifest{MediaType: dockerManifest, Config: c.describe(each.Config)}
		for _, name := range each.Layers {
			made.Layers = append(made.Layers, c.describe(name))
		}
		raw, err := json.Marshal(made)
		check(err)
		target := descriptor{MediaType: dockerManifest, Digest: c.add(raw), ArtifactType: "made here"}
		for _, text := range each.RepoTags {
			target.Annotations = map[string]string{imageName: dockerName(text)}
			descriptors = append(descriptors, target)
		}
		if len(each.RepoTags) == 0 {
			descriptors = append(descriptors, target)
		}
	}
	return descriptors
}

// dockerName returns a name with a digest, if it has one, or else with a tag.
func dockerName(text string) string {
	name, ok := parse(text)
	if !ok {
		refuse("cannot normalize %q", text)
	}
	if name.digest != "" {
		name.tag = ""
	} else if name.tag == "" {
		name.tag = "latest"
	}
	return name.String()
}

func (c *containerd) describe(name string) descriptor {
	c.named(name)
	return descriptor{Digest: c.files[name]}
}

// images returns what the descriptors lead to; the last one of a name counts.
func (c *containerd) images(tops []descriptor) []loaded {
	images := []loaded{}
	named := map[string]descriptor{}
	wanted := 0
	for _, top := range tops {
		if c.isDocker || fits(top.Platform) {
			wanted++
		}
		name := nameOf(top)
		if name == "" {
			images = append(images, c.under("", top)...)
		} else {
			named[name] = top
		}
	}
	if wanted == 0 {
		refuse("nothing for this platform")
	}
	for name, top := range named {
		images = append(images, c.under(name, top)...)
	}
	return images
}

func nameOf(top descriptor) string {
	if name := top.Annotations[imageName]; name != "" {
		return full(name)
	}
	return fullOrTag(top.Annotations[refName])
}

func (c *containerd) under(name string, top descriptor) []loaded {
	found := []loaded{}
	chosen := c.choose(top)
	for _, leaf := range c.leaves(top, 0) {
		image := c.image(leaf)
		image.Name = name
		image.Chosen = leaf.Digest == chosen
		if leaf.ArtifactType == "made here" {
			image.Digest = ""
		}
		found = append(found, image)
	}
	if chosen == "" && !c.isDocker {
		refuse("no match for platform in manifest")
	}
	return found
}

// document returns a manifest or index, which must be what its descriptor says.
func (c *containerd) document(wanted descriptor) []byte {
	raw := c.need(wanted)
	own := parseJSON[struct {
		MediaType string          `json:"mediaType"`
		Config    json.RawMessage `json:"config"`
		Layers    json.RawMessage `json:"layers"`
		Manifests json.RawMessage `json:"manifests"`
		FSLayers  json.RawMessage `json:"fsLayers"`
	}](raw)
	if own.FSLayers != nil {
		refuse("media-type: schema 1 not supported")
	}
	if isManifest(wanted.MediaType) && (own.Manifests != nil || isIndex(own.MediaType)) {
		refuse("media-type: expected manifest but found index")
	}
	if isIndex(wanted.MediaType) && (own.Config != nil || own.Layers != nil || isManifest(own.MediaType)) {
		refuse("media-type: expected index but found manifest")
	}
	return raw
}

const maxDepth = 10

// leaves returns the manifests that an index leads to, without attestations and those that are missing or not wanted.
func (c *containerd) leaves(top descriptor, depth int) []descriptor {
	if top.Platform != nil && top.Platform.Architecture == "unknown" && top.Platform.OS == "unknown" {
		return nil
	}
	if _, ok := c.blobs[top.Digest]; !ok && depth > 0 && (c.isDocker || !fits(top.Platform)) {
		return nil
	}
	if depth > maxDepth {
		refuse("an index too deep")
	}
	if isManifest(top.MediaType) {
		return []descriptor{top}
	}
	if !isIndex(top.MediaType) {
		return nil
	}
	found := []descriptor{}
	for _, child := range parseJSON[index](c.document(top)).Manifests {
		found = append(found, c.leaves(child, depth+1)...)
	}
	return found
}

// image returns what ctr unpacks and verifies; docker only reports that it cannot, and keeps the image as it is.
func (c *containerd) image(leaf descriptor) loaded {
	found := parseJSON[manifest](c.document(leaf))
	raw := c.need(found.Config)
	if leaf.ArtifactType != "made here" && isArtifact(found) {
		return loaded{Digest: leaf.Digest, Artifact: true}
	}
	layers := [][]byte{}
	sums := []string{}
	for _, layer := range found.Layers {
		content := c.blobs[layer.Digest]
		if !c.isDocker {
			content = c.need(layer)
		}
		layers = append(layers, content)
		sums = append(sums, unpacked(content).sum)
	}
	if !c.isDocker {
		sums = verified(parseConfig(raw), layers)
	}
	return loaded{Config: sum(raw), Layers: sums, Digest: leaf.Digest}
}

func (c *containerd) need(wanted descriptor) []byte {
	raw, ok := c.blobs[wanted.Digest]
	if !ok {
		refuse("content %s: not found", wanted.Digest)
	}
	return raw
}

func fits(wanted *platform) bool {
	if wanted == nil {
		return true
	}
	system := strings.ToLower(wanted.OS)
	return rank(wanted) > 0 && (system == "" || system == "linux")
}

// rank returns how well a platform fits linux/amd64.
func rank(wanted *platform) int {
	switch strings.ToLower(wanted.Architecture) {
	case "amd64", "x86_64", "x86-64", "":
		return 2
	case "386", "i386", "80386", "i486", "i586", "i686", "x86":
		return 1
	}
	return 0
}

// choose returns the digest of the manifest that runs: an index offers the first that fits best.
func (c *containerd) choose(top descriptor) string {
	for depth := 0; depth < maxDepth && isIndex(top.MediaType); depth++ {
		fitting := []descriptor{}
		for _, child := range parseJSON[index](c.document(top)).Manifests {
			if fits(child.Platform) {
				fitting = append(fitting, child)
			}
		}
		sort.SliceStable(fitting, func(i, j int) bool {
			if fitting[i].Platform == nil || fitting[j].Platform == nil {
				return fitting[i].Platform != nil
			}
			return rank(fitting[i].Platform) > rank(fitting[j].Platform)
		})
		if len(fitting) == 0 {
			return ""
		}
		top = fitting[0]
		if isManifest(top.MediaType) && top.Platform == nil && !c.runs(top) {
			return ""
		}
	}
	return top.Digest
}

func (c *containerd) runs(leaf descriptor) bool {
	config := parseConfig(c.need(parseJSON[manifest](c.document(leaf)).Config))
	return fits(&platform{Architecture: config.Architecture, OS: config.OS})
}
