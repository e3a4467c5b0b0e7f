package main

import (
	"bufio"
	"io"
	"strings"

	"github.com/ergane-dev/ergane/internal/server"
)

// finalError finds the error message with which a server ended in its log.
func finalError(log io.Reader, path string) string {
	last := ""
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		if line, ok := strings.CutPrefix(lines.Text(), "ergane: "); ok {
			last = line
		}
	}
	switch {
	case strings.HasPrefix(last, server.AlreadyServed):
		return ""
	case last == "":
		return "the server ended without an error message; see " + path
	}
	return last
}
