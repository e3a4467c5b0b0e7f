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

// findKernel opens the kernel's process. In a process namespace, the kernel is the
// child of an init, which knows it by another pid. If the kernel has ended already,
// its init has, too, and is returned in its place.
func (s *shim) findKernel() (*child.Process, error) {
	if s.inside == nil {
		return child.OpenPID(s.child)
	}
	var born sandbox.Started
	words := json.NewDecoder(s.inside)
	if words.Decode(&born) == nil { // otherwise the init has ended, and its error is in spawn.log
		for _, pid := range children(s.child) {
			if numberInside(pid) != born.PID {
				continue
			}
			p, err := child.OpenPID(pid)
			if err != nil {
				break
			}
			// Read only after the process has been opened, so that the pid cannot be reused.
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

// insideRest keeps what the decoder has read ahead of the init's output for the next read.
func (s *shim) insideRest(words *json.Decoder) {
	s.words = io.MultiReader(words.Buffered(), s.inside)
}

// statusInside is how the kernel ended, given how its init ended.
func (s *shim) statusInside(init syscall.WaitStatus) syscall.WaitStatus {
	if s.words == nil {
		return init
	}
	var death sandbox.Ended
	if json.NewDecoder(s.words).Decode(&death) != nil { // the init was killed, and the kernel with it
		return init
	}
	return death.Status
}

// numberInside is the pid of a process in its own process namespace; 0 if that cannot be read.
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
