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

// ReportFD is the descriptor to which the init of a process namespace writes that
// the kernel was started, and how it ended.
const ReportFD = 6

// Started and Ended are the two lines that it writes, in JSON.
type (
	Started struct {
		PID int `json:"pid"` // in the namespace
	}
	Ended struct {
		Status syscall.WaitStatus `json:"status"`
	}
)

// beInit makes this process, the first of its process namespace, the parent of
// the kernel. It cannot be the kernel itself: Linux does not deliver signals from
// inside the namespace to the first process, and makes it the parent of all
// orphans. When it ends, Linux kills all processes of the namespace. It returns the
// exit status.
func (p *Policy) beInit() (int, error) {
	if err := p.outer(); err != nil {
		return 0, err
	}
	// It has rights that the layers take from the kernel, which may run as the same user.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return 0, fmt.Errorf("make the first process inaccessible: %w", err)
	}
	policy, err := p.inner()
	if err != nil {
		return 0, fmt.Errorf("hand on the policy: %w", err)
	}
	defer policy.Close()
	for fd := uintptr(0); fd <= ReportFD; fd++ {
		unix.CloseOnExec(int(fd)) // the child still gets those in Files
	}
	files := []uintptr{0, 1, 2, 3, 4, policy.Fd()}
	// The same program, whose file may not be visible in the sandbox.
	pid, err := syscall.ForkExec("/proc/self/exe", os.Args, &syscall.ProcAttr{
		Dir: "/", Env: os.Environ(), Files: files, Sys: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return 0, fmt.Errorf("start the kernel's process: %w", err)
	}
	// After the start, because the kernel would inherit ignored signals.
	signal.Ignore(unix.SIGTERM, unix.SIGINT, unix.SIGHUP, unix.SIGQUIT, unix.SIGPIPE, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM)
	for _, fd := range []int{3, 4} { // readers of these pipes would never see their end
		unix.Close(fd)
	}
	report := os.NewFile(ReportFD, "report")
	lines := json.NewEncoder(report)
	lines.Encode(Started{pid}) // fails if nobody reads, which is allowed
	debug.FreeOSMemory()
	for {
		var status syscall.WaitStatus
		switch ended, err := syscall.Wait4(-1, &status, 0, nil); {
		case err == syscall.EINTR:
		case err != nil:
			return 0, fmt.Errorf("wait for the kernel's process: %w", err)
		case ended == pid:
			lines.Encode(Ended{status})
			if status.Signaled() {
				return 128 + int(status.Signal()), nil // as shells do
			}
			return status.ExitStatus(), nil
		}
	}
}

// inner is a file with the policy for the kernel's process: what is left to apply.
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

// ownProc mounts a /proc with only the processes of this namespace.
func ownProc() error {
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return &os.PathError{Op: "mount", Path: "/proc", Err: err}
	}
	return nil
}
