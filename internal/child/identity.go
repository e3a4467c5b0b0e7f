// Package child has what all processes share that outlive the server which
// started them: a name for good, by which another server finds the process
// again and signals it and nothing else, and the end of one that nobody uses.
package child

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// An Identity names one process for good: numbers are given out again, but not
// with the same start in the same boot. It is part of the handles on disk.
type Identity struct {
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"` // in clock ticks since boot: field 22 of /proc/<pid>/stat
	BootID string `json:"boot_id"`
}

// IdentityOf describes a process that cannot end meanwhile, such as this one or
// a child that was not reaped.
func IdentityOf(pid int) (Identity, error) {
	st, err := ReadStat(pid)
	if err != nil {
		return Identity{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	boot, err := BootID()
	if err != nil {
		return Identity{}, fmt.Errorf("find boot id: %w", err)
	}
	return Identity{PID: pid, Start: st.Start, BootID: boot}, nil
}

// Alive reports whether the process has not ended. An error says that this
// could not be found out.
func (id Identity) Alive() (bool, error) {
	p, err := Open(id)
	if errors.Is(err, ErrGone) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	p.Close()
	return true, nil
}

// BootID names the machine's present boot. It does not change when only a
// container restarts.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// A Stat is what /proc/<pid>/stat says of a process, see proc(5).
type Stat struct {
	Parent, Session int
	Start           uint64 // clock ticks since boot
	Zombie          bool
}

// ReadStat looks at the process that has the number now.
func ReadStat(pid int) (Stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Stat{}, err
	}
	return parseStat(b)
}

func parseStat(b []byte) (Stat, error) {
	// The second field is the program's name in brackets, which may hold anything.
	end := bytes.LastIndexByte(b, ')')
	fields := strings.Fields(string(b[end+1:]))
	if end < 0 || len(fields) < 20 {
		return Stat{}, errors.New("unknown form of /proc/<pid>/stat")
	}
	st := Stat{Zombie: fields[0] == "Z" || fields[0] == "X"}
	var errs [3]error
	st.Parent, errs[0] = strconv.Atoi(fields[1])
	st.Session, errs[1] = strconv.Atoi(fields[3])
	st.Start, errs[2] = strconv.ParseUint(fields[19], 10, 64)
	return st, errors.Join(errs[:]...)
}
