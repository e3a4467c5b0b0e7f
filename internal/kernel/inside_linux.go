package kernel

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/ergane-dev/ergane/internal/child"
	"github.com/ergane-dev/ergane/internal/sandbox"
)

// findKernel pins the kernel. Where it is in a process namespace, it is the
// child of an init which knows another number of it. One that has ended already
// is gone with its init: that stands for it.
func (s *shim) findKernel() (*child.Process, error) {
	if s.inside == nil {
		return child.OpenPID(s.child)
	}
	var born sandbox.Started
	words := json.NewDecoder(s.inside)
	if words.Decode(&born) == nil { // else the init has ended, and its words are in spawn.log
		for _, pid := range children(s.child) {
			if numberInside(pid) != born.PID {
				continue
			}
			p, err := child.OpenPID(pid)
			if err != nil {
				break
			}
			// Looked at only after the number has been pinned.
			if st, err := child.ReadStat(pid); err == nil && st.Parent == s.child {
				s.insideRest(words)
				return p, nil
			}
			p.Close()
		}
	}
	s.insideRest(words)
	return child.OpenPID(s.child)
}

// insideRest leaves what was read too much of the init's words to be read again.
func (s *shim) insideRest(words *json.Decoder) {
	s.words = io.MultiReader(words.Buffered(), s.inside)
}

// statusInside is how the kernel ended whose init ended so.
func (s *shim) statusInside(init syscall.WaitStatus) syscall.WaitStatus {
	if s.words == nil {
		return init
	}
	var death sandbox.Ended
	if json.NewDecoder(s.words).Decode(&death) != nil { // it was killed, and the kernel with it
		return init
	}
	return death.Status
}

// numberInside is the number that a process has in its own process namespace; 0 where it cannot be found out.
func numberInside(pid int) int {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if numbers, ok := strings.CutPrefix(line, "NSpid:"); ok {
			numbers = strings.TrimSpace(numbers)
			n, _ := strconv.Atoi(numbers[strings.LastIndexByte(numbers, '\t')+1:])
			return n
		}
	}
	return 0
}
