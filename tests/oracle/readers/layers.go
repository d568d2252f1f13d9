package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"time"
)

func sum(raw []byte) string {
	hash := sha256.Sum256(raw)
	return hex.EncodeToString(hash[:])
}

// A layer as every reader unpacks it.
type contents struct {
	sum string // of the decompressed content
	err error
}

const cacheLimit = 1000

var cache = map[string]contents{}

// plainSum returns the SHA-256 of a layer after decompression, or refuses one that no reader of tars takes.
func plainSum(raw []byte) string {
	result := unpacked(raw)
	check(result.err)
	return result.sum
}

func unpacked(raw []byte) contents {
	key := sum(raw)
	result, ok := cache[key]
	if !ok {
		if len(cache) > cacheLimit {
			clear(cache)
		}
		result = unpack(raw)
		cache[key] = result
	}
	return result
}

func unpack(raw []byte) contents {
	if isGzip(raw) {
		reader, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			return contents{err: err}
		}
		if raw, err = io.ReadAll(reader); err != nil {
			return contents{err: err}
		}
	}
	for files := tar.NewReader(bytes.NewReader(raw)); ; {
		if _, err := files.Next(); err == io.EOF {
			return contents{sum: sum(raw)}
		} else if err != nil {
			return contents{err: err}
		}
	}
}

// The parts of a config that readers use, with their types.
type imageConfig struct {
	Created      *time.Time `json:"created"`
	Architecture string     `json:"architecture"`
	Variant      string     `json:"variant"`
	OS           string     `json:"os"`
	Config       *struct {
		Cmd    []string          `json:"Cmd"`
		Env    []string          `json:"Env"`
		Labels map[string]string `json:"Labels"`
	} `json:"config"`
	RootFS *struct {
		Type    string   `json:"type"`
		DiffIDs []string `json:"diff_ids"`
	} `json:"rootfs"`
	History []struct {
		Created    *time.Time `json:"created"`
		CreatedBy  string     `json:"created_by"`
		EmptyLayer bool       `json:"empty_layer"`
	} `json:"history"`
}

func parseConfig(raw []byte) *imageConfig {
	config := &imageConfig{}
	check(json.Unmarshal(raw, config))
	if config.RootFS == nil {
		refuse("a config without rootfs")
	}
	return config
}

// verified returns the sums of layers, which must be those that the config lists.
func verified(config *imageConfig, layers [][]byte) []string {
	if len(layers) != len(config.RootFS.DiffIDs) {
		refuse("%d layers for %d diff_ids", len(layers), len(config.RootFS.DiffIDs))
	}
	sums := []string{}
	for i, layer := range layers {
		sums = append(sums, plainSum(layer))
		if "sha256:"+sums[i] != config.RootFS.DiffIDs[i] {
			refuse("a layer differs from its diff_id")
		}
	}
	return sums
}
