package main

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane"
	"github.com/ergane-dev/ergane/internal/engine"
)

// limitFlags are the operator's limits; 0 is no limit, except for the memory, the
// time to start and the output, where it is the default.
type limitFlags struct {
	MaxSessions          int           `help:"How many sessions may be live at once; 0: any number." env:"ERGANE_MAX_SESSIONS" placeholder:"N"`
	MaxWorkgroupSessions int           `help:"The same for each workgroup." env:"ERGANE_MAX_WORKGROUP_SESSIONS" placeholder:"N"`
	MaxDpus              int           `help:"How many DPUs (MaxConcurrentDpus, default 20) the live sessions may have together; 0: any number." env:"ERGANE_MAX_DPUS" placeholder:"N"`
	MaxWorkgroupDpus     int           `help:"The same for each workgroup." env:"ERGANE_MAX_WORKGROUP_DPUS" placeholder:"N"`
	MaxMemory            byteSize      `help:"Memory that the live sessions may need together: 16g, 900m. Each counts with its driver's heap and 400 MiB (or spark.driver.memoryOverhead), and the executors of a local cluster. Default: nine tenths of the machine's." env:"ERGANE_MAX_MEMORY" placeholder:"SIZE"`
	MaxRunTime           time.Duration `help:"How long a calculation may run before it is stopped; 0: no limit." env:"ERGANE_MAX_RUN_TIME" placeholder:"DURATION"`
	MaxStartTime         time.Duration `help:"How long a session's kernel may take to be ready, from its turn to start; after that the session is FAILED; 0: 5m." default:"5m" env:"ERGANE_MAX_START_TIME" placeholder:"DURATION"`
	MaxOutput            byteSize      `help:"How much a calculation may print to stdout, or to stderr, before it is stopped." default:"1g" env:"ERGANE_MAX_OUTPUT" placeholder:"SIZE"`
	MaxDisk              byteSize      `help:"How large a session's folder may grow before its calculation is stopped; 0: as large as the disk." env:"ERGANE_MAX_DISK" placeholder:"SIZE"`
	MaxPendingBytes      byteSize      `name:"max-owed" help:"How much output may wait on this machine's disk while the S3 for results is unreachable; beyond it the oldest is discarded. Default: a tenth of the disk of the data folder." env:"ERGANE_MAX_OWED" placeholder:"SIZE"`
	MaxLogs              byteSize      `help:"How much disk the logs of ended sessions may take; beyond it the oldest are removed. They are kept for a week at most. 0: any size." default:"1g" env:"ERGANE_MAX_LOGS" placeholder:"SIZE"`
	APIRate              int           `name:"api-rate" help:"How many calls a second each access key may make; 0: any number." env:"ERGANE_API_RATE" placeholder:"N"`
}

// check refuses values that make no sense.
func (l limitFlags) check() error {
	for _, f := range []struct {
		flag  string
		value int64
	}{
		{"max-sessions", int64(l.MaxSessions)}, {"max-workgroup-sessions", int64(l.MaxWorkgroupSessions)},
		{"max-dpus", int64(l.MaxDpus)}, {"max-workgroup-dpus", int64(l.MaxWorkgroupDpus)},
		{"max-run-time", int64(l.MaxRunTime)}, {"max-start-time", int64(l.MaxStartTime)}, {"api-rate", int64(l.APIRate)},
	} {
		if f.value < 0 {
			return fmt.Errorf("--%s is negative; 0 means no limit", f.flag)
		}
	}
	return nil
}

func (l limitFlags) live() ergane.Limits {
	memory := int64(l.MaxMemory)
	if memory == 0 {
		memory = machineMemory() / 10 * 9
		if memory > 0 { // there must be room for one session of the default size
			memory = max(memory, engine.Memory(nil, engine.Master{}, 0))
		}
	}
	return ergane.Limits{
		Sessions: l.MaxSessions, WorkGroupSessions: l.MaxWorkgroupSessions,
		Dpus: l.MaxDpus, WorkGroupDpus: l.MaxWorkgroupDpus, Memory: memory,
	}
}

// machineMemory is the memory of the machine, or of the container, in bytes; 0
// if it cannot be read.
func machineMemory() int64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return 0
	}
	total := int64(info.Totalram) * int64(info.Unit)
	// In a container, its own control group is the root.
	raw, err := os.ReadFile("/sys/fs/cgroup/memory.max")
	if err != nil {
		return total
	}
	if most, err := strconv.ParseInt(string(bytes.TrimSpace(raw)), 10, 64); err == nil && most < total {
		return most
	}
	return total
}

// A byteSize is written with k, m, g or t for powers of 1024.
type byteSize int64

// UnmarshalText reads a flag.
func (b *byteSize) UnmarshalText(text []byte) error {
	lower := strings.ToLower(string(text))
	digits := strings.TrimRight(lower, "kmgt")
	shift := 0
	if unit := lower[len(digits):]; len(unit) == 1 {
		shift = 10 * (strings.Index("kmgt", unit) + 1)
	} else if unit != "" {
		digits = ""
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift {
		return fmt.Errorf("%q is not a size, for instance 900m or 16g", text)
	}
	*b = byteSize(n << shift)
	return nil
}
