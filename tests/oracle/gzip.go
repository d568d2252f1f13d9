// What Go's compress/gzip makes of streams, for comparison with imgfetch (tests/oracle/golang.py).
//
// Input: streams, each after its length in four bytes, most significant first.
// Output: nine bytes for each: 1 if Go accepts it or else 0, then the length and the CRC-32 of what came out.
package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"hash/crc32"
	"io"
	"os"
)

func main() {
	in, out := bufio.NewReader(os.Stdin), bufio.NewWriter(os.Stdout)
	for {
		var length uint32
		if binary.Read(in, binary.BigEndian, &length) != nil {
			return
		}
		stream := make([]byte, length)
		if _, err := io.ReadFull(in, stream); err != nil {
			panic(err)
		}
		out.Write(outcome(stream))
		out.Flush()
	}
}

func outcome(stream []byte) []byte {
	answer := make([]byte, 9)
	sum := crc32.NewIEEE()
	reader, err := gzip.NewReader(bytes.NewReader(stream))
	var count int64
	if err == nil {
		count, err = io.Copy(sum, reader)
	}
	if err == nil {
		answer[0] = 1
	}
	binary.BigEndian.PutUint32(answer[1:], uint32(count))
	binary.BigEndian.PutUint32(answer[5:], sum.Sum32())
	return answer
}
