package kernel

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/ergane-dev/ergane/internal/child"
)

// A Handle is what is needed to find a kernel again. The shim writes it as
// handle.json before the kernel is reported as started.
type Handle struct {
	V         int    `json:"v"`
	PID       int    `json:"pid"`   // of the kernel
	Start     uint64 `json:"start"` // when it was started, in clock ticks since boot
	ShimPID   int    `json:"shim_pid"`
	ShimStart uint64 `json:"shim_start"`
	BootID    string `json:"boot_id"`
	User      int    `json:"user,omitzero"`  // of the kernel, where it has one of its own
	Claim     string `json:"claim,omitzero"` // the file of the lock on that user, which the shim holds
}

func (h Handle) kernel() child.Identity {
	return child.Identity{PID: h.PID, Start: h.Start, BootID: h.BootID}
}

func (h Handle) shim() child.Identity {
	return child.Identity{PID: h.ShimPID, Start: h.ShimStart, BootID: h.BootID}
}

const (
	handleFile = "handle.json"
	exitFile   = "exit.json"
	epochFile  = "epoch.json"
	lockFile   = "lock"
	spawnLog   = "spawn.log"
	workFolder = "work"
	socketFile = "kernel.sock"
)

func parseHandle(b []byte) (Handle, error) {
	var h Handle
	err := json.Unmarshal(b, &h)
	if _, other := errors.AsType[*json.UnmarshalTypeError](err); err != nil && !other {
		return Handle{}, err
	}
	if h.V != protocolVersion { // it may still name the processes, which have to be ended, or have other fields instead
		return h, &versionError{fmt.Sprintf("its handle has version %d, not %d", h.V, protocolVersion)}
	}
	if err != nil {
		return Handle{}, err
	}
	if h.PID <= 1 || h.ShimPID <= 1 {
		return Handle{}, errors.New("it names no process")
	}
	return h, nil
}

// epochs gives out the numbers by which a kernel tells a newer server from an
// older one. Every server that starts or adopts a kernel gets a block of numbers,
// which is recorded before the first of them is used; the numbers within a block
// need no record.
type epochs struct{ last int64 }

const epochBlock = 1 << 20 // connections of one server to one kernel

type epochDocument struct {
	V     int   `json:"v"`
	Block int64 `json:"block"`
}

func takeEpochs(root *os.Root) (*epochs, error) {
	d, err := readDocument(root, epochFile, func(b []byte) (d epochDocument, err error) {
		return d, json.Unmarshal(b, &d)
	})
	switch {
	case err == nil, errors.Is(err, fs.ErrNotExist):
	case lasting(err):
		d.Block = time.Now().Unix() // more than the number of servers before
	default:
		return nil, err
	}
	d.V, d.Block = protocolVersion, d.Block+1
	if err := writeDurable(root, epochFile, d); err != nil {
		// On a full disk there is no room for another file, but this file can be
		// overwritten. A process that is killed does not leave half of so few
		// bytes, and after a crash of the machine there is no kernel.
		if overwrite(root, epochFile, d) != nil {
			return nil, err
		}
	}
	return &epochs{last: d.Block * epochBlock}, nil
}

func (e *epochs) next() int64 {
	e.last++
	return e.last
}
