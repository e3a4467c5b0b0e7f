package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// sessionScore is the least oom_score_adj of a session (proc_pid_oom_score_adj(5)):
// one that has half of the machine's memory less than the server still goes first.
const sessionScore = 500

// dieFirst makes Linux choose this process, and those that come of it, before
// the server when the machine has no memory left. It is left as it is where
// that cannot be said.
func dieFirst() {
	const file = "/proc/self/oom_score_adj"
	b, err := os.ReadFile(file)
	if err != nil {
		return
	}
	if score, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil && score < sessionScore {
		os.WriteFile(file, []byte(strconv.Itoa(sessionScore)), 0)
	}
}

// Shortage is what a want of memory has done to a group so far.
type Shortage struct {
	Kills int64 // how many processes Linux has killed for it
	// Own tells that the group has come to its own limit, and not only all of
	// a server's sessions to theirs, or the machine to its end.
	Own bool
}

// nearLimit is how far, in bytes, version 1 stays away from a limit that cannot
// be kept: memory comes in more than a page at a time.
const nearLimit = 1 << 20

// Shortage reads the counts. A nil group has none.
func (g *Group) Shortage() (s Shortage) {
	if g == nil {
		return s
	}
	for _, dir := range g.Dirs {
		number := func(file, key string) int64 { return count(filepath.Join(dir, file), key) }
		// Version 2, then version 1, which counts what it fails at no more.
		s.Kills += number("memory.events", "oom_kill") + number("memory.oom_control", "oom_kill")
		most := number("memory.limit_in_bytes", "")
		s.Own = s.Own || number("memory.events", "oom") > 0 || most > 0 && number("memory.max_usage_in_bytes", "") > most-nearLimit
	}
	return s
}

// count reads the number after a key, or the only number of a file; 0 where there is none.
func count(file, key string) int64 {
	b, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		name, value, two := strings.Cut(strings.TrimSpace(line), " ")
		if !two {
			name, value = "", name
		}
		if name == key {
			n, _ := strconv.ParseInt(value, 10, 64)
			return n
		}
	}
	return 0
}
