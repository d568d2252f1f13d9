package main

import (
	"regexp"
	"strings"
)

const (
	label    = `(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])`
	host     = `(?:` + label + `(?:\.` + label + `)*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?`
	pathPart = `[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*`
	digests  = `[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}`
	maxName  = 255
)

var (
	referencePattern = regexp.MustCompile(
		`^(` + host + `/` + pathPart + `(?:/` + pathPart + `)*)(?::(\w[\w.-]{0,127}))?(?:@(` + digests + `))?$`)
	identifier = regexp.MustCompile(`^[a-f0-9]{64}$`)
	knownSum   = regexp.MustCompile(`^(?:sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})$`)
)

// A name of an image, in full.
type reference struct {
	name, tag, digest string
}

// parse reads a name by docker's rules, and returns whether it is one.
func parse(text string) (reference, bool) {
	if identifier.MatchString(text) {
		return reference{}, false
	}
	domain, rest := split(text)
	path, _, _ := strings.Cut(rest, ":")
	found := referencePattern.FindStringSubmatch(domain + "/" + rest)
	if found == nil || strings.ToLower(path) != path || len(found[1]) > maxName {
		return reference{}, false
	}
	if found[3] != "" && !knownSum.MatchString(found[3]) {
		return reference{}, false
	}
	return reference{found[1], found[2], found[3]}, true
}

// split separates the registry, which may be implied.
func split(text string) (string, string) {
	domain, rest, hasSlash := strings.Cut(text, "/")
	isHost := strings.ContainsAny(domain, ".:") || domain == "localhost" || strings.ToLower(domain) != domain
	if !hasSlash || !isHost {
		domain, rest = "docker.io", text
	}
	if domain == "index.docker.io" {
		domain = "docker.io"
	}
	if domain == "docker.io" && !strings.Contains(rest, "/") {
		rest = "library/" + rest
	}
	return domain, rest
}

func (r reference) String() string {
	text := r.name
	if r.tag != "" {
		text += ":" + r.tag
	}
	if r.digest != "" {
		text += "@" + r.digest
	}
	return text
}

// full returns a name in docker's form, or as it is if docker cannot read it.
func full(text string) string {
	found, ok := parse(text)
	if !ok {
		return text
	}
	if found.tag == "" && found.digest == "" {
		found.tag = "latest"
	}
	return found.String()
}

// fullOrTag returns a name in full, or what is a tag alone as it is.
func fullOrTag(text string) string {
	if strings.ContainsAny(text, "/:@") {
		return full(text)
	}
	return text
}
