package sandbox

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// become makes this process an ordinary process of the user; 0 keeps the present
// user, without its capabilities.
func become(user int) error {
	if user != 0 {
		if err := syscall.Setgroups(nil); err != nil {
			return fmt.Errorf("drop the supplementary groups: %w", err)
		}
		if err := syscall.Setresgid(user, user, user); err != nil {
			return fmt.Errorf("become group %d: %w", user, err)
		}
		if err := syscall.Setresuid(user, user, user); err != nil {
			return fmt.Errorf("become user %d: %w", user, err)
		}
	}
	return disarm()
}

// disarm gives up all capabilities, also for the programs that this process
// executes and starts: after it root is an ordinary user.
func disarm() error {
	if os.Geteuid() == 0 {
		const locked = 1<<0 | 1<<1 | 1<<2 | 1<<3 // SECBIT_NOROOT, SECBIT_NO_SETUID_FIXUP, each with its lock
		if err := unix.Prctl(unix.PR_SET_SECUREBITS, locked, 0, 0, 0); err != nil {
			return fmt.Errorf("give up capabilities: %w", err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("give up capabilities: %w", err)
	}
	return nil
}

// limits sets the resource limits, which children inherit.
func limits(processes int) error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	if processes > 0 {
		n := uint64(processes)
		if err := unix.Setrlimit(unix.RLIMIT_NPROC, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return fmt.Errorf("limit the processes: %w", err)
		}
	}
	return nil
}

// dieWith makes Linux kill this process when its parent ends. The parent had set that, but the change of user undid it.
func dieWith(parent int) error {
	if err := unix.Prctl(unix.PR_SET_PDEATHSIG, uintptr(unix.SIGKILL), 0, 0, 0); err != nil {
		return fmt.Errorf("set the signal for the parent's death: %w", err)
	}
	if os.Getppid() != parent {
		return errors.New("the parent has ended")
	}
	return nil
}
