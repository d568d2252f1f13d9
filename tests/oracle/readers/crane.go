package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"path"
	"path/filepath"
)

// crane compares names exactly, takes the first, follows links of both kinds, and asks for one image at a time by its
// name.  It verifies no diff_ids while it pushes.
func crane(a *archive) []loaded {
	all := members(a.plain())
	var items []item
	check(json.NewDecoder(bytes.NewReader(exact(all, "manifest.json", 0))).Decode(&items))
	images := []loaded{}
	tags := map[string]bool{}
	for _, each := range items {
		image := craneImage(all, each)
		if len(each.RepoTags) == 0 && len(items) == 1 {
			images = append(images, image)
		}
		for _, text := range each.RepoTags {
			name, ok := parse(text)
			if !ok || name.digest != "" {
				refuse("invalid tag %q", text)
			}
			if name.tag == "" {
				name.tag = "latest"
			}
			if image.Name = name.String(); !tags[image.Name] {
				images = append(images, image)
			}
			tags[image.Name] = true
		}
	}
	if len(images) == 0 {
		refuse("no image that can be asked for")
	}
	return images
}

func craneImage(all []member, each item) loaded {
	raw := exact(all, each.Config, 0)
	config := parseConfig(raw)
	if len(each.Layers) != len(config.RootFS.DiffIDs) {
		refuse("%d layers for %d diff_ids", len(each.Layers), len(config.RootFS.DiffIDs))
	}
	sums := []string{}
	for _, name := range each.Layers {
		sums = append(sums, plainSum(exact(all, name, 0)))
	}
	return loaded{Config: sum(raw), Layers: sums}
}

func exact(all []member, name string, depth int) []byte {
	if depth > maxLinks {
		refuse("links without end")
	}
	for _, each := range all {
		if each.header.Name != name {
			continue
		}
		if each.header.Typeflag == tar.TypeSymlink || each.header.Typeflag == tar.TypeLink {
			return exact(all, path.Join(filepath.Dir(name), path.Clean(each.header.Linkname)), depth+1)
		}
		return each.content
	}
	refuse("no %s", name)
	return nil
}
