package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// The exit status of a stage that could not do what it was told: because the
// machine had no room for it just then, and for any other reason.
const (
	stageShort  = 124
	stageFailed = 125
)

// Main is the main function of the stage; args is the command that it becomes.
// It returns only where that fails, with an exit status, after a line on stderr.
func Main(args []string) int {
	runtime.LockOSThread() // much of what follows is the thread's, and the thread becomes the program
	p, err := readPolicy()
	if err == nil && p.Pids && !p.Inner {
		var status int
		if status, err = p.beInit(); err == nil {
			return status
		}
	}
	if err == nil {
		err = p.apply()
	}
	if err == nil && p.Probe != nil {
		return p.Probe.report()
	}
	if err == nil {
		err = syscall.Exec(args[0], args, os.Environ())
		err = fmt.Errorf("become %s: %w", args[0], err)
	}
	fmt.Fprintln(os.Stderr, "cannot set up the sandbox:", err)
	if passes(err) {
		return stageShort
	}
	return stageFailed
}

func readPolicy() (*Policy, error) {
	f := os.NewFile(policyFD, "policy")
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPolicy))
	if err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	p := new(Policy)
	if err := json.Unmarshal(b, p); err != nil {
		return nil, fmt.Errorf("read policy: %w", err)
	}
	return p, p.check()
}

// outer puts those layers on that the first process of a namespace has, too.
func (p *Policy) outer() error {
	if p.Group != nil {
		if err := p.Group.join(); err != nil {
			return fmt.Errorf("control group: %w", err)
		}
	}
	if err := limits(p.Processes); err != nil {
		return err
	}
	dieFirst()
	if p.Mounts {
		if err := mounts(p); err != nil {
			return fmt.Errorf("mounts: %w", err)
		}
	}
	return nil
}

// apply puts the layers on, those first that need what later ones take away.
func (p *Policy) apply() error {
	if !p.Inner {
		if err := p.outer(); err != nil {
			return err
		}
	}
	if err := unix.Chdir(p.Dir); err != nil {
		return &os.PathError{Op: "chdir", Path: p.Dir, Err: err}
	}
	// Keys that the server's login put into its keyring are not for sessions.
	unix.KeyctlJoinSessionKeyring("") // not everywhere there
	if err := become(p.User); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	if err := dieWith(p.Parent); err != nil {
		return err
	}
	if p.Landlock {
		if err := landlock(p.View, p.Mounts); err != nil {
			return fmt.Errorf("landlock: %w", err)
		}
	}
	return nil
}
