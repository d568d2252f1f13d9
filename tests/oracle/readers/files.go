package main

import (
	"archive/tar"
	"io"
	"path"
	"strings"
)

// A file in memory.  Docker and skopeo unpack an archive into a directory first, and so does `untar`.
type node struct {
	kind     byte // one of tar's types
	content  []byte
	target   string // of a symbolic link
	children map[string]*node
}

const maxLinks = 40

func newDirectory() *node {
	return &node{kind: tar.TypeDir, children: map[string]*node{}}
}

// A walk follows symbolic links, and never leaves the root.
type walk struct {
	stack []*node
	links int
}

// to goes along a path, making missing directories if it may, and returns what it finds or nil.
func (w *walk) to(where string, make bool) *node {
	for _, part := range strings.Split(where, "/") {
		here := w.stack[len(w.stack)-1]
		if here.kind != tar.TypeDir {
			return nil
		}
		switch part {
		case "", ".":
			continue
		case "..":
			w.stack = w.stack[:max(1, len(w.stack)-1)]
			continue
		}
		next := here.children[part]
		if next == nil && make {
			next = newDirectory()
			here.children[part] = next
		}
		if next == nil {
			return nil
		}
		if next.kind != tar.TypeSymlink {
			w.stack = append(w.stack, next)
		} else if !w.follow(next.target) {
			return nil
		}
	}
	return w.stack[len(w.stack)-1]
}

func (w *walk) follow(target string) bool {
	if w.links++; w.links > maxLinks {
		return false
	}
	if strings.HasPrefix(target, "/") {
		w.stack = w.stack[:1]
	}
	return w.to(target, false) != nil
}

func find(root *node, where string, make bool) *node {
	w := walk{stack: []*node{root}}
	return w.to(path.Clean("/"+where), make)
}

// read returns the content of a file, or refuses.
func read(root *node, where string) []byte {
	found := find(root, where, false)
	if found == nil {
		refuse("%s is missing", where)
	}
	if found.kind != tar.TypeReg {
		refuse("%s is not a file", where)
	}
	return found.content
}

// untar unpacks an archive.  A later entry replaces what is in its place, unless both are directories.
func untar(stream io.Reader) *node {
	root := newDirectory()
	directories := []string{}
	for files := tar.NewReader(stream); ; {
		header, err := files.Next()
		if err == io.EOF {
			break
		}
		check(err)
		where := path.Clean(header.Name)
		if header.Typeflag == tar.TypeXGlobalHeader || where == "." || where == "/" {
			continue
		}
		if where == ".." || strings.HasPrefix(where, "../") || strings.Contains(where, "\x00") {
			refuse("%q is outside", header.Name)
		}
		content, err := io.ReadAll(files)
		check(err)
		place(root, where, header, content)
		if header.Typeflag == tar.TypeDir {
			directories = append(directories, where)
		}
	}
	for _, where := range directories { // their times are set at the end
		if find(root, where, false) == nil {
			refuse("the directory %q is gone", where)
		}
	}
	return root
}

func place(root *node, where string, header *tar.Header, content []byte) {
	parent := find(root, path.Dir(where), true)
	if parent == nil || parent.kind != tar.TypeDir {
		refuse("%q is below something that is not a directory", where)
	}
	base := path.Base(where)
	old := parent.children[base]
	delete(parent.children, base)
	switch header.Typeflag {
	case tar.TypeDir:
		if old == nil || old.kind != tar.TypeDir {
			old = newDirectory()
		}
		parent.children[base] = old
	case tar.TypeSymlink:
		if header.Linkname == "" || strings.Contains(header.Linkname, "\x00") {
			refuse("%q links to nothing", where)
		}
		parent.children[base] = &node{kind: tar.TypeSymlink, target: header.Linkname}
	case tar.TypeLink:
		parent.children[base] = hardLinked(root, header.Linkname)
	case tar.TypeReg, tar.TypeBlock, tar.TypeChar, tar.TypeFifo:
		parent.children[base] = &node{kind: header.Typeflag, content: content}
	default:
		refuse("unhandled tar header type %d", header.Typeflag)
	}
}

// hardLinked returns what a link names, which is not followed if it is a symbolic link itself.
func hardLinked(root *node, name string) *node {
	parent := find(root, path.Dir(path.Clean("/"+name)), false)
	if parent == nil || parent.kind != tar.TypeDir {
		refuse("a hard link to %q, whose directory is missing", name)
	}
	target := parent.children[path.Base(path.Clean("/"+name))]
	if target == nil || target.kind == tar.TypeDir {
		refuse("a hard link to %q, which is missing or a directory", name)
	}
	return target
}
