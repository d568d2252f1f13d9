// What the readers of image archives load, for comparison with imgfetch (tests/oracle/archives.py).
//
// Input: archives, each after its length in four bytes, most significant first.
// Output: a line of JSON for each: for every reader, the images that it loads, or why it refuses the archive.
//
// Each reader's rules are told in a file here after its source was read.  Tar, JSON and gzip are Go's own.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

// An answer is what a reader does with an archive.
type answer struct {
	Refused string   `json:"refused,omitempty"`
	Images  []loaded `json:"images,omitempty"`
}

// An image that a reader loads.
type loaded struct {
	Name     string   `json:"name"`     // with its tag or digest; empty for an image without a name
	Config   string   `json:"config"`   // the SHA-256 of the config
	Layers   []string `json:"layers"`   // the SHA-256 of each layer after decompression
	Digest   string   `json:"digest"`   // of the manifest, if the reader takes it from the archive
	Chosen   bool     `json:"chosen"`   // whether it is the one that runs on linux/amd64
	Artifact bool     `json:"artifact"` // whether it is no image, so that only its name matters
}

var readers = map[string]func(*archive) []loaded{
	"docker":         docker,
	"docker-c8d":     dockerOnContainerd,
	"ctr":            ctr,
	"docker-archive": dockerArchive,
	"oci-archive":    ociArchive,
	"crane":          crane,
}

func main() {
	in, out := bufio.NewReaderSize(os.Stdin, 1<<20), bufio.NewWriter(os.Stdout)
	for {
		var length uint32
		if binary.Read(in, binary.BigEndian, &length) != nil {
			return
		}
		raw := make([]byte, length)
		if _, err := io.ReadFull(in, raw); err != nil {
			panic(err)
		}
		answers := map[string]answer{}
		for name, reader := range readers {
			answers[name] = ask(reader, raw)
		}
		line, err := json.Marshal(answers)
		if err != nil {
			panic(err)
		}
		out.Write(append(line, '\n'))
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
}

// A refusal is what a reader says when it does not take an archive.
type refusal string

func refuse(format string, arguments ...any) {
	panic(refusal(fmt.Sprintf(format, arguments...)))
}

func check(err error) {
	if err != nil {
		refuse("%v", err)
	}
}

func ask(reader func(*archive) []loaded, raw []byte) (result answer) {
	defer func() {
		if reason := recover(); reason != nil {
			text, ok := reason.(refusal)
			if !ok {
				panic(reason)
			}
			result = answer{Refused: string(text)}
		}
	}()
	return answer{Images: reader(&archive{raw: raw})}
}

// An archive as a file, which may be compressed as a whole.
type archive struct {
	raw []byte
}

func isGzip(raw []byte) bool {
	return bytes.HasPrefix(raw, []byte{0x1f, 0x8b, 0x08})
}

// decompressed returns a reader of the archive for those that decompress it.
func (a *archive) decompressed() io.Reader {
	if !isGzip(a.raw) {
		return bytes.NewReader(a.raw)
	}
	reader, err := gzip.NewReader(bytes.NewReader(a.raw))
	check(err)
	return reader
}

// plain returns a reader of the archive for those that do not; what is compressed may look like a tar to them.
func (a *archive) plain() io.Reader {
	if _, err := tar.NewReader(bytes.NewReader(a.raw)).Next(); isGzip(a.raw) && err != nil {
		refuse("compressed")
	}
	return bytes.NewReader(a.raw)
}
