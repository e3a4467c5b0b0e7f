package main

import (
	"bufio"
	"io"
	"strings"
)

// alreadyServed begins the message of a server that found its data dir in use.
const alreadyServed = "a server already runs on "

// lastWords finds the message with which a server ended in what it logged.
func lastWords(log io.Reader, path string) string {
	last := ""
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if line, ok := strings.CutPrefix(lines.Text(), "ergane: "); ok {
			last = line
		}
	}
	switch {
	case strings.HasPrefix(last, alreadyServed):
		return ""
	case last == "":
		return "the server ended without a word; see " + path
	}
	return last
}
