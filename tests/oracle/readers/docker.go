package main

import (
	"bytes"
	"encoding/json"
	"path"
	"sort"
)

// An item of manifest.json, as docker, containerd, skopeo and crane type it.
type item struct {
	Config       string
	RepoTags     []string
	Layers       []string
	Parent       string
	LayerSources map[string]descriptor
}

// docker is the classic image store: it unpacks the archive into a directory, and opens the paths in manifest.json there.
func docker(a *archive) []loaded {
	root := untar(a.decompressed())
	if find(root, "manifest.json", false) == nil {
		oldest := ask(func(*archive) []loaded { return dockerOldest(root) }, nil)
		if oldest.Refused != "" {
			refuse("no manifest.json")
		}
		return oldest.Images
	}
	var items []item
	check(json.NewDecoder(bytes.NewReader(read(root, "manifest.json"))).Decode(&items))
	if items == nil {
		refuse("manifest.json is null")
	}
	images := []loaded{}
	chains := map[string]bool{} // layers with all below them, which are not opened again
	tags := map[string]loaded{}
	for _, each := range items {
		image := dockerImage(root, each, chains)
		images = append(images, image)
		for _, text := range each.RepoTags {
			name, ok := parse(text)
			if !ok || name.tag == "" {
				refuse("invalid tag %q", text)
			}
			if name.digest == "" { // one with a digest is passed over
				tags[name.String()] = image
			}
		}
	}
	for name, image := range tags { // the last one of a name
		image.Name = name
		images = append(images, image)
	}
	return images
}

func dockerImage(root *node, each item, chains map[string]bool) loaded {
	raw := read(root, each.Config)
	config := parseConfig(raw)
	if config.OS != "" && config.OS != "linux" {
		refuse("an image for %q", config.OS)
	}
	if len(each.Layers) != len(config.RootFS.DiffIDs) {
		refuse("%d layers for %d diff_ids", len(each.Layers), len(config.RootFS.DiffIDs))
	}
	sums := []string{}
	chain := ""
	for i, diffID := range config.RootFS.DiffIDs {
		chain += diffID + " "
		if !chains[chain] && "sha256:"+plainSum(read(root, each.Layers[i])) != diffID {
			refuse("a layer differs from its diff_id")
		}
		chains[chain] = true
		sums = append(sums, diffID[len("sha256:"):])
	}
	return loaded{Config: sum(raw), Layers: sums}
}

// dockerOldest reads the form before docker 1.10, which docker 20.10 and 28 still take where manifest.json is missing:
// each directory is a layer with a v1 config, from which a new config is made.
func dockerOldest(root *node) []loaded {
	made := map[string]string{}
	directories := []string{}
	for name, child := range root.children {
		if child.kind == '5' {
			directories = append(directories, name)
		}
	}
	sort.Strings(directories)
	for _, name := range directories {
		loadOldest(root, name, made, 0)
	}
	var repositories map[string]map[string]string
	check(json.NewDecoder(bytes.NewReader(read(root, "repositories"))).Decode(&repositories))
	images := []loaded{}
	for _, id := range made {
		images = append(images, loaded{Config: id})
	}
	for name, tags := range repositories {
		for tag, id := range tags {
			found, ok := parse(name)
			if !ok || made[id] == "" {
				refuse("invalid target ID or name: %q, %q", id, name)
			}
			found.tag = tag
			images = append(images, loaded{Name: found.String(), Config: made[id]})
		}
	}
	return images
}

const maxParents = 1000

func loadOldest(root *node, id string, made map[string]string, depth int) {
	if made[id] != "" {
		return
	}
	var config struct{ OS, Parent string }
	raw := read(root, path.Join(id, "json"))
	check(json.Unmarshal(raw, &config))
	if depth > maxParents {
		refuse("parents without end")
	}
	if config.Parent != "" {
		loadOldest(root, config.Parent, made, depth+1)
	}
	plainSum(read(root, path.Join(id, "layer.tar")))
	made[id] = "made from " + id
}
