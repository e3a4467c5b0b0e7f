package sandbox

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// sessionScore is the lowest oom_score_adj of a session
// (proc_pid_oom_score_adj(5)): a session is killed before the server even if the
// server uses more memory by half of the machine's.
const sessionScore = 500

// dieFirst makes Linux kill this process and its descendants before the server
// when the machine runs out of memory. If that cannot be set, it does nothing.
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

// Shortage says how a group has run out of memory so far.
type Shortage struct {
	Kills int64 // how many processes Linux has killed for it
	// Own says that the group has reached its own limit; otherwise all sessions
	// together have reached theirs, or the machine ran out of memory.
	Own bool
}

// nearLimit is how far, in bytes, the highest use of a group in version 1 may be
// below a limit that it has reached: memory is allocated in more than one page.
const nearLimit = 1 << 20

// Shortage reads the counts. A nil group has none.
func (g *Group) Shortage() (s Shortage) {
	if g == nil {
		return s
	}
	for _, dir := range g.Dirs {
		number := func(file, key string) int64 { return count(filepath.Join(dir, file), key) }
		// Version 2, then version 1, which counts no failures at the limit.
		s.Kills += number("memory.events", "oom_kill") + number("memory.oom_control", "oom_kill")
		most := number("memory.limit_in_bytes", "")
		s.Own = s.Own || number("memory.events", "oom") > 0 || most > 0 && number("memory.max_usage_in_bytes", "") > most-nearLimit
	}
	return s
}

// count reads the number after a key, or with an empty key the only number of a file; 0 if there is none.
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
