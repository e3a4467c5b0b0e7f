package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ergane-dev/ergane/internal/datadir"
	"github.com/ergane-dev/ergane/internal/flock"
	"github.com/ergane-dev/ergane/internal/kernel"
)

const (
	// wantedDescriptors is the hard limit to which a server raises a lower one,
	// which needs CAP_SYS_RESOURCE: as many as systemd allows its services.
	wantedDescriptors = 512 << 10
	// fewDescriptors are enough for some dozen sessions and their clients.
	fewDescriptors = 1024
	// usualDescriptors is Linux's own soft limit.
	usualDescriptors = 1024
)

// raiseDescriptors raises this process's limits of descriptors. It returns the
// limits from before, which kernels get, because programs in them may loop over
// all descriptors that the limit allows; zero if nothing has changed. If the
// system does not allow it, doctor shows how few there are.
func raiseDescriptors() kernel.Descriptors {
	var was unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &was); err != nil {
		return kernel.Descriptors{}
	}
	most := mostDescriptors()
	// Not Setrlimit: after it, even if it fails, Go does not give children the
	// soft limit that this process had at first.
	if most <= was.Max || unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: most, Max: most}, nil) != nil {
		return kernel.Descriptors{}
	}
	soft := was.Cur
	if soft == was.Max-1 { // Go's runtime raises a lower one to that, and does not say what it was
		soft = min(usualDescriptors, was.Max)
	}
	return kernel.Descriptors{Soft: soft, Hard: was.Max}
}

// mostDescriptors is the hard limit that a lower one is raised to.
func mostDescriptors() uint64 {
	b, err := os.ReadFile("/proc/sys/fs/nr_open")
	if err != nil {
		return 0
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(b)), 10, 64)
	if err != nil {
		return 0
	}
	return min(n, wantedDescriptors)
}

// descriptors shows how many the server has open and may have. Without a server
// it tries how many a server would have that is started like this doctor.
func (c *doctorCmd) descriptors() finding {
	const more = "raise the server's hard limit: LimitNOFILE= of its unit, --ulimit nofile= of its container, or ulimit -n"
	f := finding{Name: "descriptors", OK: true}
	running, err := flock.Held(datadir.Lock(c.DataDir))
	info, ok, infoErr := datadir.ReadServer(c.DataDir)
	if err != nil || infoErr != nil || !running || !ok {
		raiseDescriptors()
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
			return finding{Name: f.Name, Detail: err.Error()}
		}
		f.Detail = fmt.Sprintf("0/%s: a server would have this many", descriptorLimit(limit.Max))
		if limit.Max < fewDescriptors {
			f.OK, f.Advice = false, more
		}
		return f
	}
	proc := filepath.Join("/proc", strconv.Itoa(info.PID))
	limit, err := limitOf(proc)
	if err != nil {
		f.Detail = fmt.Sprintf("the server does not show how many it has: %v", err)
		return f
	}
	used, err := os.ReadDir(filepath.Join(proc, "fd"))
	if err != nil {
		f.Detail = fmt.Sprintf("%s at most; only the server's user can see how many are in use", descriptorLimit(limit))
		return f
	}
	f.Detail = fmt.Sprintf("%d/%s of the server are in use", len(used), descriptorLimit(limit))
	if limit < fewDescriptors || uint64(len(used)) > limit/5*4 {
		f.OK, f.Advice = false, more+"; or allow fewer sessions with --max-sessions"
	}
	return f
}

// limitOf reads a process' soft limit. Unlike prlimit, the file asks for no
// privilege where that is another user's.
func limitOf(proc string) (uint64, error) {
	b, err := os.ReadFile(filepath.Join(proc, "limits"))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if values, ok := strings.CutPrefix(line, "Max open files"); ok {
			soft, _, _ := strings.Cut(strings.TrimSpace(values), " ")
			if soft == "unlimited" {
				return math.MaxUint64, nil
			}
			return strconv.ParseUint(soft, 10, 64)
		}
	}
	return 0, errors.New("its limits have no line of open files")
}

func descriptorLimit(n uint64) string {
	if n == math.MaxUint64 {
		return "unlimited"
	}
	return strconv.FormatUint(n, 10)
}
