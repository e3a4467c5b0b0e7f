package sandbox

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A Probe is what a stage tries after it has applied its layers.
type Probe struct {
	Secret   string   `json:"secret"`   // a file that it must not read
	Stranger int      `json:"stranger"` // the PID of a process that it must not reach
	Need     []string `json:"need"`     // files that it must be able to read
}

// A report is what a Probe found.
type report struct {
	User       int      `json:"user"`
	Secret     access   `json:"secret"`
	Signal     bool     `json:"signal"` // it could signal Stranger
	Unreadable []string `json:"unreadable"`
	Groups     string   `json:"groups"`    // as /proc/self/cgroup has them
	Processes  int      `json:"processes"` // that it can see
}

func (p *Probe) report() int {
	r := report{User: os.Geteuid(), Secret: accessTo(p.Secret), Signal: unix.Kill(p.Stranger, 0) == nil}
	if b, err := os.ReadFile("/proc/self/cgroup"); err == nil {
		r.Groups = string(b)
	}
	names, _ := filepath.Glob("/proc/[0-9]*")
	r.Processes = len(names)
	for _, path := range p.Need {
		if !canRead(path) {
			r.Unreadable = append(r.Unreadable, path)
		}
	}
	if json.NewEncoder(os.Stdout).Encode(r) != nil {
		return stageFailed
	}
	return 0
}

// An access says whether a file can be seen and read.
type access string

const (
	notThere access = "not there"
	denied   access = "denied"
	readable access = "readable"
)

func accessTo(path string) access {
	if canRead(path) {
		return readable
	}
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return notThere
	}
	return denied
}

func canRead(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	f.Close()
	return true
}
