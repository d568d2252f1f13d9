// Rewrites texts by rules as k3s does: reads an array of [pattern, replacement, text] and writes an array of
// results, null where Go refuses the pattern.
package main

import (
	"encoding/json"
	"os"
	"regexp"
)

func main() {
	var cases [][3]string
	if err := json.NewDecoder(os.Stdin).Decode(&cases); err != nil {
		panic(err)
	}
	results := make([]*string, len(cases))
	for i, c := range cases {
		if pattern, err := regexp.Compile(c[0]); err == nil {
			text := pattern.ReplaceAllString(c[2], c[1])
			results[i] = &text
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(results); err != nil {
		panic(err)
	}
}
