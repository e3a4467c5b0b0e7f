package sandbox

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"golang.org/x/sys/unix"
)

// ReportFD is the descriptor on which the init of a process namespace tells of
// the kernel, to whoever started it: that it runs, and how it ended.
const ReportFD = 6

// A Birth and a Death are its two lines, in JSON.
type (
	Birth struct {
		PID int `json:"pid"` // in the namespace
	}
	Death struct {
		Status syscall.WaitStatus `json:"status"`
	}
)

// beInit makes this process, the first of its process namespace, the parent of
// the kernel. It cannot be the kernel itself: Linux keeps the signals of its own
// namespace from the first process, and hands it every orphan. With it ends all
// that is in the namespace. It returns the exit status.
func (p *Policy) beInit() (int, error) {
	if err := p.outer(); err != nil {
		return 0, err
	}
	// It has what the layers take from the kernel, and the kernel's user may be its own.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("make the first process inaccessible: %w", err)
	}
	policy, err := p.inner()
	if err != nil {
		return 0, fmt.Errorf("hand on the policy: %w", err)
	}
	defer policy.Close()
	for fd := uintptr(0); fd <= ReportFD; fd++ {
		unix.CloseOnExec(int(fd)) // what Files names is the child's all the same
	}
	files := []uintptr{0, 1, 2, 3, 4, policy.Fd()}
	// As this process was started; its file need not be in view.
	pid, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: files, Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return 0, fmt.Errorf("start the kernel's process: %w", err)
	}
	// After the start: what is ignored would be ignored by the kernel, too.
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM)
	for _, fd := range []int{3, 4} { // a pipe that the init holds has no end
		unix.Close(fd)
	}
	report := os.NewFile(ReportFD, "report")
	tell := json.NewEncoder(report)
	tell.Encode(Birth{pid}) // who does not read does not need it
	debug.FreeOSMemory()
	for {
		var status syscall.WaitStatus
		switch ended, err := syscall.Wait4(-1, &status, 0, nil); {
		case err == syscall.EINTR:
		case err != nil:
			return 0, fmt.Errorf("wait for the kernel's process: %w", err)
		case ended == pid:
			tell.Encode(Death{status})
			if status.Signaled() {
				return 128 + int(status.Signal()), nil // as shells have it
			}
			return status.ExitStatus(), nil
		}
	}
}

// inner is the policy for the kernel's process, with what is left to do.
func (p *Policy) inner() (*os.File, error) {
	left := *p
	left.Inner, left.Parent = true, os.Getpid()
	b, err := json.Marshal(left)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("policy", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "policy")
	if _, err := f.WriteAt(b, 0); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// ownProc puts the processes of this namespace in the place of the machine's.
func ownProc() error {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return &os.PathError{Op: "mount", Path: "/proc", Err: err}
	}
	return nil
}
