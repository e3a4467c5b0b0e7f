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

// The exit status of a stage that failed: because the machine was short of
// resources, or for another reason.
const (
	stageShort  = 124
	stageFailed = 125
)

// Main is the main function of the stage; args is the command that it executes in
// its place. It returns an exit status only if that fails, after a line on stderr.
func Main(args []string) int {
	runtime.LockOSThread() // most settings below are per thread, and this thread executes the program
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
	if isTransient(err) {
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

// outer applies the layers that the first process of a namespace also gets.
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

// apply applies the layers, in the order in which each has the rights that it needs.
func (p *Policy) apply() error {
	if !p.Inner {
		if err := p.outer(); err != nil {
			return err
		}
	}
	if err := unix.Chdir(p.Dir); err != nil {
		return &os.PathError{Op: "chdir", Path: p.Dir, Err: err}
	}
	// Sessions must not get the keys in the server's keyring.
	unix.KeyctlJoinSessionKeyring("") // not all systems have it
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
