package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/ergane-dev/ergane/internal/sandbox"
)

// SandboxFlags are the flags of the sandbox.
type SandboxFlags struct {
	Sandbox      string        `help:"How sessions are isolated: auto (every layer that works here, see ergane doctor, and none less than at the last start), strict (refuse to start without Landlock, and without users or mounts of their own), a list of user, mounts, landlock, pids and group (refuse to start without these; use the others if they work) or off." default:"auto" placeholder:"auto|strict|off|LAYER,…" env:"ERGANE_SANDBOX"`
	AllowPath    []string      `help:"Folder or file of this machine that sessions may read, or with :rw also write; may be repeated." env:"ERGANE_ALLOW_PATH" placeholder:"PATH[:rw]"`
	SessionUsers sandbox.Users `help:"UID range reserved for sessions where the server is root: each session gets a user of its own." default:"70000-79999" env:"ERGANE_SESSION_USERS" placeholder:"FIRST-LAST"`
	MaxProcesses int           `help:"How many processes and threads a session may have, if it has a user or a control group of its own; 0: no limit." default:"4096" env:"ERGANE_MAX_PROCESSES" placeholder:"N"`
}

const (
	sandboxAuto   = "auto"
	sandboxStrict = "strict"
	// SandboxOff is --sandbox off.
	SandboxOff = "off"
	// sessionUser is the name that a session's own user has inside the session.
	sessionUser = "ergane"
)

// Check refuses invalid values.
func (f SandboxFlags) Check() error {
	if f.MaxProcesses < 0 {
		return errors.New("--max-processes is negative; 0 is no limit")
	}
	if _, err := f.named(); err != nil {
		return err
	}
	_, _, err := f.allowed()
	return err
}

// named are the layers that --sandbox names; none with auto (also where it is empty), strict and off.
func (f SandboxFlags) named() ([]string, error) {
	if slices.Contains([]string{"", sandboxAuto, sandboxStrict, SandboxOff}, f.Sandbox) {
		return nil, nil
	}
	var names []string
	for name := range strings.SplitSeq(f.Sandbox, ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(sandbox.Names, name) {
			return nil, fmt.Errorf("--sandbox %s: %q is not auto, strict, off or a layer (%s)", f.Sandbox, name, strings.Join(sandbox.Names, ", "))
		}
		names = append(names, name)
	}
	return names, nil
}

// allowed are the paths that --allow-path names.
func (f SandboxFlags) allowed() (read, write []string, err error) {
	for _, path := range f.AllowPath {
		path, mayWrite := strings.CutSuffix(path, ":rw")
		abs, err := filepath.Abs(path)
		if err == nil {
			_, err = os.Stat(abs)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("--allow-path: %w", err)
		}
		if mayWrite {
			write = append(write, abs)
		} else {
			read = append(read, abs)
		}
	}
	return read, write, nil
}

// view is the View of all sessions: the system and what --allow-path names, without
// hidden and without the folder of claims.
func (f SandboxFlags) view(hidden []string) (sandbox.View, error) {
	read, write, err := f.allowed()
	if err != nil {
		return sandbox.View{}, err
	}
	hidden = append(hidden, sandbox.ClaimsDir, "/var"+sandbox.ClaimsDir) // /var/run is /run
	return sandbox.System(hidden...).AndRead(read...).AndWrite(write...), nil
}

// Args are the flags as arguments for another `ergane` process.
func (f SandboxFlags) Args() []string {
	args := []string{"--sandbox", f.Sandbox, "--session-users", f.SessionUsers.String(), "--max-processes", fmt.Sprint(f.MaxProcesses)}
	for _, path := range f.AllowPath {
		args = append(args, "--allow-path", path)
	}
	return args
}
