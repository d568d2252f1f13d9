package main

import (
	"encoding/json"
	"strings"
)

// The documents of an OCI image layout, as all of Go's readers type them.

const (
	ociIndex       = "application/vnd.oci.image.index.v1+json"
	ociManifest    = "application/vnd.oci.image.manifest.v1+json"
	dockerList     = "application/vnd.docker.distribution.manifest.list.v2+json"
	dockerManifest = "application/vnd.docker.distribution.manifest.v2+json"
	ociConfig      = "application/vnd.oci.image.config.v1+json"
	dockerConfig   = "application/vnd.docker.container.image.v1+json"
	imageName      = "io.containerd.image.name"
	refName        = "org.opencontainers.image.ref.name"
)

type platform struct {
	Architecture string   `json:"architecture"`
	OS           string   `json:"os"`
	OSVersion    string   `json:"os.version"`
	OSFeatures   []string `json:"os.features"`
	Variant      string   `json:"variant"`
}

type descriptor struct {
	MediaType    string            `json:"mediaType"`
	Digest       string            `json:"digest"`
	Size         int64             `json:"size"`
	URLs         []string          `json:"urls"`
	Annotations  map[string]string `json:"annotations"`
	Data         []byte            `json:"data"`
	Platform     *platform         `json:"platform"`
	ArtifactType string            `json:"artifactType"`
}

type index struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Manifests     []descriptor      `json:"manifests"`
	Subject       *descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

type manifest struct {
	SchemaVersion int               `json:"schemaVersion"`
	MediaType     string            `json:"mediaType"`
	ArtifactType  string            `json:"artifactType"`
	Config        descriptor        `json:"config"`
	Layers        []descriptor      `json:"layers"`
	Subject       *descriptor       `json:"subject"`
	Annotations   map[string]string `json:"annotations"`
}

func parseJSON[T any](raw []byte) *T {
	document := new(T)
	check(json.Unmarshal(raw, document))
	return document
}

func isIndex(mediaType string) bool {
	return mediaType == ociIndex || mediaType == dockerList
}

func isManifest(mediaType string) bool {
	return mediaType == ociManifest || mediaType == dockerManifest
}

// essential says which kinds of document one looks like.
func essential(raw []byte) (hasConfig, hasLayers, hasManifests, hasOld bool) {
	found := parseJSON[struct {
		Config    any `json:"config"`
		FSLayers  any `json:"fsLayers"`
		History   any `json:"history"`
		Layers    any `json:"layers"`
		Manifests any `json:"manifests"`
	}](raw)
	return found.Config != nil, found.Layers != nil, found.Manifests != nil, found.FSLayers != nil || found.History != nil
}

// isArtifact returns whether a manifest is of something else than an image, which readers take without a use for it.
func isArtifact(of *manifest) bool {
	for _, layer := range of.Layers {
		if !isLayer(layer.MediaType) && layer.MediaType != "" {
			return true
		}
	}
	return of.Config.MediaType != ociConfig && of.Config.MediaType != dockerConfig && of.Config.MediaType != ""
}

func isLayer(mediaType string) bool {
	base, _, _ := strings.Cut(mediaType, "+")
	return strings.HasPrefix(mediaType, "application/vnd.oci.image.layer.") ||
		strings.HasPrefix(base, "application/vnd.docker.image.rootfs.")
}
