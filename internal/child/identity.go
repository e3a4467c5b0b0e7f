// Package child has what the processes have in common that outlive the server
// which started them: an identity by which another server finds the process again
// and signals it and no other, and the end of a process that nobody uses.
package child

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// An Identity identifies one process for ever: PIDs are reused, but not with the
// same start time in the same boot. It is part of the handles on disk.
type Identity struct {
	PID    int    `json:"pid"`
	Start  uint64 `json:"start"` // in clock ticks since boot: field 22 of /proc/<pid>/stat
	BootID string `json:"boot_id"`
}

// IdentityOf is the identity of a process whose PID cannot be reused meanwhile:
// this process, or a child that was not reaped.
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

// Alive reports whether the process has not ended. An error means that this could
// not be determined.
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

// BootID identifies the machine's current boot. It does not change when only a
// container restarts.
func BootID() (string, error) {
	b, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b)), err
}

// A Stat is a part of /proc/<pid>/stat, see proc(5).
type Stat struct {
	Parent, Session int
	Start           uint64 // clock ticks since boot
	Zombie          bool
}

// ReadStat reads the Stat of the process that has the PID now.
func ReadStat(pid int) (Stat, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return Stat{}, err
	}
	return parseStat(b)
}

func parseStat(b []byte) (Stat, error) {
	// The second field is the program's name in brackets, which may contain anything.
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
